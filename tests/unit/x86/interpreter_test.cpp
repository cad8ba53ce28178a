// SPDX-License-Identifier: MIT
//
// What Cpu::run() promises: it stops exactly where it was told to, deadlines fire exactly where
// they are due, and what happens between instructions happens at the right boundary.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "machine/x86/block_cache.hpp"
#include "unit/x86/cpu_fixture.hpp"

namespace vpmu::machine::x86 {
namespace {

using namespace test;
using silicon::Privilege;
using silicon::PrivilegeSet;
using silicon::RawEvent;
using Exit = Cpu::Exit;

/// A loop with a bit of everything that counts: memory, calls, returns, indirect jumps, branches
/// taken and not, NOPs, a comparison with its branch, and a REP string instruction.
Bytes busy_loop(unsigned rounds) {
  const auto count = static_cast<std::uint8_t>(rounds);
  return {
      0xbd, count, 0,    0,    0,           // 00 mov ebp, rounds
      0xbe, 0,     0,    0x10, 0,           // 05 mov esi, kData
      0x90, 0x0f,  0x1f, 0x40, 0x00,        // 0a nop; nop [rax]
      0x8b, 0x06,                           // 0f mov eax, [rsi]
      0x01, 0x46,  0x08,                    // 11 add [rsi + 8], eax
      0xe8, 0x26,  0,    0,    0,           // 14 call 3f
      0x48, 0x39,  0x06,                    // 19 cmp [rsi], rax
      0x74, 0x01,                           // 1c jz 1f
      0x90,                                 // 1e nop
      0x48, 0x8d,  0x1d, 0x02, 0,    0, 0,  // 1f lea rbx, [rip + 2]
      0xff, 0xe3,                           // 26 jmp rbx
      0xbf, 0,     0,    0x11, 0,           // 28 mov edi, kData + 0x10000
      0xb9, 5,     0,    0,    0,           // 2d mov ecx, 5
      0xf3, 0xa4,                           // 32 rep movsb
      0xbe, 0,     0,    0x10, 0,           // 34 mov esi, kData
      0x90,                                 // 39 nop
      0xff, 0xcd,                           // 3a dec ebp
      0x75, 0xcc,                           // 3c jnz 0a
      0xf4,                                 // 3e hlt
      0x48, 0x83,  0xf8, 0x05,              // 3f cmp rax, 5
      0x77, 0x02,                           // 43 ja 47
      0xff, 0x06,                           // 45 inc dword [rsi]
      0xc3,                                 // 47 ret
  };
}

/// Everything of a run that must not depend on how it was cut into pieces.
struct Snapshot {
  std::array<std::uint64_t, 17> gpr;
  std::uint64_t rip;
  std::uint64_t flags;
  std::array<std::uint64_t, silicon::kRawEventCount> user, kernel;
  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

struct Guest {
  explicit Guest(unsigned cpl = 0, const Bytes& code = busy_loop(4),
                 const silicon::MemoryHierarchy& hierarchy = {})
      : t{hierarchy} {
    t.start_long_mode(cpl);
    t.code(code);
  }
  Snapshot snapshot() {
    t.cpu.hand_over();
    return {t.core().gpr, t.core().rip, rflags(t.core()), t.totals.of(Privilege::kUser),
            t.totals.of(Privilege::kKernel)};
  }
  TestCpu t;
};

/// One snapshot per instruction boundary, by running instructions one at a time.
std::vector<Snapshot> single_steps(unsigned cpl, std::uint64_t most = 10'000) {
  Guest run{cpl};
  std::vector<Snapshot> steps = {run.snapshot()};
  while (steps.size() < most && run.t.cpu.run(1, kForever) == Exit::kBudget)
    steps.push_back(run.snapshot());
  return steps;
}

TEST(Interpreter, StopsExactlyAfterEachNumberOfInstructions) {
  const std::vector<Snapshot> steps = single_steps(0);
  ASSERT_GT(steps.size(), 60U);
  for (std::size_t n = 0; n < steps.size(); ++n) {
    Guest run;
    EXPECT_EQ(run.t.cpu.run(n, kForever), Exit::kBudget);
    ASSERT_EQ(run.t.instructions(), n);
    ASSERT_EQ(run.snapshot(), steps[n]) << n;
  }
}

TEST(Interpreter, AWarmCacheStopsJustAsExactly) {
  const std::vector<Snapshot> steps = single_steps(0);
  Guest run;
  EXPECT_EQ(run.t.run(), Exit::kHalted);  // every block is decoded and linked now
  for (std::size_t n = 0; n < steps.size(); ++n) {
    run.t.start_long_mode();
    run.t.put<std::uint64_t>(kData, 0);
    run.t.put<std::uint64_t>(kData + 8, 0);
    run.t.core().rip = kCode;
    const std::uint64_t before = run.t.instructions();
    EXPECT_EQ(run.t.cpu.run(n, kForever), Exit::kBudget);
    ASSERT_EQ(run.t.instructions() - before, n);
    ASSERT_EQ(run.t.core().rip, steps[n].rip) << n;
    Snapshot now = run.snapshot();
    ASSERT_EQ(now.gpr, steps[n].gpr) << n;
  }
}

TEST(Interpreter, PiecesOfAnySizeAddUpToTheSameRun) {
  Guest whole;
  EXPECT_EQ(whole.t.run(), Exit::kHalted);
  for (std::uint64_t piece = 1; piece < 40; ++piece) {
    Guest run;
    Exit exit = Exit::kBudget;
    while (exit == Exit::kBudget) exit = run.t.cpu.run(piece, kForever);
    EXPECT_EQ(exit, Exit::kHalted);
    EXPECT_EQ(run.snapshot(), whole.snapshot()) << piece;
  }
}

/// A loop of random pieces of code, none of which faults. RET is at kCode + 0x800. No access goes
/// across lines unless `far_and_wide`: then some do, and some go to other pages.
Bytes random_loop(std::mt19937& random, bool far_and_wide = false) {
  static const Bytes kPieces[] = {
      {0xff, 0xc0},                                      // inc eax
      {0x90},                                            // nop
      {0x0f, 0x1f, 0x44, 0x00, 0x00},                    // nop [rax + rax]
      {0x01, 0x06},                                      // add [rsi], eax
      {0x48, 0x8b, 0x5e, 0x08},                          // mov rbx, [rsi + 8]
      {0x48, 0x89, 0x46, 0x08},                          // mov [rsi + 8], rax
      {0x39, 0xd8, 0x77, 0x02, 0xff, 0xc3},              // cmp eax, ebx; ja; inc ebx
      {0x3b, 0x06, 0x74, 0x01, 0x90},                    // cmp eax, [rsi]; jz; nop
      {0x90, 0x85, 0xc0, 0x78, 0x02, 0xff, 0xc2},        // nop; test eax, eax; js; inc edx
      {0xb9, 3, 0, 0, 0, 0x48, 0x89, 0xf7, 0xf3, 0xaa},  // mov ecx, 3; mov rdi, rsi; rep stosb
      {0xb9, 2, 0, 0, 0, 0xff, 0xc2, 0xe2, 0xfc},        // mov ecx, 2; inc edx; loop
      {0x9c, 0x5a},                                      // pushfq; pop rdx
      {0x50, 0x5b},                                      // push rax; pop rbx
      {0x48, 0x8d, 0x3d, 2, 0, 0, 0, 0xff, 0xe7},        // lea rdi, [rip + 2]; jmp rdi
      {0xeb, 0x00},                                      // jmp to the next
      {0xf0, 0x0f, 0xc1, 0x06},                          // lock xadd [rsi], eax
      {0x48, 0x87, 0x5e, 0x08},                          // xchg [rsi + 8], rbx
      {0xc1, 0x66, 0x04, 0x03, 0x90},                    // shl dword [rsi + 4], 3; nop
      {0xff, 0x36, 0x8f, 0x46, 0x08},                    // push [rsi]; pop [rsi + 8]
      {0xf7, 0x16, 0xff, 0x0e},                          // not dword [rsi]; dec dword [rsi]
      {0x48, 0x89, 0xf7, 0xa4, 0x48, 0xff, 0xce},        // mov rdi, rsi; movsb; dec rsi
  };
  static const Bytes kFarPieces[] = {
      {0x8b, 0x86, 0x80, 0x10, 0, 0},        // mov eax, [rsi + 0x1080]
      {0x89, 0x86, 0, 0x21, 0, 0},           // mov [rsi + 0x2100], eax
      {0x48, 0x01, 0x86, 0x3c, 0x30, 0, 0},  // add [rsi + 0x303c], rax: across lines
      {0x48, 0x8b, 0x9e, 0xfc, 0x0f, 0, 0},  // mov rbx, [rsi + 0xffc]: across pages
      {0x48, 0x89, 0x86, 0xfc, 0x1f, 0, 0},  // mov [rsi + 0x1ffc], rax: across pages
      // mov ecx, 9; lea rdi, [rsi + 0x2fe4]; rep stosq
      {0xb9, 9, 0, 0, 0, 0x48, 0x8d, 0xbe, 0xe4, 0x2f, 0, 0, 0xf3, 0x48, 0xab},
  };
  Bytes code = {0xbd, 3, 0, 0, 0};  // mov ebp, 3
  const std::size_t top = code.size();
  const unsigned pieces = 5 + random() % 40;
  for (unsigned n = 0; n < pieces; ++n) {
    if (far_and_wide && random() % 2 == 0) {
      const Bytes& piece = kFarPieces[random() % std::size(kFarPieces)];
      code.insert(code.end(), piece.begin(), piece.end());
      continue;
    }
    const unsigned pick = random() % (std::size(kPieces) + 1);
    if (pick == std::size(kPieces)) {
      const auto distance = static_cast<std::int32_t>(0x800 - code.size() - 5);
      code.push_back(0xe8);  // call
      for (unsigned byte = 0; byte < 4; ++byte)
        code.push_back(static_cast<std::uint8_t>(distance >> 8 * byte));
    } else {
      code.insert(code.end(), kPieces[pick].begin(), kPieces[pick].end());
    }
  }
  const auto back = static_cast<std::int32_t>(top) - static_cast<std::int32_t>(code.size() + 8);
  for (const std::uint8_t byte : {0xff, 0xcd, 0x0f, 0x85}) code.push_back(byte);  // dec ebp; jnz
  for (unsigned byte = 0; byte < 4; ++byte)
    code.push_back(static_cast<std::uint8_t>(back >> 8 * byte));
  code.push_back(0xf4);
  return code;
}

TEST(Interpreter, RandomProgramsDoNotDependOnHowTheyAreCut) {
  std::mt19937 random{1};
  for (unsigned program = 0; program < 60; ++program) {
    const Bytes code = random_loop(random);
    const unsigned cpl = program % 2 == 0 ? 0 : 3;
    const bool observed = program % 3 == 0;
    const auto prepare = [&](Guest& guest) {
      guest.t.put<std::uint8_t>(kCode + 0x800, 0xc3);
      guest.t.core().gpr[kRsi] = kData;
      if (observed) guest.t.totals.demand(RawEvent::kMispredictedBranches);
    };
    Guest whole{cpl, code};
    prepare(whole);
    ASSERT_EQ(whole.t.run(), Exit::kHalted);
    ASSERT_EQ(whole.t.caught().has_value(), cpl == 3);  // users may not halt
    for (const std::uint64_t most : {1U, 2U, 3U, 7U, 31U, 100U}) {
      Guest cut{cpl, code};
      prepare(cut);
      Exit exit = Exit::kBudget;
      std::uint64_t expected = 0;
      while (exit == Exit::kBudget) {
        const std::uint64_t piece = 1 + random() % most;
        exit = cut.t.cpu.run(piece, kForever);
        expected += piece;
        if (exit == Exit::kBudget) {
          ASSERT_EQ(cut.t.instructions(), expected) << program;
        }
      }
      ASSERT_EQ(cut.snapshot(), whole.snapshot()) << "program " << program << " by " << most;
      ASSERT_EQ(cut.t.take<std::uint64_t>(kData), whole.t.take<std::uint64_t>(kData));
      ASSERT_EQ(cut.t.take<std::uint64_t>(kData + 8), whole.t.take<std::uint64_t>(kData + 8));
    }
  }
}

TEST(Interpreter, StopsAtATimeWithinOneInstruction) {
  const std::vector<Snapshot> steps = single_steps(0);
  const auto cycles = [](const Snapshot& s) {
    return s.kernel[static_cast<std::size_t>(RawEvent::kCycles)];
  };
  for (std::uint64_t until = 1; until < 120; ++until) {
    Guest run;
    run.t.environment.time = [&run] { return run.t.cpu.cycles(); };
    EXPECT_EQ(run.t.cpu.run(100'000, until), Exit::kBudget);
    // At the first boundary that is not before `until`; a REP instruction has boundaries inside.
    const Snapshot now = run.snapshot();
    EXPECT_GE(cycles(now), until);
    const auto boundary = std::find_if(steps.begin(), steps.end(),
                                       [&](const Snapshot& s) { return cycles(s) >= until; });
    ASSERT_NE(boundary, steps.end());
    EXPECT_LE(cycles(now), cycles(*boundary)) << until;
  }
}

TEST(Interpreter, NothingRunsWithoutABudget) {
  Guest run;
  EXPECT_EQ(run.t.cpu.run(0, kForever), Exit::kBudget);
  EXPECT_EQ(run.t.cpu.run(10, 0), Exit::kBudget);
  EXPECT_EQ(run.t.instructions(), 0U);
}

// ---- Deadlines ----------------------------------------------------------------------------------

struct Recorder final : silicon::DeadlineListener {
  explicit Recorder(Guest& run_in) : run{run_in} {}
  void on_deadline(std::uint8_t) override {
    fired = true;
    at = run.snapshot();
    if (also) also();
  }
  Guest& run;
  bool fired = false;
  Snapshot at{};
  std::function<void()> also;
};

/// So small that little fits.
constexpr silicon::MemoryHierarchy kTiny{
    .l1d = {2, 2}, .l2 = {2, 3}, .llc = {4, 2}, .dtlb = {1, 2}, .stlb = {1, 3}};

/// What one iteration of a REP instruction that moves memory adds at most.
std::uint64_t most_per_iteration(RawEvent event) {
  switch (event) {
    case RawEvent::kSlots:
    case RawEvent::kBackendBoundSlots: return 4;
    case RawEvent::kMemoryAccesses: return 2;
    // An iteration may go across lines and pages.
    case RawEvent::kL1dMisses:
    case RawEvent::kLlcReferences:
    case RawEvent::kLlcMisses:
    case RawEvent::kDtlbMisses:
    case RawEvent::kDtlbStoreWalks:
    case RawEvent::kDtlbWalks: return 2;
    default: return 1;
  }
}

std::uint64_t total(const Snapshot& s, RawEvent event, PrivilegeSet privileges) {
  const auto n = static_cast<std::size_t>(event);
  return (privileges.user ? s.user[n] : 0) + (privileges.kernel ? s.kernel[n] : 0);
}

using DeadlineCase = std::tuple<RawEvent, unsigned>;  // event, CPL
struct Deadline : testing::TestWithParam<DeadlineCase> {};

TEST_P(Deadline, FiresAtTheFirstBoundaryWhereItIsDue) {
  const RawEvent event = std::get<0>(GetParam());
  const unsigned cpl = std::get<1>(GetParam());
  const PrivilegeSet mine{cpl == 3, cpl == 0};
  const std::vector<Snapshot> steps = [&] {
    Guest run{cpl};
    run.t.totals.demand(event);
    std::vector<Snapshot> all = {run.snapshot()};
    while (all.size() < 200 && run.t.cpu.run(1, kForever) == Exit::kBudget)
      all.push_back(run.snapshot());
    return all;
  }();
  const std::uint64_t most = total(steps.back(), event, mine);
  ASSERT_GT(most, 0U);
  for (std::uint64_t due = 1; due <= most; ++due) {
    Guest run{cpl};
    run.t.totals.demand(event);
    Recorder recorder{run};
    run.t.deadlines.arm(3, event, mine, due, recorder);
    run.t.cpu.run(steps.size() - 1, kForever);
    ASSERT_TRUE(recorder.fired) << due;
    ASSERT_FALSE(run.t.deadlines.armed(3));
    // Either a boundary between instructions, the first of those where it is due, or (within a REP
    // instruction) behind the iteration with which it is due.
    const auto first = std::find_if(steps.begin(), steps.end(), [&](const Snapshot& s) {
      return total(s, event, mine) >= due;
    });
    ASSERT_NE(first, steps.end());
    const std::uint64_t reached = total(recorder.at, event, mine);
    if (recorder.at.rip == first->rip && reached == total(*first, event, mine)) {
      ASSERT_EQ(recorder.at, *first) << due;
    } else {
      const std::uint64_t before = total(*(first - 1), event, mine);
      ASSERT_EQ(recorder.at.rip, (first - 1)->rip) << due;
      ASSERT_EQ(run.t.take<std::uint8_t>(recorder.at.rip), 0xf3) << due;
      ASSERT_GE(reached, due) << before;
      ASSERT_LT(reached, due + most_per_iteration(event)) << before;
    }
    // Being asked changes nothing.
    ASSERT_EQ(run.snapshot(), steps.back()) << due;
  }
}

TEST(Interpreter, DeadlinesInRandomProgramsFireWhereSingleStepsReachThem) {
  std::mt19937 random{2};
  for (unsigned n = 0; n < 600; ++n) {
    const Bytes code = random_loop(random, n % 4 >= 2);
    const unsigned cpl = n % 2 == 0 ? 0 : 3;
    const silicon::MemoryHierarchy hierarchy = n % 3 == 0 ? silicon::MemoryHierarchy{} : kTiny;
    const auto event = static_cast<RawEvent>(random() % silicon::kCommonRawEventCount);
    const PrivilegeSet privileges{cpl == 3, cpl == 0};
    const std::uint64_t due = 1 + random() % 60;
    const auto prepare = [&](Guest& guest) {
      guest.t.put<std::uint8_t>(kCode + 0x800, 0xc3);
      guest.t.core().gpr[kRsi] = kData;
      guest.t.totals.demand(event);
    };
    Guest stepped{cpl, code, hierarchy};
    prepare(stepped);
    Exit exit = Exit::kBudget;
    Snapshot before = stepped.snapshot();
    Snapshot after = before;
    while (exit == Exit::kBudget && total(after, event, privileges) < due) {
      before = after;
      exit = stepped.t.cpu.run(1, kForever);
      after = stepped.snapshot();
    }
    const bool reached = total(after, event, privileges) >= due;

    Guest run{cpl, code, hierarchy};
    prepare(run);
    Recorder recorder{run};
    run.t.deadlines.arm(0, event, privileges, due, recorder);
    EXPECT_EQ(run.t.run(), Exit::kHalted);
    ASSERT_EQ(recorder.fired, reached) << n;
    if (!reached || recorder.at == after) continue;
    // Within a REP instruction, then, and not an iteration late.
    ASSERT_EQ(recorder.at.rip, before.rip) << "program " << n << ", " << silicon::name(event);
    ASSERT_EQ(run.t.take<std::uint8_t>(before.rip), 0xf3) << n;
    ASSERT_GE(total(recorder.at, event, privileges), due) << n;
    ASSERT_LT(total(recorder.at, event, privileges), due + most_per_iteration(event)) << n;
  }
}

std::string deadline_name(const testing::TestParamInfo<DeadlineCase>& info) {
  std::string text = silicon::name(std::get<0>(info.param));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); },
      '_');
  return text + (std::get<1>(info.param) == 0 ? "_kernel" : "_user");
}

INSTANTIATE_TEST_SUITE_P(
    Interpreter, Deadline,
    testing::Combine(
        testing::Values(RawEvent::kInstructions, RawEvent::kCycles, RawEvent::kReferenceCycles,
                        RawEvent::kBranches, RawEvent::kConditionalBranches,
                        RawEvent::kTakenBranches, RawEvent::kIndirectBranches, RawEvent::kCalls,
                        RawEvent::kReturns, RawEvent::kMispredictedBranches, RawEvent::kLoads,
                        RawEvent::kStores, RawEvent::kMemoryAccesses, RawEvent::kReadModifyWrites,
                        RawEvent::kSlots, RawEvent::kBackendBoundSlots, RawEvent::kL1dMisses,
                        RawEvent::kL1dLoadMisses, RawEvent::kLlcMisses, RawEvent::kDtlbStoreWalks),
        testing::Values(0U, 3U)),
    deadline_name);

// ---- Totals that follow from others -------------------------------------------------------------

TEST(Interpreter, SlotsAndMemoryAccessesFollowFromOtherTotals) {
  std::mt19937 random{3};
  for (unsigned n = 0; n < 100; ++n) {
    Guest run{n % 2 == 0 ? 0U : 3U, random_loop(random)};
    run.t.put<std::uint8_t>(kCode + 0x800, 0xc3);
    run.t.core().gpr[kRsi] = kData;
    for (Exit exit = Exit::kBudget; exit == Exit::kBudget;) {
      exit = run.t.cpu.run(1 + random() % 50, kForever);
      for (const PrivilegeSet who : {PrivilegeSet{true, false}, PrivilegeSet{false, true}}) {
        const auto count = [&](RawEvent event) { return run.t.count(event, who); };
        ASSERT_EQ(count(RawEvent::kReferenceCycles), count(RawEvent::kCycles));
        ASSERT_EQ(count(RawEvent::kMemoryAccesses),
                  count(RawEvent::kLoads) + count(RawEvent::kStores));
        ASSERT_EQ(count(RawEvent::kSlots), 4 * count(RawEvent::kCycles));
        ASSERT_EQ(count(RawEvent::kBackendBoundSlots) + count(RawEvent::kInstructions),
                  count(RawEvent::kSlots));
      }
    }
  }
}

struct ModifyCase {
  const char* name;
  Bytes code;
  unsigned modifies;
};

// RSI points to data. Every program ends with HLT.
TEST(Interpreter, InstructionsThatWriteBackTheirMemoryOperandAreReadModifyWrites) {
  const ModifyCase cases[] = {
      {"add mem", {0x01, 0x06}, 1},
      {"adc mem", {0x11, 0x06}, 1},
      {"lock or mem", {0xf0, 0x09, 0x06}, 1},
      {"inc mem", {0xff, 0x06}, 1},
      {"lock dec mem", {0xf0, 0xff, 0x0e}, 1},
      {"neg mem", {0xf7, 0x1e}, 1},
      {"not mem", {0xf7, 0x16}, 1},
      {"shl mem, 3", {0xc1, 0x26, 3}, 1},
      {"ror mem, cl", {0xd3, 0x0e}, 1},
      {"shld mem, eax, 3", {0x0f, 0xa4, 0x06, 3}, 1},
      {"bts mem, 3", {0x0f, 0xba, 0x2e, 3}, 1},
      {"lock btr mem, eax", {0xf0, 0x0f, 0xb3, 0x06}, 1},
      {"xadd mem", {0x0f, 0xc1, 0x06}, 1},
      {"xchg mem", {0x87, 0x06}, 1},
      {"cmpxchg mem", {0x0f, 0xb1, 0x06}, 1},
      {"lock cmpxchg8b mem", {0xf0, 0x0f, 0xc7, 0x0e}, 1},
      {"cmpxchg16b mem", {0x48, 0x0f, 0xc7, 0x0e}, 1},
      {"two of them", {0xff, 0x06, 0x01, 0x06}, 2},
      {"add from mem", {0x03, 0x06}, 0},
      {"cmp mem", {0x39, 0x06}, 0},
      {"test mem", {0x85, 0x06}, 0},
      {"bt mem, 3", {0x0f, 0xba, 0x26, 3}, 0},
      {"mov to mem", {0x89, 0x06}, 0},
      {"setz mem", {0x0f, 0x94, 0x06}, 0},
      {"push mem", {0xff, 0x36}, 0},
      {"push mem; pop mem", {0xff, 0x36, 0x8f, 0x46, 0x08}, 0},
      {"movsb", {0x48, 0x89, 0xf7, 0xa4}, 0},
      {"fxsave", {0x0f, 0xae, 0x06}, 0},
      {"add in registers", {0x01, 0xc3}, 0},
      {"xchg in registers", {0x87, 0xc3}, 0},
      {"lea", {0x8d, 0x06}, 0},
  };
  for (const ModifyCase& one : cases) {
    Bytes code = one.code;
    code.push_back(0xf4);
    Guest run{0, code};
    run.t.core().gpr[kRsi] = kData;
    EXPECT_EQ(run.t.run(), Exit::kHalted);
    EXPECT_FALSE(run.t.caught().has_value()) << one.name;
    EXPECT_EQ(run.t.count(RawEvent::kReadModifyWrites), one.modifies) << one.name;
  }
}

// ---- The memory model ---------------------------------------------------------------------------

constexpr RawEvent kMemoryEvents[] = {RawEvent::kL1dMisses,      RawEvent::kL1dLoadMisses,
                                      RawEvent::kLlcReferences,  RawEvent::kLlcMisses,
                                      RawEvent::kDtlbMisses,     RawEvent::kDtlbLoadWalks,
                                      RawEvent::kDtlbStoreWalks, RawEvent::kDtlbWalks};

/// Without a hierarchy every access misses everything: what misses is what was seen.
void expect_all_seen(TestCpu& t, const char* what) {
  for (const PrivilegeSet who : {PrivilegeSet{true, false}, PrivilegeSet{false, true}}) {
    const auto count = [&](RawEvent event) { return t.count(event, who); };
    for (const RawEvent event : {RawEvent::kL1dMisses, RawEvent::kLlcReferences,
                                 RawEvent::kLlcMisses, RawEvent::kDtlbMisses, RawEvent::kDtlbWalks})
      ASSERT_EQ(count(event), count(RawEvent::kMemoryAccesses)) << what << silicon::name(event);
    ASSERT_EQ(count(RawEvent::kL1dLoadMisses), count(RawEvent::kLoads)) << what;
    ASSERT_EQ(count(RawEvent::kDtlbLoadWalks), count(RawEvent::kLoads)) << what;
    ASSERT_EQ(count(RawEvent::kDtlbStoreWalks), count(RawEvent::kStores)) << what;
  }
}

TEST(Interpreter, EveryDataAccessOfRandomProgramsIsSeenOnce) {
  std::mt19937 random{6};
  for (unsigned n = 0; n < 100; ++n) {
    Guest run{n % 2 == 0 ? 0U : 3U, random_loop(random)};
    run.t.put<std::uint8_t>(kCode + 0x800, 0xc3);
    run.t.core().gpr[kRsi] = kData;
    run.t.totals.demand(kMemoryEvents[n % std::size(kMemoryEvents)]);
    Exit exit = Exit::kBudget;
    while (exit == Exit::kBudget) exit = run.t.cpu.run(1 + random() % 200, kForever);
    ASSERT_NO_FATAL_FAILURE(expect_all_seen(run.t, ""));
    EXPECT_GT(run.t.count(RawEvent::kMemoryAccesses), 0U);
  }
}

struct SeenCase {
  const char* name;
  Bytes code;
  std::uint64_t loads, stores;
};

// RSI points to data, the stack is aligned. Every program ends with HLT.
TEST(Interpreter, AccessesOfEveryKindAreSeenOnce) {
  const SeenCase cases[] = {
      {"nothing", {0x90}, 0, 0},
      {"lea", {0x8d, 0x06}, 0, 0},
      {"prefetcht0", {0x0f, 0x18, 0x0e}, 0, 0},
      {"clflush", {0x0f, 0xae, 0x3e}, 0, 0},
      {"invlpg", {0x0f, 0x01, 0x3e}, 0, 0},
      {"push; pop", {0x50, 0x5b}, 1, 1},
      {"push mem; pop mem", {0xff, 0x36, 0x8f, 0x06}, 2, 2},
      {"pushf; popf", {0x9c, 0x9d}, 1, 1},
      {"call; ret over it", {0xe8, 1, 0, 0, 0, 0xf4, 0xc3}, 1, 1},
      {"enter 16, 0; leave", {0xc8, 16, 0, 0, 0xc9}, 1, 1},
      {"mov rbp, rsp; enter 16, 3", {0x48, 0x89, 0xe5, 0xc8, 16, 0, 3}, 2, 4},
      {"add mem", {0x01, 0x06}, 1, 1},
      {"lock cmpxchg mem", {0xf0, 0x0f, 0xb1, 0x1e}, 1, 1},
      {"cmpxchg16b", {0x48, 0x0f, 0xc7, 0x0e}, 1, 1},
      {"xchg mem", {0x87, 0x06}, 1, 1},
      {"bt mem, rax", {0x48, 0x0f, 0xa3, 0x06}, 1, 0},
      {"setz mem", {0x0f, 0x94, 0x06}, 0, 1},
      {"cmovz from mem", {0x0f, 0x44, 0x06}, 1, 0},
      {"movaps xmm0, mem; movups mem, xmm0", {0x0f, 0x28, 0x06, 0x0f, 0x11, 0x06}, 1, 1},
      {"movq mm0, mem; movq mem, mm0", {0x0f, 0x6f, 0x06, 0x0f, 0x7f, 0x06}, 1, 1},
      {"fld tbyte; fstp tbyte", {0xdb, 0x2e, 0xdb, 0x3e}, 1, 1},
      {"fnstcw; fldcw", {0xd9, 0x3e, 0xd9, 0x2e}, 1, 1},
      {"movsb", {0x48, 0x89, 0xf7, 0xa4}, 1, 1},
      {"rep movsb", {0xb9, 7, 0, 0, 0, 0x48, 0x89, 0xf7, 0xf3, 0xa4}, 7, 7},
      {"repe cmpsb", {0xb9, 5, 0, 0, 0, 0x48, 0x89, 0xf7, 0xf3, 0xa6}, 10, 0},
      {"lodsq; stosq", {0x48, 0x89, 0xf7, 0x48, 0xad, 0x48, 0xab}, 1, 1},
      {"push code selector; push rax; lretq",
       {0x6a, 0x08, 0x48, 0x8d, 0x05, 3, 0, 0, 0, 0x50, 0x48, 0xcb},
       2,
       2},
      {"push 0; pop fs", {0x6a, 0x00, 0x0f, 0xa1}, 1, 1},
  };
  for (const SeenCase& one : cases) {
    Bytes code = one.code;
    code.push_back(0xf4);
    Guest run{0, code};
    run.t.core().gpr[kRsi] = kData;
    run.t.totals.demand(RawEvent::kL1dMisses);
    EXPECT_EQ(run.t.run(), Exit::kHalted);
    EXPECT_FALSE(run.t.caught().has_value()) << one.name;
    EXPECT_EQ(run.t.count(RawEvent::kLoads), one.loads) << one.name;
    EXPECT_EQ(run.t.count(RawEvent::kStores), one.stores) << one.name;
    expect_all_seen(run.t, one.name);
  }
}

TEST(Interpreter, ReturnsFromInterruptsAreSeenAndDeliveriesAreNot) {
  Guest run{0, {0xcc, 0xf4}};                                         // int3; hlt
  run.t.put_bytes(TestCpu::handler(kBreakpoint), Bytes{0x48, 0xcf});  // iretq
  run.t.totals.demand(RawEvent::kL1dMisses);
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_FALSE(run.t.caught().has_value());
  EXPECT_EQ(run.t.count(RawEvent::kL1dLoadMisses), 5U);
  EXPECT_EQ(run.t.count(RawEvent::kL1dMisses), 5U);
}

TEST(Interpreter, AnAccessAcrossAPageIsSeenInBoth) {
  Guest run{0, {0x48, 0x8b, 0x86, 0xfc, 0x0f, 0, 0, 0xf4}};  // mov rax, [rsi + 0xffc]
  run.t.core().gpr[kRsi] = kData;
  run.t.totals.demand(RawEvent::kDtlbWalks);
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.count(RawEvent::kLoads), 1U);
  EXPECT_EQ(run.t.count(RawEvent::kDtlbLoadWalks), 2U);
  EXPECT_EQ(run.t.count(RawEvent::kL1dLoadMisses), 2U);
}

TEST(Interpreter, DevicesAreNotCached) {
  Guest run{0, {0x8b, 0x06, 0x89, 0x06, 0xf4}};  // mov eax, [rsi]; mov [rsi], eax
  run.t.core().gpr[kRsi] = kDevice;
  run.t.totals.demand(RawEvent::kL1dMisses);
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.environment.mmio.size(), 2U);
  EXPECT_EQ(run.t.count(RawEvent::kMemoryAccesses), 2U);
  EXPECT_EQ(run.t.count(RawEvent::kL1dMisses), 0U);
  EXPECT_EQ(run.t.count(RawEvent::kDtlbMisses), 0U);
}

