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

struct Expected {
  const char* model;
  EventSelector selector;
  RawEvent raw;
  int fixed = kNoFixedCounter;
  unsigned counters = 0xff;
};
/// What users of each model rely on; event_encoding_test.cpp checks all names and encodings.
constexpr Expected kExpected[] = {
    // Fixed counters, by Linux's pseudo-encodings, and the architectural events.
    {"icelake-server", {0x00, 0x01}, RawEvent::kInstructions, 0},
    {"icelake-server", {0xc0, 0x00}, RawEvent::kInstructions, 0},
    {"icelake-server", {0x00, 0x02}, RawEvent::kCycles, 1},
    {"icelake-server", {0x3c, 0x00}, RawEvent::kCycles, 1},
    {"icelake-server", {0x00, 0x03}, RawEvent::kReferenceCycles, 2},
    {"icelake-server", {0x00, 0x04}, RawEvent::kSlots, 3},
    {"icelake-server", {0xa4, 0x01}, RawEvent::kSlots, 3},
    {"icelake-server", {0x3c, 0x01}, RawEvent::kReferenceCycles},
    {"icelake-server", {0x2e, 0x4f}, RawEvent::kLlcReferences},
    {"icelake-server", {0x2e, 0x41}, RawEvent::kLlcMisses},
    {"icelake-server", {0xc4, 0x00}, RawEvent::kBranches},
    {"icelake-server", {0xc5, 0x00}, RawEvent::kMispredictedBranches},
    {"sapphire-rapids", {0x00, 0x04}, RawEvent::kSlots, 3},
    {"skylake-server", {0x00, 0x03}, RawEvent::kReferenceCycles, 2},
    // Branches: conditional ones moved with Ice Lake.
    {"icelake-server", {0xc4, 0x11}, RawEvent::kConditionalBranches},
    {"sapphire-rapids", {0xc4, 0x11}, RawEvent::kConditionalBranches},
    {"skylake-server", {0xc4, 0x01}, RawEvent::kConditionalBranches},
    {"icelake-server", {0xc4, 0x02}, RawEvent::kCalls},
    {"icelake-server", {0xc4, 0x08}, RawEvent::kReturns},
    {"icelake-server", {0xc4, 0x20}, RawEvent::kTakenBranches},
    {"icelake-server", {0xc4, 0x80}, RawEvent::kIndirectBranches},
    // Memory: only the first four counters have these.
    {"icelake-server", {0xd0, 0x81}, RawEvent::kLoads, kNoFixedCounter, 0x0f},
    {"icelake-server", {0xd0, 0x82}, RawEvent::kStores, kNoFixedCounter, 0x0f},
    {"icelake-server", {0xd0, 0x83}, RawEvent::kMemoryAccesses, kNoFixedCounter, 0x0f},
    {"sapphire-rapids", {0xd0, 0x83}, RawEvent::kMemoryAccesses, kNoFixedCounter, 0x0f},
    {"skylake-server", {0xd0, 0x83}, RawEvent::kMemoryAccesses, kNoFixedCounter, 0x0f},
    {"skylake-server", {0x08, 0x0e}, RawEvent::kDtlbLoadWalks},
    {"icelake-server", {0x49, 0x0e}, RawEvent::kDtlbStoreWalks, kNoFixedCounter, 0x0f},
    {"sapphire-rapids", {0x12, 0x0e}, RawEvent::kDtlbLoadWalks, kNoFixedCounter, 0x0f},
    {"sapphire-rapids", {0x13, 0x0e}, RawEvent::kDtlbStoreWalks, kNoFixedCounter, 0x0f},
    // Haswell's memory events are those of Skylake by other names.
    {"haswell-server", {0xd0, 0x81}, RawEvent::kLoads, kNoFixedCounter, 0x0f},
    {"haswell-server", {0xd0, 0x12}, RawEvent::kDtlbStoreWalks, kNoFixedCounter, 0x0f},
    {"haswell-server", {0xc4, 0x01}, RawEvent::kConditionalBranches},
    {"haswell-server", {0x08, 0x0e}, RawEvent::kDtlbLoadWalks},
    {"haswell-server", {0x51, 0x01}, RawEvent::kL1dMisses},
    // PREC_DIST up to Skylake is an event of counter 1 alone.
    {"skylake-server", {0xc0, 0x01}, RawEvent::kInstructions, kNoFixedCounter, 0x02},
    // AMD: what Linux and the test suites of hypervisors program.
    {"zen2", {0x76, 0x00}, RawEvent::kCycles},
    {"zen2", {0xc0, 0x00}, RawEvent::kInstructions},
    {"zen2", {0xc2, 0x00}, RawEvent::kBranches},
    {"zen2", {0xc3, 0x00}, RawEvent::kMispredictedBranches},
    {"zen2", {0x29, 0x01}, RawEvent::kLoads},
    {"zen2", {0x29, 0x02}, RawEvent::kStores},
    {"zen2", {0x29, 0x04}, RawEvent::kReadModifyWrites},
    {"zen2", {0x60, 0xff}, RawEvent::kL1dMisses},
    {"zen2", {0x64, 0x09}, RawEvent::kLlcReferences},
    {"zen2", {0x45, 0xf0}, RawEvent::kDtlbWalks},
    {"zen4", {0x76, 0x00}, RawEvent::kCycles},
    {"zen4", {0xc0, 0x00}, RawEvent::kInstructions},
    {"zen4", {0x29, 0x04}, RawEvent::kReadModifyWrites},
    // Event selects of 12 bits.
    {"zen4", {0x120, 0x01}, RawEvent::kReferenceCycles},
    {"zen4", {0x1a0, 0x1e}, RawEvent::kBackendBoundSlots},
};

