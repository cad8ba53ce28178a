// SPDX-License-Identifier: MIT
//
// Asking guest callbacks, with nobody and with somebody there, beside other ways to read a pointer
// that can be taken back: liburcu, a lock, a counted pointer. All of them call the same function
// through the pointer; only liburcu's could be used in a signal handler.
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include <benchmark/benchmark.h>

// Inline, as ours is.
#define _LGPL_SOURCE
#include <urcu/urcu-mb.h>
#include <urcu/urcu-memb.h>

#include "vpmu/base/ensure.hpp"
#include "vpmu/hostperf/guest_callbacks.hpp"

namespace vpmu::bench {
namespace {

using hostperf::GuestCallbackReader;
using hostperf::GuestCallbacks;
using hostperf::GuestCallbackTable;
using hostperf::GuestSnapshot;

constexpr unsigned kReadings = 1024;

unsigned state() noexcept {
  return hostperf::kGuestActive;
}
std::uint64_t ip() noexcept {
  return 0x1000;
}
GuestSnapshot snapshot() noexcept {
  return {hostperf::kGuestActive, 0x1000};
}
constexpr GuestCallbackTable kTable{.state = &state, .ip = &ip, .snapshot = &snapshot};

/// What every reading has in common: nothing is remembered from the one before.
template <class Reading>
[[gnu::always_inline]] inline void read_once(const Reading& reading, unsigned n) {
  const auto answer = reading(n);
  asm volatile("" : : "r"(answer) : "memory");
}

/// Several readings to a turn of the loop, so that where the loop happens to lie matters less.
template <class Reading>
void read_again_and_again(benchmark::State& bench, Reading reading) {
  for (auto _ : bench) {
    for (unsigned n = 0; n < kReadings; n += 4) {
      read_once(reading, n);
      read_once(reading, n + 1);
      read_once(reading, n + 2);
      read_once(reading, n + 3);
    }
  }
  bench.SetItemsProcessed(static_cast<std::int64_t>(bench.iterations() * kReadings));
}

void empty_loop(benchmark::State& bench) {
  read_again_and_again(bench, [](unsigned n) { return n; });
}
BENCHMARK(empty_loop)->Name("guest_callbacks/empty_loop");

void nobody(benchmark::State& bench) {
  const GuestCallbackReader reader;
  read_again_and_again(bench, [](unsigned) { return GuestCallbacks::host().state(); });
}
BENCHMARK(nobody)->Name("guest_callbacks/nobody");

/// While it lives, kTable is registered.
class Provider {
 public:
  Provider() { ensure(GuestCallbacks::host().add(kTable).has_value()); }
  ~Provider() { static_cast<void>(GuestCallbacks::host().remove(kTable)); }
  Provider(const Provider&) = delete;
  Provider& operator=(const Provider&) = delete;
};

void registered(benchmark::State& bench) {
  const GuestCallbackReader reader;
  const Provider provider;
  read_again_and_again(bench, [](unsigned) { return GuestCallbacks::host().state(); });
}
BENCHMARK(registered)->Name("guest_callbacks/registered");

void registered_snapshot(benchmark::State& bench) {
  const GuestCallbackReader reader;
  const Provider provider;
  read_again_and_again(bench, [](unsigned) {
    const GuestSnapshot both = GuestCallbacks::host().snapshot();
    return both.ip + both.state;
  });
}
BENCHMARK(registered_snapshot)->Name("guest_callbacks/snapshot");

/// As where there is no membarrier.
void registered_fenced(benchmark::State& bench) {
  const GuestCallbackReader reader;
  const Provider provider;
  const bool fenced = hostperf::reader_slot->fenced.exchange(true);
  read_again_and_again(bench, [](unsigned) { return GuestCallbacks::host().state(); });
  hostperf::reader_slot->fenced = fenced;
}
BENCHMARK(registered_fenced)->Name("guest_callbacks/fenced");

// ---- Others -------------------------------------------------------------------------------------

std::atomic<const GuestCallbackTable*> plain{&kTable};

void plain_load_and_call(benchmark::State& bench) {
  read_again_and_again(bench, [](unsigned) {
    const GuestCallbackTable* const table = plain.load(std::memory_order_acquire);
    return table != nullptr ? table->state() : 0U;
  });
}
BENCHMARK(plain_load_and_call)->Name("guest_callbacks/plain_load_and_call");

/// Ours, but each section of a thread has a number of its own: nothing is shared, but each reading
/// waits for what the one before has stored.
void counted_sections(benchmark::State& bench) {
  const GuestCallbackReader reader;
  read_again_and_again(bench, [](unsigned) {
    if (plain.load(std::memory_order_relaxed) == nullptr) return 0U;
    hostperf::ReaderSlot& slot = *hostperf::reader_slot;
    const std::uint64_t before = slot.section.load(std::memory_order_relaxed);
    const bool nested = (before & 1) != 0;
    if (slot.fenced.load(std::memory_order_relaxed)) return 0U;
    if (!nested) slot.section.store(before + 1, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const GuestCallbackTable* const table = plain.load(std::memory_order_acquire);
    const unsigned answer = table != nullptr ? table->state() : 0U;
    slot.saw_guest = answer != 0;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (!nested) slot.section.store(before + 2, std::memory_order_release);
    return answer;
  });
  hostperf::reader_slot->section = 0;
}
BENCHMARK(counted_sections)->Name("guest_callbacks/counted_sections");

void urcu_memb(benchmark::State& bench) {
  urcu_memb_register_thread();
  read_again_and_again(bench, [](unsigned) {
    urcu_memb_read_lock();
    const GuestCallbackTable* const table = plain.load(std::memory_order_acquire);
    const unsigned answer = table != nullptr ? table->state() : 0U;
    urcu_memb_read_unlock();
    return answer;
  });
  urcu_memb_unregister_thread();
}
BENCHMARK(urcu_memb)->Name("guest_callbacks/urcu_memb");

void urcu_mb(benchmark::State& bench) {
  urcu_mb_register_thread();
  read_again_and_again(bench, [](unsigned) {
    urcu_mb_read_lock();
    const GuestCallbackTable* const table = plain.load(std::memory_order_acquire);
    const unsigned answer = table != nullptr ? table->state() : 0U;
    urcu_mb_read_unlock();
    return answer;
  });
  urcu_mb_unregister_thread();
}
BENCHMARK(urcu_mb)->Name("guest_callbacks/urcu_mb");

void shared_mutex(benchmark::State& bench) {
  std::shared_mutex mutex;
  read_again_and_again(bench, [&mutex](unsigned) {
    const std::shared_lock lock{mutex};
    const GuestCallbackTable* const table = plain.load(std::memory_order_relaxed);
    return table != nullptr ? table->state() : 0U;
  });
}
BENCHMARK(shared_mutex)->Name("guest_callbacks/shared_mutex");

void atomic_shared_ptr(benchmark::State& bench) {
  std::atomic<std::shared_ptr<const GuestCallbackTable>> counted{
      std::make_shared<const GuestCallbackTable>(kTable)};
  read_again_and_again(bench, [&counted](unsigned) {
    const std::shared_ptr<const GuestCallbackTable> table = counted.load();
    return table != nullptr ? table->state() : 0U;
  });
}
BENCHMARK(atomic_shared_ptr)->Name("guest_callbacks/atomic_shared_ptr");

// ---- Coming and going ---------------------------------------------------------------------------

void add_and_remove(benchmark::State& bench) {
  for (auto _ : bench) const Provider provider;
}
BENCHMARK(add_and_remove)->Name("guest_callbacks/add_and_remove");

}  // namespace
}  // namespace vpmu::bench
