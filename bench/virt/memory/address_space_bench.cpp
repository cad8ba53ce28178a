// SPDX-License-Identifier: MIT
//
// Memory slots: locking one beside plain mlock() of the same memory, in small pages and in huge
// ones, that are there already or are not; what tracking takes; and what it costs to ask about a
// page.
#include "vpmu/virt/memory/address_space.hpp"

#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "bench/support/cpu_time.hpp"
#include "vpmu/virt/memory/host_mapping.hpp"

namespace vpmu::bench {

namespace {

using virt::memory::AddressSpace;
using virt::memory::AddressSpaceUser;
using virt::memory::HostMapping;
using virt::memory::HostMemoryKind;
using virt::memory::kPageBytes;
using virt::memory::LinuxPinningHost;
using virt::memory::LockAccess;
using virt::memory::SlotMetadata;
using virt::memory::SlotPages;

constexpr std::uint64_t kBytes = std::uint64_t{128} << 20;
constexpr std::uint64_t kPages = kBytes / kPageBytes;
constexpr GuestPhysical kBegin{0x4000'0000};

class SoftwareUser final : public AddressSpaceUser {};

/// A slot of 128 MiB.
struct World {
  explicit World(HostMemoryKind kind) : memory{std::move(*HostMapping::create(kind, kBytes))} {
    benchmark::DoNotOptimize(space.set_slot({0, 0, kBegin, kBytes, memory.data()}));
  }
  HostMapping memory;
  LinuxPinningHost host;
  SoftwareUser user;
  AddressSpace space{{}, host, user};
};

/// What it takes, once; negative: the host refuses it.
double time_our_lock(World& world) {
  const double begin = cpu_seconds();
  const bool locked = world.space.lock(0, LockAccess::kReadWrite).has_value();
  const double took = cpu_seconds() - begin;
  if (!locked) return -1;
  benchmark::DoNotOptimize(world.space.unlock(0));
  return took;
}
double time_mlock(World& world) {
  const double begin = cpu_seconds();
  const int failed = mlock(world.memory.data(), kBytes);
  const double took = cpu_seconds() - begin;
  if (failed != 0) return -1;
  munlock(world.memory.data(), kBytes);
  return took;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Both, on the same memory, one after another in changing order.
void lock_slot(benchmark::State& state, HostMemoryKind kind, bool there) {
  World world{kind};
  std::vector<double> ours, theirs;
  bool ours_first = false;
  std::memset(world.memory.data(), 1, kBytes);
  for (auto _ : state) {
    ours_first = !ours_first;
    for (const bool our_turn : {ours_first, !ours_first}) {
      if (!there) madvise(world.memory.data(), kBytes, MADV_DONTNEED);
      (our_turn ? ours : theirs).push_back(our_turn ? time_our_lock(world) : time_mlock(world));
    }
    if (ours.back() < 0 || theirs.back() < 0) {
      state.SkipWithError("128 MiB cannot be locked: raise RLIMIT_MEMLOCK, or have CAP_IPC_LOCK");
      return;
    }
    state.SetIterationTime(ours.back());
  }
  state.counters["ours_seconds"] = median(ours);
  state.counters["mlock_seconds"] = median(theirs);
  state.counters["pages_per_second"] = static_cast<double>(kPages) / median(ours);
}

void lock_small_pages(benchmark::State& state) {
  lock_slot(state, HostMemoryKind::kSmallPages, false);
}
void lock_small_pages_there(benchmark::State& state) {
  lock_slot(state, HostMemoryKind::kSmallPages, true);
}
void lock_blocks(benchmark::State& state) {
  lock_slot(state, HostMemoryKind::kAnonymous, false);
}
void lock_blocks_there(benchmark::State& state) {
  lock_slot(state, HostMemoryKind::kAnonymous, true);
}
BENCHMARK(lock_small_pages)->Name("slot/lock_small_pages")->UseManualTime()->Iterations(9);
BENCHMARK(lock_small_pages_there)
    ->Name("slot/lock_small_pages_there")
    ->UseManualTime()
    ->Iterations(99);
BENCHMARK(lock_blocks)->Name("slot/lock_blocks")->UseManualTime()->Iterations(9);
BENCHMARK(lock_blocks_there)->Name("slot/lock_blocks_there")->UseManualTime()->Iterations(99);

/// Asks of every page whether it is locked and whether it is dirty. Every third is; or all are, in
/// whole blocks.
void ask_pages(benchmark::State& state, bool in_parts) {
  World world{HostMemoryKind::kSmallPages};
  benchmark::DoNotOptimize(world.space.set_slot(
      {0, virt::memory::MemorySlot::kLogDirtyPages, kBegin, kBytes, world.memory.data()}));
  std::vector<virt::memory::RangeLock> ranges;
  for (std::uint64_t page = 0; in_parts && page < kPages / 16; page += 3) {
    const GuestPhysical address{raw(kBegin) + page * kPageBytes};
    auto range = world.space.lock_range(address, kPageBytes, LockAccess::kRead);
    if (range) ranges.push_back(std::move(*range));
    world.space.mark_dirty(address, kPageBytes);
  }
  if (!in_parts) {
    auto range = world.space.lock_range(kBegin, kBytes / 16, LockAccess::kRead);
    if (range) ranges.push_back(std::move(*range));
  }
  if (ranges.empty()) {
    state.SkipWithError("pages cannot be locked: raise RLIMIT_MEMLOCK, or have CAP_IPC_LOCK");
    return;
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(world.space.read(0, [](const SlotPages& pages) {
      std::uint64_t found = 0;
      for (std::uint64_t page = 0; page < kPages / 16; ++page) {
        found += pages.locked(page) ? 1 : 0;
        found += pages.dirty(page) ? 1 : 0;
      }
      return found;
    }));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPages / 16));
}
void ask_pages_in_parts(benchmark::State& state) {
  ask_pages(state, true);
}
void ask_pages_in_blocks(benchmark::State& state) {
  ask_pages(state, false);
}
BENCHMARK(ask_pages_in_parts)->Name("slot/ask_in_parts");
BENCHMARK(ask_pages_in_blocks)->Name("slot/ask_in_blocks");

/// A translation of a page that is mapped.
void translate(benchmark::State& state) {
  World world{HostMemoryKind::kSmallPages};
  std::uint64_t page = 0;
  for (auto _ : state) {
    const GuestPhysical address{raw(kBegin) + page * kPageBytes};
    benchmark::DoNotOptimize(world.space.translate(address, virt::memory::StageTwoAccess::kWrite));
    page = (page + 1) % 512;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(translate)->Name("slot/translate");

/// Tables of a slot of 1 GiB, of which a page is locked.
void metadata(benchmark::State& state) {
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
  const HostMapping memory{std::move(*HostMapping::create(HostMemoryKind::kSmallPages, kGiB))};
  LinuxPinningHost host;
  SoftwareUser user;
  AddressSpace space{{}, host, user};
  SlotMetadata bytes;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        space.set_slot({0, virt::memory::MemorySlot::kLogDirtyPages, kBegin, kGiB, memory.data()}));
    benchmark::DoNotOptimize(space.lock_range(kBegin, kPageBytes, LockAccess::kRead));
    bytes = space.metadata(0);
    benchmark::DoNotOptimize(space.set_slot({0, 0, kBegin, 0, nullptr}));
  }
  state.counters["pin_bytes"] = static_cast<double>(bytes.pins);
  state.counters["stage2_bytes"] = static_cast<double>(bytes.stage2);
  state.counters["dirty_log_bytes"] = static_cast<double>(bytes.dirty_log);
}
BENCHMARK(metadata)->Name("slot/metadata_of_1_GiB");

}  // namespace

}  // namespace vpmu::bench