TEST(EventTable, ModelsCountWhatTheirUsersRelyOn) {
  for (const Expected& expected : kExpected) {
    const EventRow* row = find_event(find_cpu_model(expected.model)->events, expected.selector);
    ASSERT_NE(row, nullptr) << expected.model << std::hex << ' ' << expected.selector.event << ' '
                            << +expected.selector.unit_mask;
    EXPECT_EQ(row->raw, expected.raw) << expected.model << ' ' << row->name;
    EXPECT_EQ(row->fixed, expected.fixed) << expected.model << ' ' << row->name;
    EXPECT_EQ(row->counters, expected.counters) << expected.model << ' ' << row->name;
  }
}

TEST(EventTable, EveryRowSaysWhereItCanBeCountedAndWhereItIsFrom) {
  for (const CpuModel* model : cpu_models()) {
    const unsigned existing = (1u << model->pmu.gp_counters) - 1;
    for (const EventRow& row : model->events) {
      const std::string where = std::string{model->name} + ' ' + row.name;
      EXPECT_NE(row.counters & existing, 0u) << where;
      EXPECT_NE(std::string{row.source}, "") << where;
      EXPECT_LT(row.fixed, model->pmu.fixed_counters) << where;
      EXPECT_LE(row.selector.event, model->vendor == Vendor::kIntel ? 0xff : 0xfff) << where;
      EXPECT_LT(static_cast<std::size_t>(row.raw), kNamedRawEventCount) << where;
      if (row.counted_on != CountedOn::kFixedCounter) continue;
      ASSERT_GE(row.fixed, 0) << where;
      EXPECT_EQ(row.selector, fixed_only_selector(static_cast<unsigned>(row.fixed))) << where;
    }
  }
}

TEST(EventTable, EveryFixedCounterHasItsRow) {
  for (const CpuModel* model : cpu_models()) {
    for (unsigned n = 0; n < model->pmu.fixed_counters; ++n) {
      EXPECT_NE(find_event(model->events, fixed_only_selector(n)), nullptr)
          << model->name << " fixed " << n;
    }
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
        EventSelector{0x2e, 0x40}, EventSelector{0x00, 0x05}}) {
    EXPECT_EQ(find_event(model->events, selector), nullptr);
  }
}

}  // namespace
}  // namespace vpmu::silicon::x86
