// SPDX-License-Identifier: MIT
//
// Read sections in signal handlers: asymmetric read-copy-update, for pointers that are read in any
// context and taken back rarely.
//
//   reader (its thread has a slot)              writer, one at a time
//     const ReadSection reading{slot};            pointer = null
//     p = pointer; if (p) use *p                  wait_for_readers()
//                                                 *p may be freed
//
// Each reading thread has a slot: 0, or the epoch in which its section began. The writer makes all
// threads of the process pass a barrier (membarrier), so that whoever may have seen the old pointer
// can be seen to be in a section, begins a new epoch, and waits for all sections of older ones.
// Those that begin meanwhile do not keep it waiting. Readers pay two stores and no barrier; without
// membarrier, an atomic exchange.
//
// A handler that interrupts a section of its thread finds it and leaves it alone. One that
// interrupts between the look at the slot and the store leaves it 0 again; the outer section then
// begins in an epoch that may be over, for which a writer waits nevertheless.
#pragma once

#include <atomic>
#include <cstdint>

namespace vpmu::hostperf {

/// A thread's place among the readers.
struct alignas(64) ReaderSlot {
  std::atomic<std::uint64_t> section{0};  ///< epoch in which the section began; 0: in none
  std::atomic<bool> fenced{false};        ///< there is no membarrier
  std::atomic<bool> taken{false};
  /// The rest is its thread's alone.
  bool saw_guest = false;  ///< what state() said last, see GuestCallbacks::ip()
  std::uint32_t users = 0;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::atomic<bool>::is_always_lock_free);

inline constexpr unsigned kReaderSlots = 1024;

/// Alone in its cache line, which readers share and writers change.
struct alignas(64) ReaderEpoch {
  std::atomic<std::uint64_t> now{1};
};
extern ReaderEpoch reader_epoch;

/// The calling thread's; null: it has none. Of the initial-exec model, since handlers may not be
/// the first to touch a thread's dynamic storage.
extern constinit thread_local ReaderSlot* reader_slot __attribute__((tls_model("initial-exec")));

/// For the calling thread: a slot, or null if all are taken. Not in signal handlers. Each call
/// needs a release_reader_slot() on the same thread.
ReaderSlot* claim_reader_slot();
void release_reader_slot();

/// In signal handlers, too; nests.
class ReadSection {
 public:
  explicit ReadSection(ReaderSlot& mine) noexcept
      : slot_{mine}, nested_{mine.section.load(std::memory_order_relaxed) != 0} {
    if (nested_) [[unlikely]]
      return;
    const std::uint64_t epoch = reader_epoch.now.load(std::memory_order_acquire);
    if (slot_.fenced.load(std::memory_order_relaxed)) [[unlikely]] {
      slot_.section.exchange(epoch, std::memory_order_seq_cst);
    } else {
      // Released: whoever sees that this section has begun sees that the ones before are over.
      slot_.section.store(epoch, std::memory_order_release);
    }
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  ~ReadSection() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (!nested_) [[likely]]
      slot_.section.store(0, std::memory_order_release);
  }
  ReadSection(const ReadSection&) = delete;
  ReadSection& operator=(const ReadSection&) = delete;

 private:
  ReaderSlot& slot_;
  const bool nested_;
};

/// The lock of all writers. It is free in a child of fork(), and no reader but the child is left.
class WriterLock {
 public:
  WriterLock();
  ~WriterLock();
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;
  /// The calling thread would wait for itself: it is in a section, or interrupts itself as a
  /// writer.
  static bool would_deadlock();
};

/// Behind a sequentially consistent store that took the pointer back, with the WriterLock held.
/// Returns when everybody who may have read the pointer before has left its section.
void wait_for_readers();

}  // namespace vpmu::hostperf
