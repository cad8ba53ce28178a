// SPDX-License-Identifier: MIT
#include "machine/x86/msr.hpp"

#include <gtest/gtest.h>

#include "unit/x86/cpu_fixture.hpp"

namespace vpmu::machine::x86 {
namespace {

using namespace test;

constexpr std::uint64_t kNonCanonical = 0x0000'8000'0000'0000;

struct Msr : testing::Test {
  TestCpu t;
  Core& core = t.core();
  void SetUp() override { t.start_long_mode(); }
  Access read(std::uint32_t index) { return read_msr(core, MsrIndex{index}); }
  Access write(std::uint32_t index, std::uint64_t value) {
    return write_msr(core, MsrIndex{index}, value);
  }
};

TEST_F(Msr, OfAddressesRefuseWhatIsNotCanonical) {
  for (const std::uint32_t index :
       {0x175U, 0x176U, 0xc0000082U, 0xc0000083U, 0xc0000100U, 0xc0000101U, 0xc0000102U}) {
    EXPECT_TRUE(write(index, 0xffff'8000'0000'1234).is_done()) << std::hex << index;
    EXPECT_TRUE(write(index, kNonCanonical).is_fault()) << std::hex << index;
    EXPECT_EQ(read(index).value(), 0xffff'8000'0000'1234) << std::hex << index;
  }
}

TEST_F(Msr, OfPlainValuesTakeAnything) {
  for (const std::uint32_t index : {0x174U, 0xc0000081U}) {
    EXPECT_TRUE(write(index, 0x1234'8000'0000'5678).is_done());
    EXPECT_EQ(read(index).value(), 0x1234'8000'0000'5678);
  }
}

TEST_F(Msr, OfThirtyTwoBitsRefuseMore) {
  for (const std::uint32_t index : {0xc0000084U, 0xc0000103U}) {
    EXPECT_TRUE(write(index, 0xffff'ffff).is_done());
    EXPECT_TRUE(write(index, 0x1'0000'0000).is_fault());
    EXPECT_EQ(read(index).value(), 0xffff'ffffU);
  }
}

TEST_F(Msr, ThatIsNotTheCpusGoesToTheEnvironment) {
  t.environment.msrs[0x38f] = 7;
  EXPECT_EQ(read(0x38f), Access::done(7));
  EXPECT_TRUE(write(0x38f, 3).is_done());
  EXPECT_EQ(t.environment.msrs[0x38f], 3U);
  EXPECT_TRUE(read(0x12345).is_not_mine());
}

TEST_F(Msr, SegmentBasesAreThoseOfTheSegments) {
  EXPECT_TRUE(write(0xc0000100, 0x1000).is_done());
  EXPECT_TRUE(write(0xc0000101, 0x2000).is_done());
  EXPECT_EQ(core.segment[kFs].base, 0x1000U);
  EXPECT_EQ(core.segment[kGs].base, 0x2000U);
}

TEST_F(Msr, TscIsTheMachinesTimeWithAnOffset) {
  std::uint64_t now = 1000;
  t.environment.time = [&] { return now; };
  EXPECT_EQ(read(0x10).value(), 1000U);
  EXPECT_TRUE(write(0x10, 5000).is_done());
  EXPECT_EQ(read_tsc(core), 5000U);
  now += 10;
  EXPECT_EQ(read(0x10).value(), 5010U);
}

// Intel SDM vol. 3B 18.17.3: a write of X to one of the two adds to the other what it added to the
// TSC.
TEST_F(Msr, TscAndTscAdjustMoveTogether) {
  std::uint64_t now = 1000;
  t.environment.time = [&] { return now; };
  EXPECT_TRUE(write(0x10, 1500).is_done());
  EXPECT_EQ(read(0x3b).value(), 500U);
  EXPECT_TRUE(write(0x3b, 200).is_done());
  EXPECT_EQ(read(0x10).value(), 1200U);
  EXPECT_TRUE(write(0x3b, ~std::uint64_t{0}).is_done());
  EXPECT_EQ(read(0x10).value(), 999U);
  now = 3000;
  EXPECT_TRUE(write(0x10, 0).is_done());
  EXPECT_EQ(read(0x3b).value(), std::uint64_t{0} - 3000);
  EXPECT_TRUE(write(0x3b, 0).is_done());
  EXPECT_EQ(read(0x10).value(), 3000U);
}

TEST_F(Msr, EferRefusesUnknownBitsAndLmeWhilePaging) {
  const std::uint64_t before = core.efer;
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t mask = std::uint64_t{1} << bit;
    if (mask & (kEferSce | kEferLme | kEferLma | kEferNxe)) continue;
    EXPECT_TRUE(write(0xc0000080, before | mask).is_fault()) << bit;
  }
  EXPECT_TRUE(write(0xc0000080, before & ~kEferLme).is_fault());
  EXPECT_EQ(core.efer, before);
  EXPECT_TRUE(write(0xc0000080, before & ~kEferNxe).is_done());
  EXPECT_EQ(core.efer, before & ~kEferNxe);
}

TEST_F(Msr, EferLmaIsNotTheGuestsToWrite) {
  EXPECT_TRUE(write(0xc0000080, core.efer & ~kEferLma).is_done());
  EXPECT_TRUE(core.efer & kEferLma);
  t.start_protected_mode();
  EXPECT_TRUE(write(0xc0000080, kEferLma | kEferLme).is_done());
  EXPECT_EQ(core.efer, kEferLme);
}

struct ControlRegisterCase {
  const char* what;
  std::uint64_t cr0, cr4, efer;  // before
  bool long_code;
  std::uint64_t value;
  bool taken;
};

constexpr std::uint64_t kProtected = kCr0Pe | kCr0Et;
constexpr std::uint64_t kPaged = kProtected | kCr0Pg;
constexpr std::uint64_t kLong = kEferLme | kEferLma;

// Intel SDM vol. 3A 2.5 and 4.1, vol. 2B MOV - Move to/from Control Registers.
constexpr ControlRegisterCase kCr0Cases[] = {
    {"PG without PE", kProtected, 0, 0, false, kCr0Pg, false},
    {"NW without CD", kProtected, 0, 0, false, kProtected | kCr0Nw, false},
    {"NW with CD", kProtected, 0, 0, false, kProtected | kCr0Nw | kCr0Cd, true},
    {"an upper bit", kProtected, 0, 0, false, kProtected | 1ULL << 32, false},
    {"PG", kProtected, 0, 0, false, kPaged, true},
    {"PG with LME but without PAE", kProtected, 0, kEferLme, false, kPaged, false},
    {"PG with LME and PAE", kProtected, kCr4Pae, kEferLme, false, kPaged, true},
    {"PG with LME in a 64-bit code segment", kProtected, kCr4Pae, kEferLme, true, kPaged, false},
    {"no PG in 64-bit code", kPaged, kCr4Pae, kLong, true, kProtected, false},
    {"no PG in compatibility mode", kPaged, kCr4Pae, kLong, false, kProtected, true},
    {"no PE", kProtected, 0, 0, false, kCr0Et, true},
};

TEST_F(Msr, Cr0TakesWhatTheManualAllows) {
  for (const ControlRegisterCase& c : kCr0Cases) {
    t.start_protected_mode();
    core.cr0 = c.cr0;
    core.cr4 = c.cr4;
    core.efer = c.efer;
    core.cr3 = kPml4;
    core.segment[kCs].long_code = c.long_code;
    core.segment[kCs].big = !c.long_code;
    t.cpu.state_changed();
    EXPECT_EQ(write_cr0(core, c.value), c.taken) << c.what;
    EXPECT_EQ(core.cr0, c.taken ? c.value : c.cr0) << c.what;
    if (!c.taken) {
      EXPECT_EQ(core.efer, c.efer) << c.what;
    }
  }
}

TEST_F(Msr, PagingTurnsLongModeOnAndOff) {
  t.start_protected_mode();
  core.cr4 = kCr4Pae;
  core.cr3 = kPml4;
  EXPECT_TRUE(write(0xc0000080, kEferLme).is_done());
  EXPECT_FALSE(core.long_mode());
  EXPECT_TRUE(write_cr0(core, kPaged));
  EXPECT_TRUE(core.long_mode());
  EXPECT_FALSE(core.code64());  // CS is still a 32-bit segment
  EXPECT_TRUE(write_cr0(core, kProtected));
  EXPECT_FALSE(core.long_mode());
  EXPECT_EQ(core.efer, kEferLme);
}

TEST_F(Msr, Cr0KeepsEtAndDropsBitsThatDoNotExist) {
  EXPECT_TRUE(write_cr0(core, (core.cr0 & ~kCr0Et) | 1 << 6 | 1 << 17));
  EXPECT_TRUE(core.cr0 & kCr0Et);
  EXPECT_FALSE(core.cr0 & (1 << 6 | 1 << 17));
}

TEST_F(Msr, Cr4RefusesWhatThisCpuDoesNotHave) {
  const std::uint64_t known = kCr4Tsd | kCr4De | kCr4Pse | kCr4Pae | kCr4Mce | kCr4Pge | kCr4Pce |
                              kCr4Osfxsr | kCr4Osxmmexcpt | kCr4Fsgsbase | kCr4Osxsave | kCr4Smep |
                              kCr4Smap;
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t mask = std::uint64_t{1} << bit;
    EXPECT_EQ(write_cr4(core, kCr4Pae | mask), (known & mask) != 0) << bit;
  }
}

TEST_F(Msr, Cr4PaeStaysWhileInLongMode) {
  EXPECT_FALSE(write_cr4(core, 0));
  EXPECT_TRUE(core.cr4 & kCr4Pae);
}

TEST_F(Msr, Cr3RefusesAddressBitsThatDoNotExistInLongModeOnly) {
  EXPECT_TRUE(write_cr3(core, kPml4 | 1ULL << (kPhysicalBits - 1)));
  EXPECT_FALSE(write_cr3(core, kPml4 | 1ULL << kPhysicalBits));
  EXPECT_FALSE(write_cr3(core, kPml4 | 1ULL << 63));
}

TEST_F(Msr, PaePagingRefusesReservedBitsInItsTopEntries) {
  constexpr std::uint64_t kTop = 0x200000;
  for (unsigned bit = 1; bit < 64; ++bit) {
    // Intel SDM vol. 3A table 4-8: bits 2:1, 8:5 and those from the physical width on.
    const bool reserved = bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) || bit >= kPhysicalBits;
    t.start_protected_mode();
    for (unsigned n = 0; n < 4; ++n) t.put<std::uint64_t>(kTop + 8 * n, 0);
    t.put<std::uint64_t>(kTop + 8 * 3, 1 | std::uint64_t{1} << bit);
    core.cr3 = kTop;
    EXPECT_TRUE(write_cr4(core, kCr4Pae));
    EXPECT_EQ(write_cr0(core, kPaged), !reserved) << bit;
    core.cr0 = kPaged;
    EXPECT_EQ(write_cr3(core, kTop), !reserved) << bit;
    core.cr4 = 0;
    EXPECT_EQ(write_cr4(core, kCr4Pae), !reserved) << bit;
    t.put<std::uint64_t>(kTop + 8 * 3, std::uint64_t{1} << bit);  // not present: anything goes
    EXPECT_TRUE(write_cr3(core, kTop)) << bit;
  }
}

TEST_F(Msr, CpuidShowsOsxsaveAsCr4HasIt) {
  EXPECT_FALSE(guest_cpuid(core, 1, 0).ecx & 1U << 27);
  EXPECT_TRUE(write_cr4(core, core.cr4 | kCr4Osxsave));
  EXPECT_TRUE(guest_cpuid(core, 1, 0).ecx & 1U << 27);
  EXPECT_EQ(guest_cpuid(core, 7, 2).ebx, 2U);
}

}  // namespace
}  // namespace vpmu::machine::x86
