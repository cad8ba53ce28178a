// SPDX-License-Identifier: MIT
//
// Machines that are saved and go on elsewhere, or only pause: the guest cannot tell.
#include "unit/arm64_board/machine_fixture.hpp"

namespace vpmu::machine::arm64 {
namespace {

constexpr std::uint64_t kRamBytes = 4 << 20;

class MovedMachineTest : public MachineFixture {
 protected:
  /// Two vCPUs: each adds to a number of its own and writes letters; vCPU 0 ends the run.
  static Code busy() {
    constexpr std::uint64_t kOther = 24;
    Code code;
    set(code, 1, 1);
    set(code, 2, kBase + 4 * kOther);
    set(code, 3, kBase + 0x8000);
    set(code, 0, Psci::kCpuOn64);
    code.push_back(kHvc);
    set(code, 4, 300);
    set(code, 0, kBase + 0x9000);
    code.push_back(code::b(static_cast<std::int32_t>(kOther - code.size() + 3)));
    code.resize(kOther, code::kNop);
    set(code, 4, 0xffff);
    code.resize(kOther + 3, code::kNop);
    // x0: the number, x4: how often.
    set(code, 2, Pl011::kAddress);
    set(code, 5, '.');
    const std::size_t loop = code.size();
    code.push_back(code::ldxr(6, 0));
    code.push_back(code::add(6, 6, 3));
    code.push_back(code::stxr(7, 6, 0));
    code.push_back(code::madd(8, 6, 6, 8));
    code.push_back(code::str_word(5, 2));
    code.push_back(code::subs(4, 4, 1));
    const auto back = static_cast<std::int32_t>(loop) - static_cast<std::int32_t>(code.size());
    code.push_back(0x5400'0001U | (static_cast<std::uint32_t>(back) & 0x7ffff) << 5);  // B.NE
    exit_with(code, 6);
    return code;
  }

  static void expect_same(const MachineState& a, const MachineState& b, std::uint64_t at) {
    EXPECT_TRUE(a.schedule == b.schedule) << at;
    EXPECT_TRUE(a.board == b.board) << at;
    for (std::size_t n = 0; n < a.vcpus.size(); ++n) {
      const VcpuState& one = a.vcpus[n];
      const VcpuState& other = b.vcpus[n];
      EXPECT_EQ(one.retired, other.retired) << at << ", vCPU " << n;
      EXPECT_EQ(one.exits, other.exits) << at << ", vCPU " << n;
      EXPECT_TRUE(one.cpu.core == other.cpu.core) << at << ", vCPU " << n;
      EXPECT_EQ(one.cpu.exclusive.held, other.cpu.exclusive.held) << at << ", vCPU " << n;
      EXPECT_TRUE(one.cpu.exclusive == other.cpu.exclusive) << at << ", vCPU " << n;
      EXPECT_TRUE(one.cpu == other.cpu) << at << ", vCPU " << n;
      EXPECT_TRUE(one == other) << at << ", vCPU " << n;
    }
    EXPECT_TRUE(a == b) << at;
  }

  static void copy_memory(const Machine& from, const Machine& to) {
    std::memcpy(to.board().memory.host(kBase, kRamBytes),
                from.board().memory.host(kBase, kRamBytes), kRamBytes);
  }
};

TEST_F(MovedMachineTest, PausesDoNotChangeTheRun) {
  const auto whole = loaded(busy(), config(2));
  const Outcome end = whole->run({});
  ASSERT_EQ(end.reason, Outcome::Reason::kDebugExit);
  const MachineState expected = whole->save();
  const auto sliced = loaded(busy(), config(2));
  Outcome outcome;
  for (std::uint64_t at = 1;; at += 7) {
    outcome = sliced->run({.pause_at = at});
    if (outcome.reason != Outcome::Reason::kPaused) break;
    ASSERT_EQ(sliced->instructions(), at);
  }
  EXPECT_EQ(outcome.value, end.value);
  expect_same(sliced->save(), expected, sliced->instructions());
}

TEST_F(MovedMachineTest, GuestsGoOnElsewhereFromAnyInstruction) {
  const auto whole = loaded(busy(), config(2));
  const Outcome end = whole->run({});
  const MachineState expected = whole->save();
  const std::uint64_t all = whole->instructions();
  for (std::uint64_t at = 183; at < all; at += 997) {
    const auto first = loaded(busy(), config(2));
    ASSERT_EQ(first->run({.pause_at = at}).reason, Outcome::Reason::kPaused);
    const MachineState state = first->save();
    const auto second = create(config(2));
    copy_memory(*first, *second);
    const auto restored = second->restore(state);
    ASSERT_TRUE(restored.has_value()) << at << ": " << restored.error().message;
    expect_same(second->save(), state, at);
    EXPECT_EQ(second->run({}).value, end.value) << at;
    expect_same(second->save(), expected, at);
  }
}

TEST_F(MovedMachineTest, StatesThatDoNotFitAreRefused) {
  const auto machine = loaded(busy(), config(2));
  const MachineState state = machine->save();
  EXPECT_FALSE(create(config(1))->restore(state).has_value());
  MachineState late = state;
  late.board.now = ~std::uint64_t{0};
  EXPECT_NE(create(config(2))->restore(late).error().message.find("machine time"),
            std::string::npos);
  MachineState turn = state;
  turn.schedule.vcpu = 2;
  EXPECT_FALSE(create(config(2))->restore(turn).has_value());
  MachineState filter = state;
  filter.filter = GuestFilterState{"filter", {{{0x10, 1, 2}}}};
  EXPECT_NE(create(config(2))->restore(filter).error().message.find("event filter"),
            std::string::npos);
}

TEST_F(MovedMachineTest, TheFilterGoesWithTheGuestAndWhatItDeniedStays) {
  // Counter 0 is for BR_PRED, then for instructions, then for BR_PRED again, and so on.
  using namespace silicon::arm64::reg;
  Code code;
  set(code, 1, 1);
  code.push_back(msr(PMCR_EL0, 1));
  code.push_back(msr(PMCNTENSET_EL0, 1));
  set(code, 2, 0x12);
  set(code, 3, 0x08);
  const std::size_t loop = code.size();
  code.push_back(msr(PMEVTYPER_EL0(0), 2));
  code.push_back(msr(PMEVTYPER_EL0(0), 3));
  code.push_back(code::b(static_cast<std::int32_t>(loop) - static_cast<std::int32_t>(code.size())));
  const auto filtered = [&](std::unique_ptr<Machine> machine) {
    virt::arm64::EventFilter filter{config().model->pmu.version};
    EXPECT_TRUE(filter.set({0x12, 1, virt::arm64::FilterRange::kDeny}).has_value());
    machine->set_event_filter({"the filter", std::move(filter)});
    return machine;
  };
  const auto whole = filtered(loaded(code));
  whole->run({.pause_at = 3'000});
  for (const std::uint64_t at : {0U, 8U, 9U, 10U, 1'000U, 2'999U}) {
    const auto first = filtered(loaded(code));
    if (at != 0) first->run({.pause_at = at});
    const auto second = create(config());
    copy_memory(*first, *second);
    const auto restored = second->restore(first->save());
    ASSERT_TRUE(restored.has_value()) << restored.error().message;
    EXPECT_EQ(second->event_filter()->name, "the filter");
    second->run({.pause_at = 3'000});
    expect_same(second->save(), whole->save(), at);
  }
  const auto troubles = whole->vcpus()[0]->counter_log().troubles();
  ASSERT_EQ(troubles.size(), 1u);
  EXPECT_GT(troubles[0].count, 900u);
}

}  // namespace
}  // namespace vpmu::machine::arm64