TEST(Interpreter, AFlushedLineMissesAgain) {
  // mov eax, [rsi]; mov eax, [rsi]; clflush [rsi]; mov eax, [rsi]
  Guest run{0, {0x8b, 0x06, 0x8b, 0x06, 0x0f, 0xae, 0x3e, 0x8b, 0x06, 0xf4}, kTiny};
  run.t.core().gpr[kRsi] = kData;
  run.t.totals.demand(RawEvent::kLlcMisses);
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.count(RawEvent::kLlcMisses), 2U);
  EXPECT_EQ(run.t.count(RawEvent::kDtlbWalks), 1U);
}

TEST(Interpreter, NewPageTablesAreWalked) {
  // mov eax, [rsi]; mov rax, cr3; mov cr3, rax; mov eax, [rsi]
  Guest run{0, {0x8b, 0x06, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0x8b, 0x06, 0xf4}, kTiny};
  run.t.core().gpr[kRsi] = kData;
  run.t.totals.demand(RawEvent::kDtlbWalks);
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.count(RawEvent::kDtlbWalks), 2U);
  EXPECT_EQ(run.t.count(RawEvent::kL1dMisses), 1U);
}

TEST(Interpreter, WhatNobodyAsksForStandsStill) {
  Guest run{0, busy_loop(4), kTiny};
  EXPECT_EQ(run.t.run(5), Exit::kBudget);
  run.t.totals.demand(RawEvent::kL1dMisses);
  EXPECT_EQ(run.t.run(40), Exit::kBudget);
  const std::uint64_t seen = run.t.count(RawEvent::kL1dMisses);
  EXPECT_GT(seen, 0U);
  run.t.totals.release(RawEvent::kL1dMisses);
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.count(RawEvent::kL1dMisses), seen);
}

