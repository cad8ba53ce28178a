// SPDX-License-Identifier: MIT
//
// String instructions against a model that does one element at a time, as the manual's operation
// sections have it: whole, in pieces of every size, with faults in the middle.
#include <gtest/gtest.h>

#include <array>

#include "unit/x86/cpu_fixture.hpp"

namespace vpmu::machine::x86 {
namespace {

using namespace test;
using silicon::RawEvent;

constexpr std::uint64_t kSource = kData, kTarget = kData + 0x8000;

struct Strings : testing::Test {
  TestCpu t;
  Core& core = t.core();
  void SetUp() override { fresh(); }

  void fresh(unsigned cpl = 0) {
    t.start_long_mode(cpl);
    for (unsigned n = 0; n < 0x4000; ++n) {
      t.put(kSource + n, static_cast<std::uint8_t>(n * 7 + n / 256));
      t.put(kTarget + n, static_cast<std::uint8_t>(0xcc));
    }
    core.gpr[kRsi] = kSource;
    core.gpr[kRdi] = kTarget;
  }
  /// From zero: totals only grow.
  std::uint64_t since(RawEvent event, std::uint64_t before) { return t.count(event) - before; }
};

struct SizeCase {
  int prefix;        // 0: none
  std::uint8_t bit;  // of the opcode: 0 for bytes
  unsigned bytes;
};
const SizeCase kSizes[] = {{0, 0, 1}, {0x66, 1, 2}, {0, 1, 4}, {0x48, 1, 8}};

Bytes instruction(int rep, const SizeCase& size, std::uint8_t opcode) {
  Bytes bytes;
  if (rep != 0) bytes.push_back(static_cast<std::uint8_t>(rep));
  if (size.prefix != 0) bytes.push_back(static_cast<std::uint8_t>(size.prefix));
  bytes.push_back(static_cast<std::uint8_t>(opcode | size.bit));
  bytes.push_back(0xf4);
  return bytes;
}

TEST_F(Strings, SingleStepsMoveTheirPointersByTheirSizeAndDirection) {
  struct Row {
    std::uint8_t opcode;
    bool si, di;
  };
  constexpr Row kRows[] = {{0xa4, true, true},    // movs
                           {0xa6, true, true},    // cmps
                           {0xaa, false, true},   // stos
                           {0xac, true, false},   // lods
                           {0xae, false, true}};  // scas
  for (const Row& row : kRows) {
    for (const SizeCase& size : kSizes) {
      for (const bool down : {false, true}) {
        fresh();
        t.code_pages.written(kCode / 4096);
        if (down) core.rflags |= kDf;
        core.gpr[kRcx] = 5;
        t.code(instruction(0, size, row.opcode));
        t.run(1);
        const std::uint64_t by = down ? std::uint64_t{0} - size.bytes : size.bytes;
        EXPECT_EQ(core.gpr[kRsi], kSource + (row.si ? by : 0)) << std::hex << +row.opcode;
        EXPECT_EQ(core.gpr[kRdi], kTarget + (row.di ? by : 0)) << std::hex << +row.opcode;
        EXPECT_EQ(core.gpr[kRcx], 5U);
      }
    }
  }
}

TEST_F(Strings, RepMovsCopiesAndCountsPerIteration) {
  for (const SizeCase& size : kSizes) {
    for (const std::uint64_t count : {0U, 1U, 2U, 7U, 600U, 1500U}) {
      fresh();
      t.code_pages.written(kCode / 4096);
      const std::uint64_t loads = t.count(RawEvent::kLoads), stores = t.count(RawEvent::kStores),
                          cycles = t.count(RawEvent::kCycles), instructions = t.instructions();
      core.gpr[kRcx] = count;
      t.code(instruction(0xf3, size, 0xa4));
      EXPECT_EQ(t.run(), Cpu::Exit::kHalted);
      const std::uint64_t bytes = count * size.bytes;
      for (std::uint64_t n = 0; n < bytes; ++n) {
        ASSERT_EQ(t.take<std::uint8_t>(kTarget + n), t.take<std::uint8_t>(kSource + n)) << n;
      }
      EXPECT_EQ(t.take<std::uint8_t>(kTarget + bytes), 0xcc);
      EXPECT_EQ(core.gpr[kRcx], 0U);
      EXPECT_EQ(core.gpr[kRsi], kSource + bytes);
      EXPECT_EQ(core.gpr[kRdi], kTarget + bytes);
      EXPECT_EQ(since(RawEvent::kLoads, loads), count);
      EXPECT_EQ(since(RawEvent::kStores, stores), count);
      EXPECT_EQ(since(RawEvent::kInstructions, instructions), 2U);
      EXPECT_EQ(since(RawEvent::kCycles, cycles), 2 + count + 20);  // REP MOVS and HLT
    }
  }
}

TEST_F(Strings, RepMovsWithOverlapRepeatsThePattern) {
  for (const std::uint64_t distance : {1U, 3U, 8U, 64U}) {
    for (const SizeCase& size : kSizes) {
      fresh();
      t.code_pages.written(kCode / 4096);
      Bytes expected(0x400);
      for (unsigned n = 0; n < expected.size(); ++n)
        expected[n] = t.take<std::uint8_t>(kSource + n);
      const std::uint64_t count = 0x200 / size.bytes;
      for (std::uint64_t at = 0; at < count * size.bytes; at += size.bytes) {
        std::array<std::uint8_t, 8> element{};
        for (unsigned n = 0; n < size.bytes; ++n) element[n] = expected[at + n];
        for (unsigned n = 0; n < size.bytes; ++n) expected[at + distance + n] = element[n];
      }
      core.gpr[kRdi] = kSource + distance;
      core.gpr[kRcx] = count;
      t.code(instruction(0xf3, size, 0xa4));
      t.run();
      for (unsigned n = 0; n < expected.size(); ++n)
        ASSERT_EQ(t.take<std::uint8_t>(kSource + n), expected[n]) << distance << ' ' << n;
    }
  }
}

TEST_F(Strings, RepMovsBackwardsCopiesToo) {
  core.rflags |= kDf;
  core.gpr[kRsi] = kSource + 0x1ffc;
  core.gpr[kRdi] = kTarget + 0x1ffc;
  core.gpr[kRcx] = 0x800;
  t.code({0xf3, 0xa5, 0xf4});
  t.run();
  for (unsigned n = 0; n < 0x2000; ++n)
    ASSERT_EQ(t.take<std::uint8_t>(kTarget + n), t.take<std::uint8_t>(kSource + n)) << n;
  EXPECT_EQ(core.gpr[kRsi], kSource - 4);
}

TEST_F(Strings, RepStosFillsAcrossPages) {
  for (const SizeCase& size : kSizes) {
    fresh();
    t.code_pages.written(kCode / 4096);
    core.gpr[kRax] = 0x8877665544332211;
    core.gpr[kRdi] = kTarget + 0xff3;
    core.gpr[kRcx] = 300;
    t.code(instruction(0xf3, size, 0xaa));
    t.run();
    EXPECT_EQ(t.take<std::uint8_t>(kTarget + 0xff2), 0xcc);
    for (unsigned n = 0; n < 300 * size.bytes; ++n) {
      ASSERT_EQ(t.take<std::uint8_t>(kTarget + 0xff3 + n), 0x11 * (n % size.bytes + 1)) << n;
    }
    EXPECT_EQ(t.take<std::uint8_t>(kTarget + 0xff3 + 300 * size.bytes), 0xcc);
  }
}

struct EndCase {
  std::uint8_t prefix, opcode;
  std::uint64_t count;
  unsigned differ_at;  // element that differs (REPE) or matches (REPNE)
  std::uint64_t left;
  bool zf;
};

TEST_F(Strings, ComparisonsEndAtTheElementThatDecides) {
  constexpr EndCase kCases[] = {
      {0xf3, 0xa6, 10, 4, 5, false}, {0xf3, 0xa6, 10, 99, 0, true},  {0xf3, 0xa6, 10, 9, 0, false},
      {0xf2, 0xae, 10, 4, 5, true},  {0xf2, 0xae, 10, 99, 0, false}, {0xf2, 0xae, 10, 0, 9, true},
      {0xf3, 0xae, 10, 0, 9, false},
  };
  for (const EndCase& c : kCases) {
    fresh();
    t.code_pages.written(kCode / 4096);
    core.gpr[kRax] = 0x41;
    for (unsigned n = 0; n < 10; ++n) {
      const bool odd_one = n == c.differ_at;
      const bool until_equal = c.prefix == 0xf2;
      t.put(kSource + n, std::uint8_t{0x41});
      t.put<std::uint8_t>(kTarget + n, odd_one != until_equal ? 0x42 : 0x41);
    }
    const std::uint64_t loads = t.count(RawEvent::kLoads);
    core.gpr[kRcx] = c.count;
    t.code({c.prefix, c.opcode, 0xf4});
    t.run();
    EXPECT_EQ(core.gpr[kRcx], c.left);
    EXPECT_EQ((arithmetic_flags(core.lazy) & kZf) != 0, c.zf);
    const std::uint64_t done = c.count - c.left;
    EXPECT_EQ(core.gpr[kRdi], kTarget + done);
    EXPECT_EQ(since(RawEvent::kLoads, loads), done * (c.opcode == 0xa6 ? 2 : 1));
  }
}

TEST_F(Strings, ACountOfZeroChangesNoFlagsAndTouchesNothing) {
  for (const std::uint8_t opcode : {0xa4, 0xa6, 0xaa, 0xac, 0xae}) {
    fresh();
    t.code_pages.written(kCode / 4096);
    set_arithmetic_flags(core, kCf | kZf);
    core.gpr[kRcx] = 0;
    core.gpr[kRsi] = core.gpr[kRdi] = 0x60'0000;  // unmapped
    t.code({0xf3, opcode, 0xf4});
    t.run();
    EXPECT_FALSE(t.caught());
    EXPECT_EQ(arithmetic_flags(core.lazy), kCf | kZf);
    EXPECT_EQ(core.gpr[kRdi], 0x60'0000U);
  }
}

TEST_F(Strings, A32BitAddressSizeUsesTheLowHalvesAndClearsTheUpper) {
  core.gpr[kRsi] = 0x1234'0000'0000 | kSource;
  core.gpr[kRdi] = 0x5678'0000'0000 | kTarget;
  core.gpr[kRcx] = 0x9abc'0000'0003;
  t.code({0x67, 0xf3, 0xa4, 0xf4});
  t.run();
  EXPECT_FALSE(t.caught());
  EXPECT_EQ(core.gpr[kRsi], kSource + 3);
  EXPECT_EQ(core.gpr[kRdi], kTarget + 3);
  EXPECT_EQ(core.gpr[kRcx], 0U);
}

TEST_F(Strings, TheSourcesSegmentCanBeChanged) {
  core.segment[kFs].base = 0x40;
  core.gpr[kRcx] = 16;
  t.code({0x64, 0xf3, 0xa4, 0xf4});
  t.run();
  for (unsigned n = 0; n < 16; ++n)
    EXPECT_EQ(t.take<std::uint8_t>(kTarget + n), t.take<std::uint8_t>(kSource + 0x40 + n));
}

// ---- In pieces ----------------------------------------------------------------------------------

TEST_F(Strings, TimeThatRunsOutLeavesTheRegistersBetweenIterations) {
  for (std::uint64_t until = 1; until < 60; ++until) {
    TestCpu guest;
    guest.start_long_mode();
    guest.environment.time = [&guest] { return guest.cpu.cycles(); };
    guest.core().gpr[kRsi] = kSource;
    guest.core().gpr[kRdi] = kTarget;
    guest.core().gpr[kRcx] = 40;
    guest.code({0xf3, 0xa4, 0xf4});
    EXPECT_EQ(guest.cpu.run(100, until), Cpu::Exit::kBudget);
    const std::uint64_t done = 40 - guest.core().gpr[kRcx];
    EXPECT_EQ(guest.core().gpr[kRsi], kSource + done);
    EXPECT_EQ(guest.core().gpr[kRdi], kTarget + done);
    EXPECT_EQ(guest.count(RawEvent::kLoads), done);
    EXPECT_GE(guest.cpu.cycles(), until);
    // One cycle per iteration; the instruction itself has two more when it ends.
    if (until <= 39) {
      EXPECT_EQ(done, until);
      EXPECT_EQ(guest.instructions(), 0U);
    }
    EXPECT_EQ(guest.run(), Cpu::Exit::kHalted);
    EXPECT_EQ(guest.count(RawEvent::kLoads), 40U);
    EXPECT_EQ(guest.instructions(), 2U);
    EXPECT_EQ(guest.count(RawEvent::kCycles), 2U + 40 + 20);
  }
}

TEST_F(Strings, AnInterruptComesInBetweenIterations) {
  // The interrupt is raised by time: after 10 iterations.
  t.environment.time = [this] { return t.cpu.cycles(); };
  core.rflags |= kIf;
  core.gpr[kRcx] = 40;
  t.code({0xf3, 0xa4, 0xf4});
  t.cpu.run(100, 10);
  t.environment.interrupts = {0x40};
  EXPECT_EQ(t.run(), Cpu::Exit::kHalted);
  ASSERT_TRUE(t.caught());
  EXPECT_EQ(t.caught()->rip, kCode);
  EXPECT_EQ(core.gpr[kRcx], 30U);
}

// ---- Faults -------------------------------------------------------------------------------------

struct StringFault {
  const char* what;
  std::uint8_t prefix, opcode;
  std::uint64_t rsi, rdi;  // where they start
  std::uint64_t done;      // iterations before the fault
  std::uint64_t address;   // CR2
  std::uint32_t error;
};

TEST_F(Strings, AFaultInTheMiddleKeepsWhatIsDone) {
  constexpr std::uint64_t kHole = kTarget + 0x2000;  // one page without a mapping
  constexpr StringFault kCases[] = {
      {"movs into the hole", 0xf3, 0xa4, kSource, kHole - 100, 100, kHole, kPfWrite | kPfUser},
      {"movs out of it", 0xf3, 0xa4, kHole - 100, kTarget, 100, kHole, kPfUser},
      {"stos", 0xf3, 0xaa, 0, kHole - 33, 33, kHole, kPfWrite | kPfUser},
      {"scas", 0xf2, 0xae, 0, kHole - 7, 7, kHole, kPfUser},
      {"cmps", 0xf3, 0xa6, kSource, kHole - 5, 5, kHole, kPfUser},
      {"lods", 0xf3, 0xac, kHole - 5, 0, 5, kHole, kPfUser},
      {"stosd across the edge", 0xf3, 0xab, 0, kHole - 10, 2, kHole, kPfWrite | kPfUser},
  };
  for (const StringFault& c : kCases) {
    fresh(3);
    t.code_pages.written(kCode / 4096);
    t.set_page(kHole, 0);
    t.cpu.state_changed();
    core.gpr[kRsi] = c.rsi;
    core.gpr[kRdi] = c.rdi;
    core.gpr[kRcx] = 1000;
    core.gpr[kRax] = 0x1234567800000041;
    if (c.opcode == 0xa6) {  // equal up to the hole
      for (unsigned n = 0; n < 8; ++n) t.put(c.rdi + n, t.take<std::uint8_t>(c.rsi + n));
    }
    const std::uint64_t loads = t.count(RawEvent::kLoads), stores = t.count(RawEvent::kStores),
                        instructions = t.instructions();
    t.code({c.prefix, c.opcode, 0xf4});
    EXPECT_EQ(t.run(), Cpu::Exit::kHalted) << c.what;
    const auto caught = t.caught();
    ASSERT_TRUE(caught) << c.what;
    EXPECT_EQ(caught->vector, unsigned{kPageFault}) << c.what;
    EXPECT_EQ(caught->error_code, c.error) << c.what;
    EXPECT_EQ(caught->rip, kCode) << c.what;
    EXPECT_EQ(core.cr2, c.address) << c.what;
    const std::uint64_t size = c.opcode == 0xab ? 4 : 1;
    const bool si = c.opcode == 0xa4 || c.opcode == 0xa6 || c.opcode == 0xac;
    const bool di = c.opcode != 0xac;
    EXPECT_EQ(core.gpr[kRcx], 1000 - c.done) << c.what;
    EXPECT_EQ(core.gpr[kRsi], c.rsi + (si ? c.done * size : 0)) << c.what;
    EXPECT_EQ(core.gpr[kRdi], c.rdi + (di ? c.done * size : 0)) << c.what;
    const unsigned per_load = c.opcode == 0xa6 ? 2 : c.opcode == 0xaa || c.opcode == 0xab ? 0 : 1;
    const unsigned per_store = c.opcode == 0xa4 || c.opcode == 0xaa || c.opcode == 0xab ? 1 : 0;
    EXPECT_EQ(since(RawEvent::kLoads, loads), c.done * per_load) << c.what;
    EXPECT_EQ(since(RawEvent::kStores, stores), c.done * per_store) << c.what;
    EXPECT_EQ(since(RawEvent::kInstructions, instructions), 1U) << c.what;  // the HLT
  }
}

TEST_F(Strings, ARestartedInstructionFinishesTheRest) {
  constexpr std::uint64_t kHole = kTarget + 0x1000;
  t.set_page(kHole, 0);
  // The #PF handler maps the page (R8 has the entry, R9 its address), flushes and returns.
  t.put_bytes(TestCpu::handler(kPageFault),
              Bytes{0x4d, 0x89, 0x01, 0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf});
  core.gpr[8] = kHole | kPresent | kWritable;
  core.gpr[9] = kPageTables + kHole / 4096 * 8;
  core.gpr[kRcx] = 0x2000;
  t.code({0xf3, 0xa4, 0xf4});
  EXPECT_EQ(t.run(), Cpu::Exit::kHalted);
  EXPECT_EQ(core.rip, kCode + 3);
  for (unsigned n = 0; n < 0x2000; ++n)
    ASSERT_EQ(t.take<std::uint8_t>(kTarget + n), t.take<std::uint8_t>(kSource + n)) << n;
  EXPECT_EQ(t.count(RawEvent::kLoads), 0x2000U + 5);  // and IRETQ's
  EXPECT_EQ(t.instructions(), 3U + 2);
}

// ---- Devices ------------------------------------------------------------------------------------

TEST_F(Strings, MovsToADeviceWritesElementByElement) {
  core.gpr[kRdi] = kDevice;
  core.gpr[kRcx] = 3;
  t.code({0xf3, 0xa5, 0xf4});
  t.run();
  ASSERT_EQ(t.environment.mmio.size(), 3U);
  for (std::size_t n = 0; n < 3; ++n) {
    const FakeEnvironment::DeviceAccess expected = {0xfee00000 + (kDevice & 0x1fffff) + 4 * n, 4,
                                                    t.take<std::uint32_t>(kSource + 4 * n), true};
    EXPECT_EQ(t.environment.mmio[n], expected) << n;
  }
  EXPECT_EQ(t.instructions(), 2U);
}

TEST_F(Strings, InsReadsThePortOncePerElementAndOutsWritesIt) {
  core.gpr[kRdx] = 0x1f0;
  core.gpr[kRcx] = 3;
  t.code({0xf3, 0x66, 0x6d, 0xf4});  // rep insw
  t.run();
  ASSERT_EQ(t.environment.ports.size(), 3U);
  for (unsigned n = 0; n < 3; ++n) EXPECT_EQ(t.take<std::uint16_t>(kTarget + 2 * n), 0x1f0);
  EXPECT_EQ(core.gpr[kRdi], kTarget + 6);
  fresh();
  t.code_pages.written(kCode / 4096);
  t.environment.ports.clear();
  core.gpr[kRdx] = 0x3f8;
  core.gpr[kRcx] = 4;
  t.code({0xf3, 0x6e, 0xf4});  // rep outsb
  t.run();
  ASSERT_EQ(t.environment.ports.size(), 4U);
  for (unsigned n = 0; n < 4; ++n) {
    const FakeEnvironment::DeviceAccess expected = {0x3f8, 1, t.take<std::uint8_t>(kSource + n),
                                                    true};
    EXPECT_EQ(t.environment.ports[n], expected) << n;
  }
}

TEST_F(Strings, InsDoesNotReadThePortIfItsTargetFaults) {
  core.gpr[kRdi] = 0x60'0000;
  core.gpr[kRcx] = 3;
  t.code({0xf3, 0x6c, 0xf4});
  t.run();
  ASSERT_TRUE(t.caught());
  EXPECT_EQ(t.caught()->vector, unsigned{kPageFault});
  EXPECT_TRUE(t.environment.ports.empty());
}

TEST_F(Strings, PortsNeedTheRightToUseThem) {
  fresh(3);
  core.gpr[kRdx] = 0x3f8;
  core.gpr[kRcx] = 3;
  t.code({0xf3, 0x6e, 0xf4});
  t.run();
  ASSERT_TRUE(t.caught());
  EXPECT_EQ(t.caught()->vector, unsigned{kGeneralProtection});
  EXPECT_TRUE(t.environment.ports.empty());
}

}  // namespace
}  // namespace vpmu::machine::x86
