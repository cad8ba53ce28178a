// SPDX-License-Identifier: MIT
//
// The same program run at full speed, by blocks, by single instructions, and in slices of any
// length: everything that can be seen is the same.
#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "unit/arm64/code.hpp"
#include "unit/arm64/cpu_fixture.hpp"

namespace vpmu::machine::arm64 {
namespace {

using silicon::RawEvent;

constexpr std::uint64_t kEnough = 3000;
constexpr std::uint64_t kSeenBytes = 4096;

/// Random code that goes on for ever: arithmetic, loads and stores (some fault, some go to a
/// device, some overwrite code), branches in all directions, calls, returns, system instructions.
class RandomCode {
 public:
  explicit RandomCode(unsigned seed) : random_{seed} {}

  std::vector<std::uint32_t> words() {
    std::vector<std::uint32_t> words;
    for (unsigned n = 0; n < kLength; ++n) words.push_back(word(n));
    words.push_back(code::b(-static_cast<std::int32_t>(kLength)));
    return words;
  }

 private:
  static constexpr unsigned kLength = 200;
  std::uint32_t pick(std::uint32_t below) { return static_cast<std::uint32_t>(random_()) % below; }

  /// Somewhere near in the program.
  std::int32_t away(unsigned from) {
    const auto to = static_cast<std::int32_t>(
        std::clamp<std::int64_t>(std::int64_t{from} + pick(24) - 10, 0, kLength));
    const auto by = to - static_cast<std::int32_t>(from);
    return by == 0 ? 1 : by;
  }

  std::uint32_t word(unsigned at) {
    // Whatever comes then, some loads of different cache lines have been.
    constexpr unsigned kLoads = 16, kUnitsInLine = 8;
    if (at < kLoads) return code::ldr(at % 8, 19, at * kUnitsInLine);
    const unsigned a = pick(8), b = pick(8), c = pick(8);
    switch (pick(26)) {
      case 0: return code::movz(a, pick(0x10000));
      case 1: return code::subs(a, b, pick(16));
      case 2: return code::eor_register(a, b, c);
      case 3: return code::madd(a, b, c, a);
      case 4: return code::ldr(a, 19, pick(64));
      case 5: return code::str(a, 19, pick(64));
      case 6: return code::ldp(8, 9, 19);
      case 7: return code::str_word(a, 19, pick(64));
      case 8: return code::b_ne(away(at));
      case 9: return code::cbnz(a, away(at));
      case 10: return code::tbz(a, pick(16), away(at));
      case 11: return code::b(away(at));
      case 12: return code::bl(away(at));
      case 13: return code::kRet;
      case 14: return code::kNop;
      case 15: return code::write_tpidr_el1(a);
      case 16: return code::read_tpidr_el1(a);
      case 17: return pick(4) == 0 ? code::svc(a) : code::add(a, b, 1);
      case 18: return pick(4) == 0 ? code::ldr(a, 20, pick(8)) : code::add(a, b, 2);  // device
      case 19: return pick(4) == 0 ? code::str_word(a, 20, pick(8)) : code::add(a, b, 3);
      case 20: return pick(8) == 0 ? code::ldr(a, 21) : code::add(a, b, 4);  // not mapped
      case 21: return pick(8) == 0 ? code::kUdf : code::add(a, b, 5);
      // Writes a NOP over some of the program.
      case 22: return pick(4) == 0 ? code::str_word(22, 23, pick(kLength)) : code::add(a, b, 6);
      case 23: return code::ldxr(a, 19);
      case 24: return code::stxr(b, c, 19);
      default: return code::add_register(a, b, c);
    }
  }

