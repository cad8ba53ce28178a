// SPDX-License-Identifier: MIT
//
// A provider that comes and goes while all CPUs ask it, in loops and in signal handlers that
// interrupt them. Its table is poisoned as soon as remove() has returned, and its callbacks look
// whether they are still wanted when they begin and when they end. The same checks must find a
// remove() that does not wait.
//
// To be run with -fsanitize=thread too, which sees what only might have gone wrong.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <thread>
#include <vector>

#include "unit/hostperf/thread_timer.hpp"
#include "vpmu/hostperf/guest_callbacks.hpp"

#if defined(__SANITIZE_THREAD__)
#define VPMU_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VPMU_THREAD_SANITIZER 1
#endif
#endif
#ifndef VPMU_THREAD_SANITIZER
#define VPMU_THREAD_SANITIZER 0
#endif

namespace vpmu::hostperf {
namespace {

constexpr unsigned kCycles = VPMU_THREAD_SANITIZER ? 5'000 : 100'000;
constexpr std::chrono::microseconds kSignalPeriod{50};
constexpr int kSignal = SIGUSR2;
constexpr std::uint64_t kIp = 0x5eed;

// ---- The provider, and what is wrong ------------------------------------------------------------

/// Odd while the provider is registered, or being so.
std::atomic<std::uint64_t> generation{0};
std::atomic<std::uint64_t> violations{0};

/// What a callback does: it must be wanted all the time, which is long enough for a remove() that
/// has not seen it to return.
void be_called() {
  const std::uint64_t begin = generation.load(std::memory_order_relaxed);
  for (int n = 0; n < 300; ++n) std::atomic_signal_fence(std::memory_order_seq_cst);
  const std::uint64_t end = generation.load(std::memory_order_relaxed);
  if ((begin & 1) == 0 || begin != end) violations.fetch_add(1, std::memory_order_relaxed);
}
unsigned state() noexcept {
  be_called();
  return kGuestActive;
}
std::uint64_t ip() noexcept {
  be_called();
  return kIp;
}
GuestSnapshot snapshot() noexcept {
  be_called();
  return {kGuestActive, kIp};
}

void call_poison() {
  violations.fetch_add(1, std::memory_order_relaxed);
}
unsigned poisoned_state() noexcept {
  call_poison();
  return 0;
}
std::uint64_t poisoned_ip() noexcept {
  call_poison();
  return 0;
}
GuestSnapshot poisoned_snapshot() noexcept {
  call_poison();
  return {};
}
constexpr GuestCallbackTable kGood{.state = &state, .ip = &ip, .snapshot = &snapshot};
constexpr GuestCallbackTable kPoison{
    .state = &poisoned_state, .ip = &poisoned_ip, .snapshot = &poisoned_snapshot};

// ---- Readers ------------------------------------------------------------------------------------

GuestCallbacks* host;
std::atomic<std::uint64_t> guests_in_loops{0};
std::atomic<std::uint64_t> guests_in_handlers{0};

void read(std::atomic<std::uint64_t>& guests) {
  const GuestSnapshot both = host->snapshot();
  if (both.state != 0 && both.ip != kIp) violations.fetch_add(1, std::memory_order_relaxed);
  if (host->state() != 0) guests.fetch_add(1, std::memory_order_relaxed);
}

/// Threads, one on each CPU, that read all the time and are interrupted by handlers that do so.
class Readers {
 public:
  Readers() {
    struct sigaction action {};
    action.sa_handler = [](int) { read(guests_in_handlers); };
    sigaction(kSignal, &action, &before_);
    const unsigned cpus = std::max(1U, std::thread::hardware_concurrency());
    for (unsigned cpu = 0; cpu < cpus; ++cpu) threads_.emplace_back([this, cpu] { work(cpu); });
  }
  ~Readers() {
    over_ = true;
    for (std::thread& thread : threads_) thread.join();
    sigaction(kSignal, &before_, nullptr);
  }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

 private:
  void work(unsigned cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    // Where it is not allowed, the scheduler spreads them.
    static_cast<void>(pthread_setaffinity_np(pthread_self(), sizeof set, &set));
    const GuestCallbackReader reader;
    const test::ThreadTimer timer{kSignal, kSignalPeriod};
    EXPECT_TRUE(timer.ok());
    // A reader that is taken off its CPU in the middle of a section keeps the writer waiting for a
    // whole turn of the scheduler. Most are when they yield instead.
    constexpr unsigned kReadings = 50;
    while (!over_.load(std::memory_order_relaxed)) {
      for (unsigned n = 0; n < kReadings; ++n) read(guests_in_loops);
      std::this_thread::yield();
    }
  }

  std::atomic<bool> over_ = false;
  std::vector<std::thread> threads_;
  struct sigaction before_ {};
};

class GuestCallbacksRace : public testing::Test {
 protected:
  void SetUp() override { violations = guests_in_loops = guests_in_handlers = generation = 0; }