TEST(Interpreter, TheMemoryModelChangesNothingElseAndDoesNotDependOnHowARunIsCut) {
  std::mt19937 random{7};
  for (unsigned n = 0; n < 100; ++n) {
    const Bytes code = random_loop(random, true);
    const unsigned cpl = n % 2 == 0 ? 0 : 3;
    const auto run_it = [&](bool model, std::uint64_t most) {
      Guest run{cpl, code, kTiny};
      run.t.put<std::uint8_t>(kCode + 0x800, 0xc3);
      run.t.core().gpr[kRsi] = kData;
      if (model) run.t.totals.demand(RawEvent::kLlcMisses);
      Exit exit = Exit::kBudget;
      while (exit == Exit::kBudget) exit = run.t.cpu.run(1 + random() % most, kForever);
      EXPECT_EQ(exit, Exit::kHalted);
      return run.snapshot();
    };
    Snapshot whole = run_it(true, 100'000);
    for (const std::uint64_t most : {1U, 3U, 20U}) ASSERT_EQ(run_it(true, most), whole) << n;
    for (const RawEvent event : kMemoryEvents)
      whole.user[static_cast<std::size_t>(event)] = whole.kernel[static_cast<std::size_t>(event)] =
          0;
    ASSERT_EQ(run_it(false, 100'000), whole) << n;
  }
}

// ---- Conditions on cycles -----------------------------------------------------------------------

TEST(Interpreter, ConditionsOnCyclesCountBetweenAnyTwoInstructions) {
  // mov eax, [rsi] (00 + 01: two cycles, the load in the last); nop; push [rsi] (load and store in
  // three cycles); cli (one cycle); pushf: two cycles.
  Guest run{0, {0x8b, 0x06, 0x90, 0xff, 0x36, 0xfa, 0x9c, 0xf4}};
  run.t.core().gpr[kRsi] = kData;
  const auto watch = [&](RawEvent event, unsigned threshold, bool inverted, bool edge) {
    return *run.t.conditions.watch(
        {event, static_cast<std::uint8_t>(threshold), inverted, edge, silicon::kAllPrivileges});
  };
  const RawEvent loading = watch(RawEvent::kLoads, 1, false, false);
  const RawEvent idle = watch(RawEvent::kInstructions, 1, true, false);
  const RawEvent accesses = watch(RawEvent::kMemoryAccesses, 1, false, false);
  const RawEvent bursts = watch(RawEvent::kMemoryAccesses, 1, false, true);
  EXPECT_EQ(run.t.run(5), Exit::kBudget);
  //               01 0 001 0 00
  EXPECT_EQ(run.t.count(loading), 2U);
  //               01 1 001 1 01
  EXPECT_EQ(run.t.count(idle), 4U);
  //               01 0 011 0 01
  EXPECT_EQ(run.t.count(accesses), 4U);
  EXPECT_EQ(run.t.count(bursts), 3U);
}

TEST(Interpreter, ConditionsLookAtEveryIterationOfARepInstruction) {
  Guest run{0, {0xf3, 0xab, 0xf4}};  // rep stosd
  run.t.core().gpr[kRdi] = kData;
  run.t.core().gpr[kRcx] = 10;
  const RawEvent storing = *run.t.conditions.watch({RawEvent::kStores});
  EXPECT_EQ(run.t.run(1), Exit::kBudget);
  EXPECT_EQ(run.t.count(RawEvent::kCycles), 12U);
  EXPECT_EQ(run.t.count(storing), 10U);
}

TEST(Interpreter, DeliveriesAreCyclesWithoutInstructions) {
  Guest run{3, {0x90, 0x0f, 0x0b}};  // nop; ud2
  const RawEvent stalled = *run.t.conditions.watch({RawEvent::kInstructions, 1, true});
  const RawEvent stalls = *run.t.conditions.watch({RawEvent::kInstructions, 1, true, true});
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  const PrivilegeSet user{true, false}, kernel{false, true};
  EXPECT_EQ(run.t.count(stalled, user), 0U);
  // 60 cycles of delivery, and 19 of 20 of HLT.
  EXPECT_EQ(run.t.count(stalled, kernel), 79U);
  EXPECT_EQ(run.t.count(stalls, user), 0U);
  EXPECT_EQ(run.t.count(stalls, kernel), 1U);
}

TEST(Interpreter, AHaltMakesConditionsFalse) {
  Guest run{0, {0xfb, 0xf4}};                                  // sti; hlt
  run.t.put_bytes(TestCpu::handler(0x40), Bytes{0x48, 0xcf});  // iretq
  run.t.put_bytes(kCode + 2, Bytes{0x90, 0xf4});               // nop; hlt
  const RawEvent edges = *run.t.conditions.watch({RawEvent::kCycles, 1, false, true});
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.count(edges), 1U);
  run.t.environment.interrupts = {0x40};
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.count(edges), 2U);
}

TEST(Interpreter, WatchingConditionsChangesNothingElse) {
  std::mt19937 random{4};
  for (unsigned n = 0; n < 100; ++n) {
    const Bytes code = random_loop(random);
    const unsigned cpl = n % 2 == 0 ? 0 : 3;
    const auto run_it = [&](bool watch) {
      Guest run{cpl, code};
      run.t.put<std::uint8_t>(kCode + 0x800, 0xc3);
      run.t.core().gpr[kRsi] = kData;
      if (watch) run.t.conditions.watch({RawEvent::kLoads, 1, n % 3 == 0, n % 5 == 0});
      EXPECT_EQ(run.t.run(), Exit::kHalted);
      Snapshot end = run.snapshot();
      for (auto* totals : {&end.user, &end.kernel}) totals->at(silicon::kNamedRawEventCount) = 0;
      return end;
    };
    ASSERT_EQ(run_it(true), run_it(false)) << n;
  }
}

TEST(Interpreter, DeadlinesOnConditionsFireOnTheirInstruction) {
  std::mt19937 random{5};
  for (unsigned n = 0; n < 200; ++n) {
    const Bytes code = random_loop(random);
    const silicon::CycleCondition condition{RawEvent::kMemoryAccesses, 1, n % 2 == 0, n % 3 == 0,
                                            silicon::kAllPrivileges};
    const std::uint64_t due = 1 + random() % 40;
    const auto prepare = [&](Guest& guest) {
      guest.t.put<std::uint8_t>(kCode + 0x800, 0xc3);
      guest.t.core().gpr[kRsi] = kData;
      return *guest.t.conditions.watch(condition);
    };
    Guest stepped{0, code};
    const RawEvent event = prepare(stepped);
    Exit exit = Exit::kBudget;
    Snapshot before{}, after = stepped.snapshot();
    while (exit == Exit::kBudget && total(after, event, silicon::kAllPrivileges) < due) {
      before = after;
      exit = stepped.t.cpu.run(1, kForever);
      after = stepped.snapshot();
    }
    const bool reached = total(after, event, silicon::kAllPrivileges) >= due;

    Guest run{0, code};
    prepare(run);
    Recorder recorder{run};
    run.t.deadlines.arm(0, event, silicon::kAllPrivileges, due, recorder);
    EXPECT_EQ(run.t.run(), Exit::kHalted);
    ASSERT_EQ(recorder.fired, reached) << n;
    if (!reached || recorder.at == after) continue;
    // Within a REP instruction, then.
    ASSERT_EQ(recorder.at.rip, before.rip) << n;
    ASSERT_EQ(run.t.take<std::uint8_t>(before.rip), 0xf3) << n;
    ASSERT_EQ(total(recorder.at, event, silicon::kAllPrivileges), due) << n;
  }
}

// ---- Deadlines and privileges -------------------------------------------------------------------

TEST(Interpreter, ADeadlineOfTheOtherPrivilegeWaits) {
  Guest run{3};
  Recorder recorder{run};
  run.t.deadlines.arm(0, RawEvent::kInstructions, {false, true}, 1, recorder);
  run.t.cpu.run(40, kForever);
  EXPECT_FALSE(recorder.fired);
  EXPECT_EQ(run.t.instructions(), 40U);
}

TEST(Interpreter, ADeadlineOfBothPrivilegesCountsAcrossASystemCall) {
  for (std::uint64_t due = 1; due <= 6; ++due) {
    Guest run{3, {0x90, 0x90, 0x0f, 0x05}};  // nop; nop; syscall
    run.t.core().star = std::uint64_t{kCode64} << 32;
    run.t.core().lstar = kCode + 0x100;
    run.t.put_bytes(kCode + 0x100, Bytes{0x90, 0x90, 0x90, 0xf4});
    Recorder recorder{run};
    run.t.deadlines.arm(0, RawEvent::kInstructions, silicon::kAllPrivileges, due, recorder);
    EXPECT_EQ(run.t.run(), Exit::kHalted);
    ASSERT_TRUE(recorder.fired);
    const std::uint64_t expected[] = {
        0, kCode + 1, kCode + 2, kCode + 0x100, kCode + 0x101, kCode + 0x102, kCode + 0x103};
    EXPECT_EQ(recorder.at.rip, expected[due]) << due;
  }
}

TEST(Interpreter, ADeadlineMayArmTheNextOne) {
  Guest run;
  Recorder recorder{run};
  std::vector<std::uint64_t> fired;
  recorder.also = [&] {
    fired.push_back(run.t.instructions());
    run.t.deadlines.arm(0, RawEvent::kInstructions, silicon::kAllPrivileges, fired.back() + 7,
                        recorder);
  };
  run.t.deadlines.arm(0, RawEvent::kInstructions, silicon::kAllPrivileges, 7, recorder);
  run.t.cpu.run(50, kForever);
  EXPECT_EQ(fired, (std::vector<std::uint64_t>{7, 14, 21, 28, 35, 42, 49}));
}

// Delivery takes cycles itself: a deadline that it reaches is due before the handler's first
// instruction.
TEST(Interpreter, ACycleDeadlineReachedByADeliveryFiresBeforeTheHandlerRuns) {
  for (const std::uint64_t due : {1U, 20U, 59U, 60U}) {
    Guest run{0, Bytes(64, 0x90)};
    run.t.core().rflags |= kIf;
    run.t.environment.interrupts = {0x40};
    Recorder recorder{run};
    run.t.deadlines.arm(0, RawEvent::kCycles, silicon::kAllPrivileges, due, recorder);
    EXPECT_EQ(run.t.run(), Exit::kHalted);
    ASSERT_TRUE(recorder.fired) << due;
    EXPECT_EQ(recorder.at.rip, TestCpu::handler(0x40)) << due;
    EXPECT_EQ(total(recorder.at, RawEvent::kInstructions, silicon::kAllPrivileges), 0U) << due;
  }
}

TEST(Interpreter, ADeadlineThatIsDueAlreadyFiresAtTheNextBoundary) {
  Guest run;
  Recorder recorder{run};
  std::vector<std::uint64_t> fired;
  recorder.also = [&] {
    fired.push_back(run.t.instructions());
    if (fired.size() < 3)
      run.t.deadlines.arm(0, RawEvent::kInstructions, silicon::kAllPrivileges, 1, recorder);
  };
  run.t.deadlines.arm(0, RawEvent::kInstructions, silicon::kAllPrivileges, 5, recorder);
  run.t.cpu.run(50, kForever);
  ASSERT_EQ(fired.size(), 3U);
  EXPECT_EQ(fired[0], 5U);
  EXPECT_LE(fired[1], 6U);
  EXPECT_LE(fired[2], 7U);
}

// ---- Interrupts ---------------------------------------------------------------------------------

TEST(Interpreter, AnInterruptIsTakenAtTheBoundaryWhereItWaits) {
  for (std::uint64_t n = 0; n < 30; ++n) {
    Guest run;
    run.t.core().rflags |= kIf;
    run.t.cpu.run(n, kForever);
    const std::uint64_t rip = run.t.core().rip;
    run.t.environment.interrupts = {0x40};
    EXPECT_EQ(run.t.run(), Exit::kHalted);
    const auto caught = run.t.caught();
    ASSERT_TRUE(caught);
    EXPECT_EQ(caught->vector, 0x40U);
    EXPECT_EQ(caught->rip, rip);
    EXPECT_TRUE(caught->rflags & kIf);
    EXPECT_FALSE(run.t.core().rflags & kIf);
    EXPECT_EQ(run.t.instructions(), n + 1);  // and the handler's HLT
  }
}

TEST(Interpreter, InterruptsWaitForTheInterruptFlag) {
  Guest run;
  run.t.environment.interrupts = {0x40};
  run.t.cpu.run(20, kForever);
  EXPECT_EQ(run.t.environment.interrupts.size(), 1U);
}

struct ShadowCase {
  const char* what;
  Bytes code;
  std::uint64_t after;  // instruction bytes before the boundary where the interrupt may come in
  bool flag_before;
};

TEST(Interpreter, ShadowsHoldInterruptsForOneInstruction) {
  const ShadowCase cases[] = {
      {"sti; nop", {0xfb, 0x90, 0x90}, 2, false},
      {"sti with interrupts on has none", {0xfb, 0x90, 0x90}, 0, true},
      {"mov ss, ax; nop", {0x8e, 0xd0, 0x90, 0x90}, 3, true},
      {"sti; cli never lets it in", {0xfb, 0xfa, 0x90, 0xf4}, 99, false},
  };
  for (const ShadowCase& c : cases) {
    Guest run{0, c.code};
    run.t.core().gpr[kRax] = kDataSelector;
    if (c.after == 0) {
      run.t.core().rflags |= kIf;
      run.t.environment.interrupts = {0x40};
      run.t.run();
      EXPECT_EQ(run.t.caught()->rip, kCode) << c.what;
      continue;
    }
    if (c.flag_before) {
      run.t.core().rflags |= kIf;
      run.t.cpu.run(1, kForever);
    }
    run.t.environment.interrupts = {0x40};
    EXPECT_EQ(run.t.run(), Exit::kHalted) << c.what;
    const auto caught = run.t.caught();
    EXPECT_EQ(caught.has_value(), c.after != 99) << c.what;
    if (caught) {
      EXPECT_EQ(caught->rip, kCode + c.after) << c.what;
    }
  }
}

TEST(Interpreter, HaltEndsWithAnInterruptOnly) {
  Guest run{0, {0xfb, 0xf4, 0x90}};  // sti; hlt; nop
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_FALSE(run.t.cpu.runnable());
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.instructions(), 2U);
  run.t.environment.interrupts = {0x41};
  EXPECT_TRUE(run.t.cpu.runnable());
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.caught()->vector, 0x41U);
  EXPECT_EQ(run.t.caught()->rip, kCode + 2);
}

