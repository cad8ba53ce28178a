// SPDX-License-Identifier: MIT
#include "vpmu/hostperf/read_section.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <span>
#include <thread>

#ifdef __linux__
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace vpmu::hostperf {

constinit ReaderEpoch reader_epoch;
constinit thread_local ReaderSlot* reader_slot = nullptr;

namespace {

constinit std::array<ReaderSlot, kReaderSlots> slots;
/// No slot behind these has ever been taken.
constinit std::atomic<unsigned> slots_used{0};

constinit std::mutex writers;
constinit thread_local bool is_writer __attribute__((tls_model("initial-exec"))) = false;

std::span<ReaderSlot> used_slots() {
  return std::span{slots}.first(slots_used.load(std::memory_order_seq_cst));
}

#ifdef __linux__
bool membarrier(int command) {
  return syscall(SYS_membarrier, command, 0, 0) == 0;
}
bool register_for_barriers() {
  return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}
/// Every thread of the process that runs now has passed a barrier; the others did when they
/// stopped.
bool barrier_on_all_threads() {
  if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return true;
  return errno == EPERM && register_for_barriers() && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}
#else
bool register_for_barriers() {
  return false;
}
bool barrier_on_all_threads() {
  return false;
}
#endif

// A handler that comes between the two statements is better refused than locked out for ever.
void lock_writers() {
  is_writer = true;
  writers.lock();
}
void unlock_writers() {
  writers.unlock();
  is_writer = false;
}

/// In the child of a fork() there is one thread: the others' slots are nobody's.
void forget_other_readers() {
  for (ReaderSlot& slot : used_slots()) {
    if (&slot == reader_slot) continue;
    slot.section = 0;
    slot.users = 0;
    slot.taken = false;
  }
  unlock_writers();
}

void fence_readers() {
  for (ReaderSlot& slot : slots) slot.fenced = true;
}
bool readers_are_fenced() {
  return slots.front().fenced;
}

/// Before anybody is a reader.
void set_up_once() {
  static const bool done = [] {
    pthread_atfork(&lock_writers, &unlock_writers, &forget_other_readers);
    if (!register_for_barriers()) fence_readers();
    return true;
  }();
  static_cast<void>(done);
}

/// Membarrier was there, and is not any more: a seccomp filter was put on. Readers that begin from
/// now on are fenced. Those that have begun are seen as soon as their store is, and nothing holds
/// one back for as long as this.
void go_on_without_barriers() {
  constexpr std::chrono::milliseconds kStoresAreSeen{10};
  fence_readers();
  std::this_thread::sleep_for(kStoresAreSeen);
}

/// The reader's thread may need this CPU, or a priority that the writer does not leave it.
void wait_for_older(const std::atomic<std::uint64_t>& section, std::uint64_t epoch) {
  constexpr unsigned kYields = 1000;
  constexpr std::chrono::microseconds kPause{50};
  const auto is_older = [&] {
    const std::uint64_t began = section.load(std::memory_order_seq_cst);
    return began != 0 && began < epoch;
  };
  for (unsigned n = 0; is_older(); ++n) {
    if (n < kYields) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kPause);
    }
  }
}

}  // namespace

ReaderSlot* claim_reader_slot() {
  if (reader_slot != nullptr) {
    ++reader_slot->users;
    return reader_slot;
  }
  set_up_once();
  const WriterLock lock;
  const auto free = std::ranges::find_if(slots, [](const ReaderSlot& slot) { return !slot.taken; });
  if (free == slots.end()) return nullptr;
  const auto count = static_cast<unsigned>(free - slots.begin()) + 1;
  if (count > slots_used) slots_used = count;
  free->taken = true;
  free->users = 1;
  free->saw_guest = false;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  reader_slot = &*free;
  return reader_slot;
}

void release_reader_slot() {
  ReaderSlot* const slot = reader_slot;
  if (--slot->users != 0) return;
  reader_slot = nullptr;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  slot->taken = false;
}

WriterLock::WriterLock() {
  lock_writers();
}
WriterLock::~WriterLock() {
  unlock_writers();
}

bool WriterLock::would_deadlock() {
  return is_writer ||
         (reader_slot != nullptr && reader_slot->section.load(std::memory_order_relaxed) != 0);
}

void wait_for_readers() {
  set_up_once();
  if (!readers_are_fenced() && !barrier_on_all_threads()) go_on_without_barriers();
  const std::uint64_t epoch = reader_epoch.now.load(std::memory_order_relaxed) + 1;
  reader_epoch.now.store(epoch, std::memory_order_seq_cst);
  for (const ReaderSlot& slot : used_slots()) wait_for_older(slot.section, epoch);
}

}  // namespace vpmu::hostperf
