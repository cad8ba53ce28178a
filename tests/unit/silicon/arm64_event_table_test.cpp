// SPDX-License-Identifier: MIT
#include "vpmu/silicon/arm64/event_table.hpp"

#include <gtest/gtest.h>

#include "vpmu/silicon/arm64/cpu_model.hpp"

namespace vpmu::silicon::arm64 {
namespace {

constexpr EventRow kTable[] = {
    {0x08, "INST_RETIRED", RawEvent::kInstructions, "", ""},
    {0x1f, "LAST_OF_THE_FIRST", RawEvent::kLoads, "", ""},
    {0x20, "FIRST_OF_THE_SECOND", RawEvent::kLoads, "", ""},
    {0x3f, "LAST_OF_THE_SECOND", RawEvent::kStores, "", ""},
    {0x40, "NOT_COMMON", RawEvent::kLoads, "", ""},
    {0x4004, "CNT_CYCLES", RawEvent::kReferenceCycles, "", ""},
    {0x4025, "EXTENDED_OF_THE_SECOND", RawEvent::kLoads, "", ""},
    {0x8008, "NEITHER", RawEvent::kLoads, "", ""},
};

TEST(Arm64EventTable, IsAskedByNumberOrByName) {
  EXPECT_EQ(find_event(kTable, 0x08), &kTable[0]);
  EXPECT_EQ(find_event(kTable, "INST_RETIRED"), &kTable[0]);
  EXPECT_EQ(find_event(kTable, 0x09), nullptr);
  EXPECT_EQ(find_event(kTable, "inst_retired"), nullptr) << "names are spelled as in the manual";
  EXPECT_EQ(find_event(kTable, ""), nullptr);
}

TEST(Arm64EventTable, CommonEventsAreBitsOfTheRangesThatTheManualGivesThem) {
  EXPECT_EQ(common_events(kTable, 0), 1ull << 8 | 1ull << 31 | 1ull << (4 + 32));
  EXPECT_EQ(common_events(kTable, 32), 1ull << 0 | 1ull << 31 | 1ull << (5 + 32));
  EXPECT_EQ(common_events({}, 0), 0u);
}

TEST(Arm64EventTable, EveryModelsBitsAreItsRows) {
  for (const CpuModel* model : cpu_models()) {
    const std::uint64_t low = common_events(model->events, 0);
    const std::uint64_t high = common_events(model->events, 32);
    for (std::uint16_t number = 0; number < 64; ++number) {
      const std::uint64_t bits = number < 32 ? low : high;
      EXPECT_EQ((bits >> number % 32 & 1) != 0, find_event(model->events, number) != nullptr)
          << model->name << " event " << number;
    }
  }
}

}  // namespace
}  // namespace vpmu::silicon::arm64