TEST(Interpreter, AnNmiNeedsNoFlagAndBlocksTheNextUntilIret) {
  Guest run{0, {0x90, 0x90, 0xf4}};
  // The handler counts in EDI and returns.
  run.t.put_bytes(TestCpu::handler(kNmi), Bytes{0xff, 0xc7, 0x90, 0x48, 0xcf});
  run.t.cpu.run(1, kForever);
  run.t.cpu.raise_nmi();
  run.t.cpu.run(1, kForever);
  EXPECT_TRUE(run.t.core().nmi_blocked);
  EXPECT_EQ(run.t.core().gpr[kRdi], 1U);
  run.t.cpu.raise_nmi();
  run.t.cpu.run(1, kForever);
  EXPECT_EQ(run.t.core().rip, TestCpu::handler(kNmi) + 3);  // still in the first one
  run.t.cpu.run(1, kForever);
  EXPECT_EQ(run.t.core().rip, kCode + 1);
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.core().gpr[kRdi], 2U);
  EXPECT_EQ(run.t.core().rip, kCode + 3);
}

TEST(Interpreter, AnNmiComesBeforeAnInterrupt) {
  Guest run{0, {0x90}};
  run.t.core().rflags |= kIf;
  run.t.environment.interrupts = {0x40};
  run.t.cpu.raise_nmi();
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.caught()->vector, unsigned{kNmi});
  EXPECT_EQ(run.t.caught()->rip, kCode);
}