  /// Every other time until a reader has met the provider, so that it leaves while they ask (but
  /// not for ever: all may be off their CPUs); otherwise for a moment, so that it leaves while they
  /// begin to.
  static void stay(unsigned cycle) {
    constexpr unsigned kPatience = 20'000;
    const std::uint64_t met = guests_in_loops.load(std::memory_order_relaxed);
    const unsigned steps = cycle % 2 == 0 ? kPatience : cycle * 7 % 1'009;
    for (unsigned n = 0; n < steps; ++n) {
      if (guests_in_loops.load(std::memory_order_relaxed) != met && steps == kPatience) break;
    }
  }

  /// The provider comes and goes until `enough` says so. Gives how often.
  static unsigned come_and_go(GuestCallbacks& callbacks,
                              const std::function<bool(unsigned)>& enough) {
    host = &callbacks;
    GuestCallbackTable table = kPoison;
    const Readers readers;
    unsigned cycles = 0;
    for (; !enough(cycles); ++cycles) {
      table = kGood;
      generation.fetch_add(1, std::memory_order_relaxed);
      EXPECT_TRUE(callbacks.add(table));
      stay(cycles);
      EXPECT_TRUE(callbacks.remove(table));
      generation.fetch_add(1, std::memory_order_relaxed);
      table = kPoison;
    }
    return cycles;
  }
};

TEST_F(GuestCallbacksRace, NoCallbackRunsOnceItsProviderIsGone) {
  // Everybody has to have met the provider. (Under the thread sanitizer signals wait.)
  constexpr unsigned kMeetings = kCycles / 10;
  constexpr unsigned kMeetingsInHandlers = VPMU_THREAD_SANITIZER ? 0 : 1'000;
  GuestCallbacks callbacks;
  come_and_go(callbacks, [](unsigned cycles) {
    return cycles >= kCycles && guests_in_loops >= kMeetings &&
           guests_in_handlers >= kMeetingsInHandlers;
  });
  EXPECT_EQ(violations, 0u);
}

TEST_F(GuestCallbacksRace, ARemovalThatDoesNotWaitIsFound) {
  if (VPMU_THREAD_SANITIZER) GTEST_SKIP() << "the thread sanitizer would find it first";
  const std::chrono::seconds kBound{60};
  GuestCallbacks hasty{[] {}};
  const auto begin = std::chrono::steady_clock::now();
  const unsigned cycles = come_and_go(hasty, [begin, kBound](unsigned) {
    return violations != 0 || std::chrono::steady_clock::now() - begin > kBound;
  });
  if (violations == 0 && std::thread::hardware_concurrency() < 2)
    GTEST_SKIP() << "NOT FOUND on a single CPU in " << cycles << " cycles";
  EXPECT_GT(violations, 0u) << "in " << cycles << " cycles";
}

// ---- Writers ------------------------------------------------------------------------------------

TEST_F(GuestCallbacksRace, OfManyThatWantToProvideOneDoes) {
  constexpr unsigned kWriters = 4;
  constexpr unsigned kSuccesses = VPMU_THREAD_SANITIZER ? 200 : 2'000;
  GuestCallbacks callbacks;
  std::atomic<unsigned> providers = 0, faults = 0;
  const auto write = [&] {
    const GuestCallbackTable mine = kGood;
    for (unsigned successes = 0; successes < kSuccesses;) {
      const auto added = callbacks.add(mine);
      if (!added) {
        faults += added.error() != GuestCallbackError::kAlreadyRegistered ? 1 : 0;
        const auto removed = callbacks.remove(mine);
        faults += removed.has_value() ? 1 : 0;
        std::this_thread::yield();
        continue;
      }
      faults += providers++ != 0 ? 1 : 0;
      --providers;
      faults += callbacks.remove(mine).has_value() ? 0 : 1;
      ++successes;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned n = 0; n < kWriters; ++n) threads.emplace_back(write);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(faults, 0u);
}

TEST_F(GuestCallbacksRace, ReadersMayComeAndGoWhileAProviderDoes) {
  constexpr unsigned kThreads = VPMU_THREAD_SANITIZER ? 200 : 2'000;
  GuestCallbacks callbacks;
  host = &callbacks;
  std::atomic<bool> over = false;
  std::thread writer{[&] {
    GuestCallbackTable table = kPoison;
    while (!over) {
      table = kGood;
      generation.fetch_add(1, std::memory_order_relaxed);
      EXPECT_TRUE(callbacks.add(table));
      std::this_thread::yield();
      EXPECT_TRUE(callbacks.remove(table));
      generation.fetch_add(1, std::memory_order_relaxed);
      table = kPoison;
    }
  }};
  for (unsigned n = 0; n < kThreads; ++n) {
    std::thread{[] {
      const GuestCallbackReader reader;
      for (int readings = 0; readings < 20; ++readings) read(guests_in_loops);
    }}.join();
  }
  over = true;
  writer.join();
  EXPECT_EQ(violations, 0u);
}

}  // namespace
}  // namespace vpmu::hostperf
