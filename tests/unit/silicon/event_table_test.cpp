// SPDX-License-Identifier: MIT
#include "vpmu/silicon/x86/event_table.hpp"

#include <string>

#include <gtest/gtest.h>

#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::silicon::x86 {
namespace {

TEST(EventTable, ArchitecturalEventsAreThoseOfTheManual) {
  // SDM vol. 3B table 20-1, in the order of CPUID.0AH:EBX.
  const EventSelector expected[] = {{0x3c, 0x00}, {0xc0, 0x00}, {0x3c, 0x01}, {0x2e, 0x4f},
                                    {0x2e, 0x41}, {0xc4, 0x00}, {0xc5, 0x00}, {0xa4, 0x01}};
  ASSERT_EQ(architectural_events().size(), std::size(expected));
  for (std::size_t n = 0; n < std::size(expected); ++n) {
    EXPECT_EQ(architectural_events()[n].selector, expected[n]) << architectural_events()[n].name;
  }
}

TEST(EventTable, EveryModelCanCountExactlyTheArchitecturalEventsItEnumerates) {
  for (const CpuModel* model : cpu_models()) {
    if (model->vendor != Vendor::kIntel) continue;
    for (std::size_t n = 0; n < architectural_events().size(); ++n) {
      const bool enumerated =
          n < model->pmu.arch_event_length && (model->pmu.arch_events_unavailable >> n & 1) == 0;
      const EventRow* row = find_event(model->events, architectural_events()[n].selector);
      EXPECT_EQ(row != nullptr, enumerated)
          << model->name << ": " << architectural_events()[n].name;
    }
  }
}

TEST(EventTable, IcelakeServerCountsWhatItsEventFileNames) {
  struct Case {
    EventSelector selector;
    const char* name;
    RawEvent raw;
    int fixed;
  };
  // Selectors as in the Ice Lake-SP event file; libpfm4's table `icx` has the same.
  const Case cases[] = {
      {{0x00, 0x01}, "INST_RETIRED.ANY", RawEvent::kInstructions, 0},
      {{0xc0, 0x00}, "INST_RETIRED.ANY_P", RawEvent::kInstructions, 0},
      {{0x00, 0x02}, "CPU_CLK_UNHALTED.THREAD", RawEvent::kCycles, 1},
      {{0x3c, 0x00}, "CPU_CLK_UNHALTED.THREAD_P", RawEvent::kCycles, 1},
      {{0x00, 0x03}, "CPU_CLK_UNHALTED.REF_TSC", RawEvent::kReferenceCycles, 2},
      {{0x3c, 0x01}, "CPU_CLK_UNHALTED.REF_XCLK", RawEvent::kReferenceCycles, -1},
      {{0xc4, 0x00}, "BR_INST_RETIRED.ALL_BRANCHES", RawEvent::kBranches, -1},
      {{0xc4, 0x11}, "BR_INST_RETIRED.COND", RawEvent::kConditionalBranches, -1},
      {{0xc4, 0x02}, "BR_INST_RETIRED.NEAR_CALL", RawEvent::kCalls, -1},
      {{0xc4, 0x08}, "BR_INST_RETIRED.NEAR_RETURN", RawEvent::kReturns, -1},
      {{0xc4, 0x20}, "BR_INST_RETIRED.NEAR_TAKEN", RawEvent::kTakenBranches, -1},
      {{0xc4, 0x80}, "BR_INST_RETIRED.INDIRECT", RawEvent::kIndirectBranches, -1},
      {{0xc5, 0x00}, "BR_MISP_RETIRED.ALL_BRANCHES", RawEvent::kMispredictedBranches, -1},
      {{0xd0, 0x81}, "MEM_INST_RETIRED.ALL_LOADS", RawEvent::kLoads, -1},
      {{0xd0, 0x82}, "MEM_INST_RETIRED.ALL_STORES", RawEvent::kStores, -1},
  };
  const CpuModel* model = find_cpu_model("icelake-server");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->events.size(), std::size(cases));
  for (const Case& expected : cases) {
    const EventRow* row = find_event(model->events, expected.selector);
    ASSERT_NE(row, nullptr) << expected.name;
    EXPECT_STREQ(row->name, expected.name);
    EXPECT_EQ(row->raw, expected.raw) << expected.name;
    EXPECT_EQ(row->fixed, expected.fixed) << expected.name;
    const bool fixed_only = expected.selector.event == 0;
    EXPECT_EQ(row->counted_on == CountedOn::kFixedCounter, fixed_only) << expected.name;
  }
}

TEST(EventTable, SelectorsAreUnique) {
  for (const CpuModel* model : cpu_models()) {
    for (const EventRow& row : model->events) {
      EXPECT_EQ(find_event(model->events, row.selector), &row) << model->name << ": " << row.name;
    }
  }
}

TEST(EventTable, UnknownSelectorsHaveNoRow) {
  const CpuModel* model = find_cpu_model("icelake-server");
  for (const EventSelector selector :
       {EventSelector{0x00, 0x00}, EventSelector{0xc0, 0xff}, EventSelector{0x1c0, 0x00},
        EventSelector{0x2e, 0x4f}, EventSelector{0x00, 0x04}}) {
    EXPECT_EQ(find_event(model->events, selector), nullptr);
  }
}

}  // namespace
}  // namespace vpmu::silicon::x86