TEST(Interpreter, ARequestToExitIsObeyedAfterTheInstruction) {
  Guest run{0, {0xe6, 0x80, 0x90, 0x90, 0xf4}};  // out 0x80, al
  run.t.environment.on_port_write = [&] { run.t.cpu.request_exit(); };
  EXPECT_EQ(run.t.run(), Exit::kRequested);
  EXPECT_EQ(run.t.core().rip, kCode + 2);
  EXPECT_EQ(run.t.instructions(), 1U);
  EXPECT_EQ(run.t.run(), Exit::kHalted);
}

// ---- INIT and SIPI ------------------------------------------------------------------------------

TEST(Interpreter, InitKeepsMsrsAndVectorsAndWaitsForASipi) {
  Guest run;
  run.t.core().lstar = 0x1234;
  run.t.core().xmm[3] = {1, 2};
  run.t.cpu.run(5, kForever);
  run.t.cpu.init();
  EXPECT_EQ(run.t.run(), Exit::kWaiting);
  EXPECT_FALSE(run.t.cpu.runnable());
  EXPECT_EQ(run.t.core().lstar, 0x1234U);
  EXPECT_EQ(run.t.core().xmm[3], (Xmm{1, 2}));
  EXPECT_EQ(run.t.core().cr0, kCr0Et | (run.t.core().cr0 & (kCr0Cd | kCr0Nw)));
  EXPECT_FALSE(run.t.core().long_mode());
  EXPECT_EQ(run.t.instructions(), 5U);

  run.t.put_bytes(0x6'0000, Bytes{0x8c, 0xc8, 0xf4});  // mov ax, cs; hlt, in real mode
  run.t.cpu.sipi(0x60);
  EXPECT_TRUE(run.t.cpu.runnable());
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.core().gpr[kRax] & 0xffff, 0x6000U);
  EXPECT_EQ(run.t.core().rip, 3U);
}

