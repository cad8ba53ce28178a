// SPDX-License-Identifier: MIT
#include "vpmu/silicon/x86/portable_events.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace vpmu::silicon::x86 {
namespace {

using Cache = CacheEvent::Cache;
using Operation = CacheEvent::Operation;
using MissOrAccess = CacheEvent::Result;

std::vector<GenericEvent> generic_events() {
  std::vector<GenericEvent> all;
  for (unsigned n = 0; n < kGenericEventCount; ++n) all.push_back(static_cast<GenericEvent>(n));
  return all;
}

std::vector<CacheEvent> cache_events() {
  std::vector<CacheEvent> all;
  for (unsigned n = 0; n < CacheEvent::kCaches * CacheEvent::kOperations * CacheEvent::kResults;
       ++n) {
    all.push_back({static_cast<Cache>(n / 6), static_cast<Operation>(n / 2 % 3),
                   static_cast<MissOrAccess>(n % 2)});
  }
  return all;
}

constexpr const char* kModels[] = {"haswell-server", "icelake-server", "sapphire-rapids",
                                   "skylake-server", "zen2",           "zen4"};

std::optional<EventSelector> selector(const EventRow* row) {
  return row == nullptr ? std::nullopt : std::optional{row->selector};
}

constexpr std::nullopt_t kNone = std::nullopt;

TEST(PortableEvents, GenericEventsAreCountedBySelectorsOfTheirModels) {
  const EventSelector fixed2 = fixed_only_selector(2);
  const auto intel = [](EventSelector common, EventSelector amd) {
    return std::vector<std::optional<EventSelector>>{common, common, common, common, amd, amd};
  };
  const std::map<GenericEvent, std::vector<std::optional<EventSelector>>> expected{
      {GenericEvent::kCycles, intel({0x3c, 0x00}, {0x76, 0x00})},
      {GenericEvent::kInstructions, intel({0xc0, 0x00}, {0xc0, 0x00})},
      {GenericEvent::kCacheReferences, intel({0x2e, 0x4f}, {0x64, 0x08})},
      {GenericEvent::kCacheMisses, intel({0x2e, 0x41}, {0x43, 0x08})},
      {GenericEvent::kBranches, intel({0xc4, 0x00}, {0xc2, 0x00})},
      {GenericEvent::kBranchMisses, intel({0xc5, 0x00}, {0xc3, 0x00})},
      // Up to Ice Lake 3C 01 is at the crystal's rate in hardware, so the fixed counter has it.
      {GenericEvent::kReferenceCycles,
       {fixed2, fixed2, EventSelector{0x3c, 0x01}, fixed2, kNone, EventSelector{0x120, 0x01}}},
      {GenericEvent::kBusCycles, {kNone, kNone, kNone, kNone, kNone, kNone}},
      {GenericEvent::kStalledFrontend, {kNone, kNone, kNone, kNone, kNone, kNone}},
      {GenericEvent::kStalledBackend, {kNone, kNone, kNone, kNone, kNone, kNone}},
  };
  ASSERT_EQ(expected.size(), kGenericEventCount);
  ASSERT_EQ(cpu_models().size(), std::size(kModels));
  for (const auto& [event, selectors] : expected) {
    for (std::size_t n = 0; n < std::size(kModels); ++n) {
      EXPECT_EQ(selector(find_event(*find_cpu_model(kModels[n]), event)), selectors[n])
          << kModels[n] << ", generic event " << static_cast<int>(event);
    }
  }
}

struct CacheCase {
  CacheEvent event;
  /// In the order of kModels; none: the model cannot count it.
  std::optional<EventSelector> selectors[std::size(kModels)];
};
constexpr EventSelector kLoads{0xd0, 0x81}, kStores{0xd0, 0x82}, kAmdLoads{0x29, 0x01},
    kAmdStores{0x29, 0x02};
const CacheCase kCacheCases[] = {
    {{Cache::kL1d, Operation::kRead, MissOrAccess::kAccess},
     {kLoads, kLoads, kLoads, kLoads, kAmdLoads, kAmdLoads}},
    {{Cache::kL1d, Operation::kRead, MissOrAccess::kMiss},
     {EventSelector{0x24, 0xe1}, EventSelector{0x24, 0xe1}, EventSelector{0x24, 0xe1},
      EventSelector{0x24, 0xe1}, kNone, kNone}},
    {{Cache::kL1d, Operation::kWrite, MissOrAccess::kAccess},
     {kStores, kStores, kStores, kStores, kAmdStores, kAmdStores}},
    {{Cache::kDtlb, Operation::kRead, MissOrAccess::kAccess},
     {kLoads, kLoads, kLoads, kLoads, kAmdLoads, kAmdLoads}},
    {{Cache::kDtlb, Operation::kRead, MissOrAccess::kMiss},
     {EventSelector{0x08, 0x01}, EventSelector{0x08, 0x0e}, EventSelector{0x12, 0x0e},
      EventSelector{0x08, 0x0e}, kNone, kNone}},
    {{Cache::kDtlb, Operation::kWrite, MissOrAccess::kAccess},
     {kStores, kStores, kStores, kStores, kAmdStores, kAmdStores}},
    {{Cache::kDtlb, Operation::kWrite, MissOrAccess::kMiss},
     {EventSelector{0x49, 0x01}, EventSelector{0x49, 0x0e}, EventSelector{0x13, 0x0e},
      EventSelector{0x49, 0x0e}, kNone, kNone}},
    {{Cache::kBpu, Operation::kRead, MissOrAccess::kAccess},
     {EventSelector{0xc4, 0x00}, EventSelector{0xc4, 0x00}, EventSelector{0xc4, 0x00},
      EventSelector{0xc4, 0x00}, EventSelector{0xc2, 0x00}, EventSelector{0xc2, 0x00}}},
    {{Cache::kBpu, Operation::kRead, MissOrAccess::kMiss},
     {EventSelector{0xc5, 0x00}, EventSelector{0xc5, 0x00}, EventSelector{0xc5, 0x00},
      EventSelector{0xc5, 0x00}, EventSelector{0xc3, 0x00}, EventSelector{0xc3, 0x00}}},
};

TEST(PortableEvents, CacheEventsAreCountedBySelectorsOfTheirModels) {
  for (const CacheCase& row : kCacheCases) {
    for (std::size_t n = 0; n < std::size(kModels); ++n) {
      EXPECT_EQ(selector(find_event(*find_cpu_model(kModels[n]), row.event)), row.selectors[n])
          << kModels[n] << ", cache " << static_cast<int>(row.event.cache) << ", operation "
          << static_cast<int>(row.event.operation) << ", result "
          << static_cast<int>(row.event.result);
    }
  }
}

TEST(PortableEvents, NoOtherCacheEventIsAnything) {
  std::size_t there = 0;
  for (const CacheEvent& event : cache_events()) there += raw_event(event).has_value() ? 1 : 0;
  EXPECT_EQ(there, std::size(kCacheCases));
}

/// What makes them portable: a guest that moves goes on counting the same.
TEST(PortableEvents, RowsCountTheSameRawEventOnEveryModel) {
  for (const CpuModel* model : cpu_models()) {
    for (const GenericEvent event : generic_events()) {
      const EventRow* row = find_event(*model, event);
      if (row == nullptr) continue;
      EXPECT_EQ(row->raw, raw_event(event)) << model->name << ' ' << row->name;
    }
    for (const CacheEvent& event : cache_events()) {
      const EventRow* row = find_event(*model, event);
      if (row == nullptr) continue;
      EXPECT_EQ(row->raw, raw_event(event)) << model->name << ' ' << row->name;
    }
  }
}

TEST(PortableEvents, RowsAreFromTheModelsOwnTables) {
  for (const CpuModel* model : cpu_models()) {
    for (std::size_t n = 0; n < kNamedRawEventCount; ++n) {
      const EventRow* row = find_event(*model, static_cast<RawEvent>(n));
      if (row == nullptr) continue;
      EXPECT_EQ(find_event(model->events, row->selector), row) << model->name;
    }
  }
}

TEST(PortableEvents, ExactRowsGoBeforeNotedOnesAndWholePmusBeforeHalfOnes) {
  constexpr EventRow kHalf{"HALF", {1, 0}, RawEvent::kLoads, -1, CountedOn::kAnyCounter, "", "", 3};
  constexpr EventRow kNoted{"NOTED", {2, 0}, RawEvent::kLoads, -1, CountedOn::kAnyCounter,
                            "is not"};
  constexpr EventRow kWhole{"WHOLE", {3, 0}, RawEvent::kLoads, -1, CountedOn::kAnyCounter, ""};
  constexpr EventRow kFixed{"FIXED", {0, 1}, RawEvent::kLoads, 0, CountedOn::kFixedCounter, ""};
  CpuModel model = *find_cpu_model("icelake-server");
  const std::vector<EventRow> all{kNoted, kFixed, kHalf, kWhole};
  for (std::size_t best = 0; best < all.size(); ++best) {
    const std::vector<EventRow> rows{all.begin(), all.begin() + static_cast<long>(best) + 1};
    model.events = rows;
    EXPECT_STREQ(find_event(model, RawEvent::kLoads)->name, all[best].name);
  }
  model.events = all;
  EXPECT_EQ(find_event(model, RawEvent::kStores), nullptr);
}

}  // namespace
}  // namespace vpmu::silicon::x86
