// SPDX-License-Identifier: MIT
//
// The taken branches that stepping finds are those that the machine has counted, instruction by
// instruction.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "guest/branch_steps.hpp"
#include "unit/machine/machine_fixture.hpp"

namespace vpmu::test {
namespace {

using machine::Machine;

class BranchStepsOf : public testing::TestWithParam<const char*> {};

TEST_P(BranchStepsOf, AreTheTakenBranchesThatAreCounted) {
  machine::MachineConfig config;
  config.model = silicon::x86::find_cpu_model("icelake-server");
  config.memory_bytes = std::uint64_t{32} << 20;
  StringConsole console;
  auto machine = Machine::create(config, console);
  ASSERT_TRUE(machine.has_value()) << machine.error().message;
  const auto loaded =
      (*machine)->load({std::string{VPMU_GUESTS "/"} + GetParam() + ".elf", "", {}});
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  const auto& totals = (*machine)->vcpus()[0]->totals();
  const auto counted = [&totals] {
    return totals.read(silicon::RawEvent::kTakenBranches, silicon::kAllPrivileges);
  };

  BranchSteps steps{**machine};
  std::uint64_t before = counted(), compared = 0;
  while (auto step = steps.step()) {
    const std::uint64_t now = counted();
    const std::uint64_t taken = step->branches.size() - (step->into_handler ? 1 : 0);
    if (step->known) {
      ASSERT_EQ(taken, now - before)
          << "instruction " << (*machine)->instructions() << ", at " << std::hex
          << (*machine)->vcpus()[0]->cpu().core().rip << ", from "
          << (step->branches.empty() ? 0 : step->branches.back().from);
      compared += taken;
    }
    before = now;
  }
  EXPECT_EQ(steps.problem(), "") << (*machine)->instructions() << console.output;
  EXPECT_TRUE(steps.outcome().has_value());
  EXPECT_GT(compared, 1000u);
}

INSTANTIATE_TEST_SUITE_P(Guests, BranchStepsOf,
                         testing::Values("strings", "pmu_nmi", "pmu_rdpmc", "privilege"));

}  // namespace
}  // namespace vpmu::test
