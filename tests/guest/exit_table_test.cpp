// SPDX-License-Identifier: MIT
//
// The exit table of docs/performance.md, row by row and column by column, by the machine's own exit
// counter while a guest does what the row says.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "guest/exit_phases.hpp"

namespace vpmu::test {
namespace {

struct Column {
  const char* name;
  std::array<std::uint64_t, PHASES> exits;  ///< by exit_phase
  std::uint64_t perf_stat;
};

// Phases:                 none, set up, create, start, read, exact, stop, stopped, destroy,
//                         switch, overflow
constexpr Column kColumns[] = {
    {"general", {0, 0, 0, 11, 4, 0, 10, 0, 0, 21, 8}, 25},
    {"fixed", {0, 0, 0, 10, 4, 0, 9, 0, 0, 19, 8}, 23},
};

constexpr std::array<const char*, PHASES> kRows = {
    "",     "one-time set-up", "create",  "start",       "read 4 while running", "the same, exact",
    "stop", "read 4 stopped",  "destroy", "task switch", "one sampled overflow"};

struct Case {
  Column column;
  const char* model;
};
void PrintTo(const Case& tested, std::ostream* out) {
  *out << tested.column.name << " on " << tested.model;
}

class ExitTable : public testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] static machine::MachineConfig config() {
    machine::MachineConfig config;
    config.model = silicon::x86::find_cpu_model(GetParam().model);
    config.memory_bytes = std::uint64_t{32} << 20;
    return config;
  }
};

TEST_P(ExitTable, HasTheExitsThatTheMachineCounts) {
  const Column& expected = GetParam().column;
  const auto measured = run_exit_column(VPMU_GUESTS "/exit_table.elf", expected.name, config());
  ASSERT_TRUE(measured.has_value()) << measured.error().message;
  for (int phase = PHASE_NONE + 1; phase < PHASES; ++phase) {
    EXPECT_EQ((*measured)[static_cast<exit_phase>(phase)].count(), expected.exits[phase])
        << kRows[phase];
  }
  EXPECT_EQ(measured->perf_stat().count(), expected.perf_stat);
}

std::string case_name(const Case& tested) {
  std::string name = std::string{tested.column.name} + "_" + tested.model;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Column& column : kColumns) {
    for (const char* model : {"icelake-server", "skylake-server", "sapphire-rapids"}) {
      all.push_back({column, model});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Columns, ExitTable, testing::ValuesIn(cases()),
                         [](const auto& tested) { return case_name(tested.param); });

}  // namespace
}  // namespace vpmu::test