TEST(Interpreter, ASipiIsIgnoredUnlessWaitedFor) {
  Guest run;
  run.t.cpu.sipi(0x60);
  EXPECT_EQ(run.t.core().rip, kCode);
  EXPECT_TRUE(run.t.core().long_mode());
}

TEST(Interpreter, ResetStartsAtTheTopOfTheFirstFourGigabytes) {
  Guest run;
  run.t.cpu.reset();
  const Core& core = run.t.core();
  EXPECT_EQ(core.rip + core.segment[kCs].base, 0xfffffff0U);
  EXPECT_EQ(core.segment[kCs].selector, 0xf000);
  EXPECT_EQ(core.cr0, 0x60000010U);
  EXPECT_EQ(rflags(core), 2U);
  EXPECT_EQ(core.dr6, 0xffff0ff0U);
  EXPECT_EQ(core.dr7, 0x400U);
  EXPECT_EQ(core.idtr.limit, 0xffff);
}

// ---- Single-step and breakpoints ----------------------------------------------------------------

constexpr std::uint64_t kSingleStep = 1 << 14;

TEST(Interpreter, SingleStepTrapsBehindEveryInstruction) {
  const std::vector<Snapshot> steps = single_steps(0);
  for (std::size_t n = 1; n < 30; ++n) {
    Guest run;
    run.t.cpu.run(n - 1, kForever);
    run.t.core().rflags |= kTf;
    EXPECT_EQ(run.t.run(), Exit::kHalted);
    const auto caught = run.t.caught();
    ASSERT_TRUE(caught);
    ASSERT_EQ(caught->vector, unsigned{kDebug});
    // A REP instruction traps behind its first iteration already.
    const bool repeats = run.t.take<std::uint8_t>(steps[n - 1].rip) == 0xf3;
    ASSERT_EQ(caught->rip, steps[repeats ? n - 1 : n].rip) << n;
    EXPECT_TRUE(caught->rflags & kTf);
    EXPECT_FALSE(run.t.core().rflags & kTf);
    EXPECT_EQ(run.t.core().dr6 & kSingleStep, kSingleStep);
  }
}