  std::mt19937 random_;
};

/// Returns behind whatever instruction raised the exception: the vectors of EL1.
void load_handlers(const TestMachine& machine) {
  constexpr std::uint32_t kReadElr = 0xd538'402a, kWriteElr = 0xd518'402a, kReadEsr = 0xd538'520b;
  // An SVC returns behind itself already: EC in bits 31:26 is 0x15.
  machine.load(kVectors + 0x200,
               {kReadEsr, 0xd35a'fd6b /* lsr x11, x11, #26 */, 0xf100'557f /* cmp x11, #0x15 */,
                0x5400'0080 /* b.eq +4 */, kReadElr, code::add(10, 10, 4), kWriteElr, code::kEret});
}

struct Seen {
  CpuState state;
  std::vector<TestMachine::Touch> touched;
  silicon::RetireTotals::State totals;
  std::vector<std::uint8_t> data;
};

std::unique_ptr<TestMachine> machine_for(unsigned seed) {
  auto machine = std::make_unique<TestMachine>();
  machine->start(RandomCode{seed}.words());
  machine->map();
  load_handlers(*machine);
  Registers& registers = machine->cpu.registers();
  registers.set_x(20, kDevice);
  registers.set_x(21, std::uint64_t{1} << 38);
  registers.set_x(22, code::kNop);
  registers.set_x(23, kCode);
  registers.set_x(30, kCode);
  return machine;
}

Seen what_is_seen(TestMachine& machine) {
  const std::uint8_t* data = machine.memory.host(kData, kSeenBytes);
  return {machine.cpu.save(), machine.touched, machine.totals.save(), {data, data + kSeenBytes}};
}

void expect_same(const Seen& got, const Seen& expected, unsigned seed) {
  ASSERT_EQ(got.state.registers.pc, expected.state.registers.pc) << "seed " << seed;
  ASSERT_EQ(got.state.registers.x, expected.state.registers.x) << "seed " << seed;
  EXPECT_EQ(got.state, expected.state) << "seed " << seed;
  EXPECT_EQ(got.touched, expected.touched) << "seed " << seed;
  ASSERT_EQ(got.totals, expected.totals) << "seed " << seed;
  EXPECT_EQ(got.data, expected.data) << "seed " << seed;
}

constexpr unsigned kSeeds = 6;

TEST(ArmCpuModes, FullSpeedAndSlicesAreAsSingleSteps) {
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    auto steps = machine_for(seed), fast = machine_for(seed), sliced = machine_for(seed);
    steps->cpu.allow(Cpu::Mode::kSteps);
    std::mt19937 random{seed};

    steps->cpu.run(kEnough, kForEver);
    fast->cpu.run(kEnough, kForEver);
    while (sliced->instructions() < kEnough) {
      const std::uint64_t left = kEnough - sliced->instructions();
      sliced->cpu.run(std::min<std::uint64_t>(left, 1 + random() % 100), kForEver);
    }

    EXPECT_EQ(steps->instructions(), kEnough);
    const Seen expected = what_is_seen(*steps);
    expect_same(what_is_seen(*fast), expected, seed);
    expect_same(what_is_seen(*sliced), expected, seed);
    EXPECT_EQ(fast->cpu.instructions_in(Cpu::Mode::kFast), kEnough);
  }
}

TEST(ArmCpuModes, BlocksCountAsSingleStepsDo) {
  for (unsigned seed = 101; seed <= 100 + kSeeds; ++seed) {
    auto steps = machine_for(seed), blocks = machine_for(seed);
    for (TestMachine* machine : {steps.get(), blocks.get()}) {
      machine->totals.demand(RawEvent::kMispredictedBranches);
      machine->totals.demand(RawEvent::kLoads);
    }
    steps->cpu.allow(Cpu::Mode::kSteps);

    steps->cpu.run(kEnough, kForEver);
    blocks->cpu.run(kEnough, kForEver);

    expect_same(what_is_seen(*blocks), what_is_seen(*steps), seed);
    EXPECT_GT(blocks->total(RawEvent::kBranches), 0U);
    EXPECT_EQ(blocks->cpu.instructions_in(Cpu::Mode::kBlocks), kEnough);
  }
}

TEST(ArmCpuModes, TheMemoryModelSeesWhatHasBeenAccessedDirectlyBefore) {
  TestMachine machine;
  machine.start({code::ldr(0, 19), code::str(0, 19), code::add(19, 19, 64), code::b(-3)});
  machine.map();
  machine.cpu.run(400, kForEver);
  machine.cpu.registers().set_x(19, kData);
  ASSERT_EQ(machine.total(RawEvent::kL1dMisses), 0U);

  machine.totals.demand(RawEvent::kL1dMisses);
  machine.cpu.run(400, kForEver);
  EXPECT_EQ(machine.total(RawEvent::kL1dMisses), 100U);
}

TEST(ArmCpuModes, AMovedCpuGoesOnAsIfNothingHadHappened) {
  for (unsigned seed = 201; seed <= 200 + kSeeds; ++seed) {
    auto stays = machine_for(seed), moves = machine_for(seed);
    stays->cpu.run(kEnough, kForEver);

    while (moves->instructions() < kEnough) {
      const std::uint64_t left = kEnough - moves->instructions();
      moves->cpu.run(std::min<std::uint64_t>(left, 97), kForEver);
      ASSERT_TRUE(moves->cpu.restore(moves->cpu.save()));
    }

    expect_same(what_is_seen(*moves), what_is_seen(*stays), seed);
  }
}

/// Where a deadline fires.
class Recorder final : public silicon::DeadlineListener {
 public:
  Recorder(TestMachine& machine, RawEvent event) : machine_{machine}, event_{event} {}
  void on_deadline(std::uint8_t) override {
    fired_at.push_back({machine_.totals.held(event_, silicon::kAllPrivileges),
                        machine_.cpu.last_retired().place.linear, machine_.cpu.place().linear});
    arm();
  }
  void arm() {
    const std::uint64_t total = machine_.total(event_);
    machine_.deadlines.arm(0, event_, silicon::kAllPrivileges, total + kPeriod, *this);
  }
  static constexpr std::uint64_t kPeriod = 3;
  std::vector<TestMachine::Touch> fired_at;

 private:
  TestMachine& machine_;
  RawEvent event_;
};

TEST(ArmCpuModes, DeadlinesFireOnTheExactInstructionInEveryMode) {
  for (const RawEvent event :
       {RawEvent::kInstructions, RawEvent::kCycles, RawEvent::kBranches, RawEvent::kLoads,
        RawEvent::kMemoryAccesses, RawEvent::kTakenBranches, RawEvent::kExceptions,
        RawEvent::kL1dMisses}) {
    std::size_t fired = 0;
    for (unsigned seed = 301; seed <= 302; ++seed) {
      auto steps = machine_for(seed), fast = machine_for(seed);
      Recorder of_steps{*steps, event}, of_fast{*fast, event};
      steps->cpu.allow(Cpu::Mode::kSteps);
      for (auto [machine, recorder] : {std::pair{&steps, &of_steps}, std::pair{&fast, &of_fast}}) {
        (*machine)->totals.demand(event);
        recorder->arm();
        (*machine)->cpu.run(kEnough, kForEver);
      }

      EXPECT_EQ(of_fast.fired_at, of_steps.fired_at) << name(event) << ", seed " << seed;
      fired += of_fast.fired_at.size();
    }
    EXPECT_NE(fired, 0U) << name(event);
  }
}

}  // namespace
}  // namespace vpmu::machine::arm64
