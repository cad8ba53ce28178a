// SPDX-License-Identifier: MIT
//
// The exit table of docs/performance.md, row by row and column by column, by the machine's own exit
// counter while a guest does what the row says. Where nobody else's numbers can be reached it says
// why.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "guest/exit_phases.hpp"
#include "vpmu/virt/x86/pv_perf_config.hpp"

namespace vpmu::test {
namespace {

using silicon::x86::CpuModel;
using silicon::x86::Vendor;

/// What the table says, in its order.
struct Column {
  const char* name;
  std::uint64_t set_up, create, start, read_running, read_exact, stop, read_stopped, destroy;
  std::uint64_t perf_stat;
  std::uint64_t task_switch, overflow;
};

/// The registers of Linux's driver for Intel's PMU: no others have this column.
constexpr Column kArchitectural[] = {
    {"general", 0, 0, 11, 4, 0, 10, 0, 0, 25, 21, 8},
    {"fixed", 0, 0, 10, 4, 0, 9, 0, 0, 23, 19, 8},
};

/// As the proposal of 2010 has them, but for the overflow. There it was none beside the host's own:
/// the NMI went past the local APIC, and the guest took its counter of overflows back in memory.
/// Here it comes through LVTPC, which the handler unmasks, and the event is acknowledged by ENABLE,
/// so that no overflow is lost.
constexpr Column kCalls{"calls", 0, 4, 4, 4, 0, 4, 0, 4, 20, 8, 2};
constexpr Column kRegisters{"registers", 1, 0, 9, 4, 0, 1, 4, 0, 18, 14, 4};
/// Two, or three if the counts that are read while the events run are to be exact.
constexpr Column kBatch{"batch", 2, 0, 1, 0, 1, 1, 0, 0, 2, 2, 2};

struct Case {
  Column column;
  std::string_view model;
  bool pv_perf;
};
void PrintTo(const Case& tested, std::ostream* out) {
  *out << tested.column.name << " on " << tested.model;
}

class ExitTable : public testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] static const CpuModel& model() {
    return *silicon::x86::find_cpu_model(GetParam().model);
  }
  [[nodiscard]] static machine::MachineConfig config() {
    machine::MachineConfig config;
    config.model = &model();
    config.memory_bytes = std::uint64_t{32} << 20;
    if (GetParam().pv_perf) config.pv_perf = virt::x86::offer_pv_perf(model(), {}).value();
    return config;
  }
  /// An AMD CPU leaves LVTPC as it is when it delivers the interrupt, so no handler unmasks it.
  [[nodiscard]] static std::uint64_t expected_overflow() {
    return GetParam().column.overflow - (model().vendor == Vendor::kAmd ? 1 : 0);
  }
};

TEST_P(ExitTable, HasTheExitsThatTheMachineCounts) {
  const Column& expected = GetParam().column;
  const auto measured = run_exit_column(VPMU_GUESTS "/exit_table.elf", expected.name, config());
  ASSERT_TRUE(measured.has_value()) << measured.error().message;
  const auto exits = [&](exit_phase phase) { return (*measured)[phase].count(); };
  EXPECT_EQ(exits(PHASE_SET_UP), expected.set_up);
  EXPECT_EQ(exits(PHASE_CREATE), expected.create);
  EXPECT_EQ(exits(PHASE_START), expected.start);
  EXPECT_EQ(exits(PHASE_READ_RUNNING), expected.read_running);
  EXPECT_EQ(exits(PHASE_READ_EXACT), expected.read_exact);
  EXPECT_EQ(exits(PHASE_STOP), expected.stop);
  EXPECT_EQ(exits(PHASE_READ_STOPPED), expected.read_stopped);
  EXPECT_EQ(exits(PHASE_DESTROY), expected.destroy);
  EXPECT_EQ(exits(PHASE_TASK_SWITCH), expected.task_switch);
  EXPECT_EQ(exits(PHASE_OVERFLOW), expected_overflow());
  EXPECT_EQ(exits(PHASE_EMPTY), 0u);
  EXPECT_EQ(measured->perf_stat().count(), expected.perf_stat);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const CpuModel* model : silicon::x86::cpu_models()) {
    for (const Column& column : kArchitectural) {
      if (model->vendor == Vendor::kIntel) all.push_back({column, model->name, false});
    }
    for (const Column& column : {kCalls, kRegisters, kBatch}) {
      all.push_back({column, model->name, true});
    }
  }
  return all;
}

std::string case_name(const Case& tested) {
  std::string name = std::string{tested.column.name} + "_" + std::string{tested.model};
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Columns, ExitTable, testing::ValuesIn(cases()),
                         [](const auto& tested) { return case_name(tested.param); });

TEST(ExitTableCost, IsAtLeastFiveTimesLessWithBatchAndPage) {
  machine::MachineConfig config;
  config.model = silicon::x86::find_cpu_model("icelake-server");
  config.memory_bytes = std::uint64_t{32} << 20;
  const auto architectural = run_exit_column(VPMU_GUESTS "/exit_table.elf", "general", config);
  config.pv_perf = virt::x86::offer_pv_perf(*config.model, {}).value();
  const auto batch = run_exit_column(VPMU_GUESTS "/exit_table.elf", "batch", config);
  ASSERT_TRUE(architectural.has_value()) << architectural.error().message;
  ASSERT_TRUE(batch.has_value()) << batch.error().message;
  const PhaseUse& exact = (*batch)[PHASE_READ_EXACT];
  EXPECT_GE(architectural->perf_stat().cycles(),
            5 * (batch->perf_stat().cycles() + exact.cycles()));
  EXPECT_GE(architectural->perf_stat().count(), 25u);
  EXPECT_LE(batch->perf_stat().count() + exact.count(), 3u);
}

}  // namespace
}  // namespace vpmu::test