TEST(Interpreter, SingleStepStopsAtEveryIterationOfAStringInstruction) {
  Guest run{0, {0xf3, 0xaa, 0x90}};  // rep stosb
  run.t.core().gpr[kRcx] = 3;
  run.t.core().gpr[kRdi] = kData;
  run.t.core().rflags |= kTf;
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  ASSERT_TRUE(run.t.caught());
  EXPECT_EQ(run.t.caught()->rip, kCode);
  EXPECT_EQ(run.t.core().gpr[kRcx], 2U);
}

TEST(Interpreter, PopfSetsTheTrapFlagForTheInstructionBehindIt) {
  Guest run{0, {0x9d, 0x90, 0x90, 0xf4}};  // popfq; nop; nop
  run.t.core().gpr[kRsp] -= 8;
  run.t.put(kKernelStack - 8, kTf | 2);
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  ASSERT_TRUE(run.t.caught());
  EXPECT_EQ(run.t.caught()->rip, kCode + 2);
}

TEST(Interpreter, NoSingleStepTrapRightBehindALoadOfSs) {
  Guest run{0, {0x8e, 0xd0, 0x90, 0x90}};  // mov ss, ax; nop
  run.t.core().gpr[kRax] = kDataSelector;
  run.t.core().rflags |= kTf;
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  ASSERT_TRUE(run.t.caught());
  EXPECT_EQ(run.t.caught()->rip, kCode + 3);
}

TEST(Interpreter, AFaultComesInsteadOfTheSingleStepTrap) {
  Guest run{0, {0x0f, 0x0b}};  // ud2
  run.t.core().rflags |= kTf;
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  ASSERT_TRUE(run.t.caught());
  EXPECT_EQ(run.t.caught()->vector, unsigned{kInvalidOpcode});
  EXPECT_FALSE(run.t.core().dr6 & kSingleStep);
}

TEST(Interpreter, AnInstructionBreakpointFaultsBeforeItsInstruction) {
  Guest run{0, {0x90, 0x90, 0x90, 0xf4}};
  run.t.core().dr[1] = kCode + 2;
  run.t.core().dr7 |= 1 << 2;
  run.t.cpu.state_changed();
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  const auto caught = run.t.caught();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->vector, unsigned{kDebug});
  EXPECT_EQ(caught->rip, kCode + 2);
  EXPECT_TRUE(caught->rflags & kRf);
  EXPECT_EQ(run.t.core().dr6 & 0xf, 2U);
  EXPECT_EQ(run.t.instructions(), 3U);  // two NOPs, and the handler's HLT
}

TEST(Interpreter, IretWithRfGetsPastTheBreakpointOnce) {
  // jmp back to the breakpoint: it hits a second time.
  Guest run{0, {0x90, 0x90, 0xeb, 0xfc}};
  run.t.put_bytes(TestCpu::handler(kDebug), Bytes{0xff, 0xc7, 0x48, 0xcf});
  run.t.core().dr[0] = kCode + 1;
  run.t.core().dr7 |= 1;
  run.t.cpu.state_changed();
  run.t.cpu.run(1 + 2 + 3 + 2 + 1, kForever);  // NOP, handler, NOP JMP NOP, handler, NOP
  EXPECT_EQ(run.t.core().gpr[kRdi], 2U);
  EXPECT_EQ(run.t.core().rip, kCode + 2);
}

struct WatchCase {
  const char* what;
  Bytes code;
  std::uint64_t dr7;
  bool hit;
};

// DR7 for breakpoint 0: enabled, R/W in bits 17:16, LEN in bits 19:18 (0: 1, 1: 2, 2: 8, 3: 4
// bytes).
constexpr std::uint64_t watch(std::uint64_t kind, std::uint64_t length) {
  return 0x400 | 1 | kind << 16 | length << 18;
}

TEST(Interpreter, DataBreakpointsTrapBehindTheAccess) {
  const WatchCase cases[] = {
      {"a write to a write watchpoint", {0x89, 0x06, 0x90}, watch(1, 3), true},
      {"a read of a write watchpoint", {0x8b, 0x06, 0x90}, watch(1, 3), false},
      {"a read of an access watchpoint", {0x8b, 0x06, 0x90}, watch(3, 3), true},
      {"a write that ends before it", {0x89, 0x46, 0xfc}, watch(1, 0), false},
      {"a write that reaches into it", {0x89, 0x46, 0xfd}, watch(1, 0), true},
      {"a write to its last byte", {0x88, 0x46, 0x07}, watch(1, 2), true},
      {"a write behind it", {0x88, 0x46, 0x08}, watch(1, 2), false},
      {"one that is off", {0x89, 0x06, 0x90}, watch(1, 3) & ~std::uint64_t{1}, false},
  };
  for (const WatchCase& c : cases) {
    Guest run{0, c.code};
    run.t.put<std::uint8_t>(kCode + 3, 0xf4);
    run.t.core().gpr[kRsi] = kData;
    run.t.core().dr[0] = kData;
    run.t.core().dr7 = c.dr7;
    run.t.cpu.state_changed();
    EXPECT_EQ(run.t.run(), Exit::kHalted);
    const auto caught = run.t.caught();
    ASSERT_EQ(caught.has_value(), c.hit) << c.what;
    if (!caught) continue;
    EXPECT_EQ(caught->vector, unsigned{kDebug}) << c.what;
    EXPECT_EQ(caught->rip, kCode + (c.code[2] == 0x90 ? 2U : 3U)) << c.what;
    EXPECT_EQ(run.t.core().dr6 & 0xf, 1U) << c.what;
  }
}

// ---- Exceptions ---------------------------------------------------------------------------------

TEST(Interpreter, AFaultInTheMiddleOfABlockRetiresWhatWasBeforeIt) {
  // Five instructions, a load from an unmapped page, more.
  Guest run{0, {0x90, 0xff, 0xc0, 0x89, 0x06, 0xff, 0xc1, 0x90, 0x8b, 0x17, 0x90, 0x90}};
  run.t.core().gpr[kRsi] = kData;
  run.t.core().gpr[kRdi] = 0x60'0000;
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  const auto caught = run.t.caught();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->vector, unsigned{kPageFault});
  EXPECT_EQ(caught->rip, kCode + 8);
  EXPECT_TRUE(caught->rflags & kRf);
  EXPECT_EQ(run.t.core().cr2, 0x60'0000U);
  EXPECT_EQ(run.t.instructions(), 6U);  // five, and the handler's HLT
  EXPECT_EQ(run.t.count(RawEvent::kStores), 1U);
  EXPECT_EQ(run.t.count(RawEvent::kLoads), 0U);
}

