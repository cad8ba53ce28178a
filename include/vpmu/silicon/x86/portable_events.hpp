// SPDX-License-Identifier: MIT
//
// Events that mean the same on every CPU model, as kernels and hypervisors name them: generic
// hardware events, and events of caches. Which raw event each of them is does not depend on the
// model; whether a model can count it, and by which selector, is in the model's table.
//
//   generic event      raw event                   caches                raw event
//   cycles             cycles                      L1D    read  access   loads
//   instructions       instructions                L1D    read  miss     l1d-load-misses
//   cache references   llc-references              L1D    write access   stores
//   cache misses       llc-misses                  DTLB   read  access   loads
//   branches           branches                    DTLB   read  miss     dtlb-load-walks
//   branch misses      mispredicted-branches       DTLB   write access   stores
//   reference cycles   ref-cycles                  DTLB   write miss     dtlb-store-walks
//                                                  BPU    read  access   branches
//                                                  BPU    read  miss     mispredicted-branches
//
// What is not in it no raw event is: bus cycles (reference cycles pass at the TSC's rate), stalled
// cycles (there are slots, which are no cycles), L1I and ITLB (fetches are not modelled),
// prefetches, L1D write misses, LL by operation (its raw events are reads and writes together),
// NODE. A DTLB miss is one that both levels missed.
#pragma once

#include <cstdint>
#include <optional>

#include "vpmu/silicon/raw_event.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/silicon/x86/event_table.hpp"

namespace vpmu::silicon::x86 {

/// By their numbers in Linux' perf (PERF_COUNT_HW_*).
enum class GenericEvent : std::uint8_t {
  kCycles,
  kInstructions,
  kCacheReferences,
  kCacheMisses,
  kBranches,
  kBranchMisses,
  kBusCycles,
  kStalledFrontend,
  kStalledBackend,
  kReferenceCycles,
};
inline constexpr unsigned kGenericEventCount = 10;
/// As perf calls it, e.g. "cache-references". Never null; "?" for what is none.
const char* name(GenericEvent event);

struct CacheEvent {
  enum class Cache : std::uint8_t { kL1d, kL1i, kLl, kDtlb, kItlb, kBpu, kNode };
  enum class Operation : std::uint8_t { kRead, kWrite, kPrefetch };
  enum class Result : std::uint8_t { kAccess, kMiss };
  static constexpr unsigned kCaches = 7, kOperations = 3, kResults = 2;

  Cache cache;
  Operation operation;
  Result result;
};

/// What it is on every model; none: no raw event is that.
std::optional<RawEvent> raw_event(GenericEvent event);
std::optional<RawEvent> raw_event(CacheEvent event);

/// The row by which the model counts a raw event best; null: it cannot. Of several the one that the
/// vendor means exactly so (no note), then one that every general-purpose counter has, then the
/// architectural one, then the first. So a fixed counter's row is taken only if nothing else counts
/// the same: reference cycles on Intel's, whose other rows are at the crystal's rate in hardware.
const EventRow* find_event(const CpuModel& model, RawEvent raw);

/// As the model counts it; null: it does not.
const EventRow* find_event(const CpuModel& model, GenericEvent event);
const EventRow* find_event(const CpuModel& model, CacheEvent event);

}  // namespace vpmu::silicon::x86
