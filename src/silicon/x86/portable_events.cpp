// SPDX-License-Identifier: MIT
#include "vpmu/silicon/x86/portable_events.hpp"

#include <algorithm>

namespace vpmu::silicon::x86 {

namespace {

bool is_architectural(EventSelector selector) {
  return std::ranges::any_of(architectural_events(),
                             [&](const auto& each) { return each.selector == selector; });
}

/// Of rows with the same raw event the one with more is better.
int merit(const CpuModel& model, const EventRow& row) {
  const unsigned existing = (1u << model.pmu.gp_counters) - 1;
  const bool exact = row.note[0] == '\0';
  const bool general = row.counted_on == CountedOn::kAnyCounter;
  const bool everywhere = general && (row.counters & existing) == existing;
  const bool architectural = model.vendor == Vendor::kIntel && is_architectural(row.selector);
  return 8 * exact + 4 * general + 2 * everywhere + architectural;
}

const EventRow* find_event(const CpuModel& model, std::optional<RawEvent> raw) {
  return raw ? find_event(model, *raw) : nullptr;
}

}  // namespace

const char* name(GenericEvent event) {
  switch (event) {
    case GenericEvent::kCycles: return "cycles";
    case GenericEvent::kInstructions: return "instructions";
    case GenericEvent::kCacheReferences: return "cache-references";
    case GenericEvent::kCacheMisses: return "cache-misses";
    case GenericEvent::kBranches: return "branches";
    case GenericEvent::kBranchMisses: return "branch-misses";
    case GenericEvent::kBusCycles: return "bus-cycles";
    case GenericEvent::kStalledFrontend: return "stalled-cycles-frontend";
    case GenericEvent::kStalledBackend: return "stalled-cycles-backend";
    case GenericEvent::kReferenceCycles: return "ref-cycles";
  }
  return "?";
}

std::optional<RawEvent> raw_event(GenericEvent event) {
  switch (event) {
    case GenericEvent::kCycles: return RawEvent::kCycles;
    case GenericEvent::kInstructions: return RawEvent::kInstructions;
    case GenericEvent::kCacheReferences: return RawEvent::kLlcReferences;
    case GenericEvent::kCacheMisses: return RawEvent::kLlcMisses;
    case GenericEvent::kBranches: return RawEvent::kBranches;
    case GenericEvent::kBranchMisses: return RawEvent::kMispredictedBranches;
    case GenericEvent::kReferenceCycles: return RawEvent::kReferenceCycles;
    case GenericEvent::kBusCycles:
    case GenericEvent::kStalledFrontend:
    case GenericEvent::kStalledBackend: break;
  }
  return std::nullopt;
}

std::optional<RawEvent> raw_event(CacheEvent event) {
  using Cache = CacheEvent::Cache;
  if (event.operation == CacheEvent::Operation::kPrefetch) return std::nullopt;
  const bool write = event.operation == CacheEvent::Operation::kWrite;
  const bool miss = event.result == CacheEvent::Result::kMiss;
  const RawEvent accesses = write ? RawEvent::kStores : RawEvent::kLoads;
  switch (event.cache) {
    case Cache::kL1d:
      if (!miss) return accesses;
      if (!write) return RawEvent::kL1dLoadMisses;
      break;
    case Cache::kDtlb:
      if (!miss) return accesses;
      return write ? RawEvent::kDtlbStoreWalks : RawEvent::kDtlbLoadWalks;
    case Cache::kBpu:
      if (!write) return miss ? RawEvent::kMispredictedBranches : RawEvent::kBranches;
      break;
    case Cache::kL1i:
    case Cache::kLl:
    case Cache::kItlb:
    case Cache::kNode: break;
  }
  return std::nullopt;
}

const EventRow* find_event(const CpuModel& model, RawEvent raw) {
  const EventRow* best = nullptr;
  for (const EventRow& row : model.events) {
    if (row.raw != raw) continue;
    if (best == nullptr || merit(model, row) > merit(model, *best)) best = &row;
  }
  return best;
}

const EventRow* find_event(const CpuModel& model, GenericEvent event) {
  return find_event(model, raw_event(event));
}

const EventRow* find_event(const CpuModel& model, CacheEvent event) {
  return find_event(model, raw_event(event));
}

}  // namespace vpmu::silicon::x86