TEST(Interpreter, ATripleFaultShutsDownUntilReset) {
  Guest run{0, {0x0f, 0x0b}};
  run.t.core().idtr.limit = 0;
  EXPECT_EQ(run.t.run(), Exit::kShutdown);
  EXPECT_FALSE(run.t.cpu.runnable());
  EXPECT_EQ(run.t.run(), Exit::kShutdown);
  run.t.start_long_mode();
  run.t.code_pages.written(kCode / 4096);
  run.t.code({0xf4});
  EXPECT_EQ(run.t.run(), Exit::kHalted);
}

TEST(Interpreter, ExceptionsCountTheirDeliveryAsKernelCycles) {
  Guest run{3, {0x0f, 0x0b}};
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.count(RawEvent::kCycles, {true, false}), 0U);
  EXPECT_EQ(run.t.count(RawEvent::kCycles, {false, true}), 60U + 20U);  // delivery and HLT
  EXPECT_EQ(run.t.count(RawEvent::kInstructions, {true, false}), 0U);
}

// ---- Code that changes --------------------------------------------------------------------------

TEST(Interpreter, CodeMayChangeTheInstructionRightBehindIt) {
  // mov byte [rip + 0], 0xf4: the NOP behind it becomes a HLT.
  Guest run{0, {0xc6, 0x05, 0x00, 0, 0, 0, 0xf4, 0x90, 0xff, 0xc0}};
  EXPECT_EQ(run.t.run(3), Exit::kHalted);
  EXPECT_EQ(run.t.core().rip, kCode + 8);
  EXPECT_EQ(run.t.core().gpr[kRax], 0U);
}

TEST(Interpreter, CodeMayChangeItselfInEveryRoundOfALoop) {
  // The immediate of MOV EAX is counted up; the sum is 1 + 2 + ... + 10.
  Guest run{0, {0xbb, 0,    0,    0,    0, 0xb9, 10, 0, 0, 0,  // 00 mov ebx, 0; 05 mov ecx, 10
                0xff, 0x05, 0x01, 0,    0, 0,                  // 0a inc dword [rip + 1]
                0xb8, 0,    0,    0,    0,                     // 10 mov eax, 0
                0x01, 0xc3, 0xff, 0xc9,                        // 15 add ebx, eax; 17 dec ecx
                0x75, 0xef, 0xf4}};                            // 19 jnz 0a; 1b hlt
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_FALSE(run.t.caught());
  EXPECT_EQ(run.t.core().gpr[kRbx], 55U);
  EXPECT_EQ(run.t.instructions(), 2U + 10 * 5 + 1);
}

TEST(Interpreter, AStringInstructionMayOverwriteWhatIsBehindIt) {
  Guest run{0, {0xf3, 0xaa, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xc3}};  // rep stosb; nops; inc ebx
  run.t.core().gpr[kRax] = 0xf4;
  run.t.core().gpr[kRcx] = 5;
  run.t.core().gpr[kRdi] = kCode + 2;
  EXPECT_EQ(run.t.run(20), Exit::kHalted);
  EXPECT_EQ(run.t.core().rip, kCode + 3);
  EXPECT_EQ(run.t.core().gpr[kRcx], 0U);
}

TEST(Interpreter, AWriteAcrossPagesChangesCodeInBoth) {
  const std::uint64_t edge = kCode + 0x1000;
  Guest run;
  // A two-byte instruction across the edge: INC EAX (FF C0) becomes INC EBX (FF C3).
  run.t.put_bytes(edge - 1, Bytes{0xff, 0xc0, 0xf4});
  run.t.core().rip = edge - 1;
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.core().gpr[kRax], 1U);
  run.t.start_long_mode();
  run.t.code({0x66, 0xc7, 0x06, 0xff, 0xc3, 0xff, 0xe6});  // mov word [rsi], 0xc3ff; jmp rsi
  run.t.core().gpr[kRsi] = edge - 1;
  EXPECT_EQ(run.t.run(), Exit::kHalted);
  EXPECT_EQ(run.t.core().gpr[kRax], 0U);
  EXPECT_EQ(run.t.core().gpr[kRbx], 1U);
}

TEST(Interpreter, AnotherCpuSeesCodeThatThisOneChanged) {
  Guest run{0, {0xff, 0xc0, 0xeb, 0xfc}};  // inc eax; jmp back
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  Cpu other{run.t.memory, run.t.environment, run.t.code_pages, totals, deadlines};
  // The other CPU changes INC EAX to INC EBX.
  run.t.cpu.run(10, kForever);
  EXPECT_EQ(run.t.core().gpr[kRax], 5U);
  Core& theirs = other.core();
  const Core& ours = run.t.core();
  theirs.segment = ours.segment;
  theirs.gdtr = ours.gdtr;
  theirs.idtr = ours.idtr;
  theirs.tr = ours.tr;
  theirs.cr0 = ours.cr0;
  theirs.cr3 = ours.cr3;
  theirs.cr4 = ours.cr4;
  theirs.efer = ours.efer;
  theirs.waiting_for_sipi = false;
  theirs.gpr[kRsi] = kCode + 1;
  theirs.rip = kCode + 0x1000;
  run.t.put_bytes(kCode + 0x1000, Bytes{0xc6, 0x06, 0xc3, 0xf4});  // mov byte [rsi], 0xc3
  other.state_changed();
  EXPECT_EQ(other.run(100, kForever), Exit::kHalted);
  run.t.cpu.run(10, kForever);
  EXPECT_EQ(run.t.core().gpr[kRax], 5U);
  EXPECT_EQ(run.t.core().gpr[kRbx], 5U);
}

TEST(Interpreter, AMovedSecondPageChangesAnInstructionAcrossPages) {
  const std::uint64_t edge = kCode + 0x1000;
  // INC r32 lies across the edge; then MOV CR3, RDX and back.
  TestCpu t;
  t.start_long_mode();
  t.put_bytes(edge - 1, Bytes{0xff, 0xc0, 0x0f, 0x22, 0xda, 0xff, 0xe6});
  t.put_bytes(0x200000, Bytes{0xc3, 0x0f, 0x22, 0xda, 0xff, 0xe6});  // FF C3: inc ebx
  t.core().gpr[kRdx] = kPml4;
  t.core().gpr[kRsi] = edge - 1;
  t.core().rip = edge - 1;
  t.run(6);
  EXPECT_EQ(t.core().gpr[kRax], 2U);
  t.set_page(edge, 0x200000 | kPresent | kWritable);
  t.cpu.state_changed();
  t.run(3);
  EXPECT_EQ(t.core().gpr[kRax], 2U);
  EXPECT_EQ(t.core().gpr[kRbx], 1U);
}

TEST(Interpreter, MoreCodeThanTheCacheHoldsRunsAndCountsAllTheSame) {
  // Blocks of one INC EAX and one JMP to the next, in a region that is run over and over through
  // different mappings: every mapping is code of its own.
  TestCpu t;
  t.start_long_mode();
  constexpr std::uint64_t kRegion = 0x100000, kEnd = 0x3ff000;
  for (std::uint64_t at = kRegion; at < kEnd; at += 4)
    t.put_bytes(at, Bytes{0xff, 0xc0, 0xeb, 0x00});
  t.put<std::uint8_t>(kEnd, 0xf4);
  const std::uint64_t blocks = (kEnd - kRegion) / 4;
  ASSERT_GT(blocks * (sizeof(Block) + 3 * sizeof(Op)), 2 * BlockCache::kCapacity);
  t.core().rip = kRegion;
  EXPECT_EQ(t.run(10'000'000), Exit::kHalted);
  EXPECT_EQ(t.core().rip, kEnd + 1);
  EXPECT_EQ(t.core().gpr[kRax], blocks);
  EXPECT_EQ(t.instructions(), 2 * blocks + 1);
  EXPECT_EQ(t.count(RawEvent::kTakenBranches), blocks);
  // And once more, from the top.
  t.core().halted = false;
  t.core().rip = kRegion;
  EXPECT_EQ(t.run(10'000'000), Exit::kHalted);
  EXPECT_EQ(t.instructions(), 4 * blocks + 2);
}

TEST(Interpreter, PeekReadsThroughThePageTablesAndChangesNothing) {
  Guest run;
  run.t.put<std::uint64_t>(0x200ffc, 0x1122334455667788);
  run.t.set_page(0x300000, 0x200000 | kPresent);
  run.t.set_page(0x301000, 0x201000 | kPresent);
  run.t.cpu.state_changed();
  std::uint64_t value = 0;
  EXPECT_TRUE(run.t.cpu.peek(0x300ffc, &value, 8));
  EXPECT_EQ(value, 0x1122334455667788U);
  EXPECT_EQ(run.t.page(0x300000), 0x200000 | kPresent);
  EXPECT_FALSE(run.t.cpu.peek(0x60'0000, &value, 8));
  EXPECT_FALSE(run.t.cpu.peek(0x40'0000, &value, 8));  // a device
  EXPECT_FALSE(run.t.cpu.peek(0x0000'8000'0000'0000, &value, 8));
}

}  // namespace
}  // namespace vpmu::machine::x86
