// SPDX-License-Identifier: MIT
//
// Guest callbacks: how a host profiler that has just interrupted a CPU learns whether a guest was
// running there, in which mode, and where. The hypervisor lends a table of callbacks; here it is
// taken, asked, and given back. As Linux' perf_guest_info_callbacks, for threads of a process: the
// interrupt is a signal on a vCPU's thread (or the modelled host's overflow), and the process is
// the kernel.
//
//   hypervisor                              profiler, in a signal handler
//     add(table) ... remove(table)            GuestSnapshot s = host.snapshot();
//                                             s.state == 0: the host was running
//
// One provider at a time. A table is complete before add() and does not change until remove() has
// returned; then no callback runs and none will, and the table and its code may go away.
//
// Readers take no lock, never wait, allocate or call the system, and may be interrupted by other
// readers, also in the middle of add() and remove(). Callbacks obey the same. Reading with nobody
// registered is one load and a branch.
#pragma once

#include <atomic>
#include <cstdint>

#include <tl/expected.hpp>

#include "vpmu/hostperf/read_section.hpp"

namespace vpmu::hostperf {

/// What a guest's state is made of; 0: no guest was running. kGuestUserMode never comes alone.
inline constexpr unsigned kGuestActive = 1;
inline constexpr unsigned kGuestUserMode = 2;  ///< less privileged than the guest's kernel

struct GuestSnapshot {
  unsigned state = 0;
  std::uint64_t ip = 0;  ///< means something only if state is not 0; may then be 0, too
};

/// What a hypervisor lends. Called on the thread that was interrupted, in signal context.
struct GuestCallbackTable {
  unsigned (*state)() noexcept = nullptr;
  /// Only behind a state() that was not 0 on the same thread.
  std::uint64_t (*ip)() noexcept = nullptr;
  /// Both at once: no change of mode or of provider can lie between them.
  GuestSnapshot (*snapshot)() noexcept = nullptr;
  /// May be null: guests have no trace unit of their own. A trace interrupt came: 1 if it was the
  /// guest's and has been handed to it, 0 if the host is to deal with it.
  unsigned (*trace_interrupt)() noexcept = nullptr;
};

enum class GuestCallbackError : std::uint8_t {
  kIncomplete,         ///< a callback that everybody needs is null
  kAlreadyRegistered,  ///< a provider is there; nothing has changed
  kNotRegistered,      ///< another provider is there, or none; nothing has changed
  kInReader,           ///< from a callback or a reader's thread in one: it would wait for itself
};
/// One line that says what happened. Never null.
const char* name(GuestCallbackError error);

/// The one place that a host has for them.
class GuestCallbacks {
 public:
  using WaitForReaders = void (*)();

  /// The process's.
  static GuestCallbacks& host();
  /// Another one, for tests: of what remove() waits for, too.
  explicit constexpr GuestCallbacks(WaitForReaders wait = &wait_for_readers) : wait_{wait} {}
  GuestCallbacks(const GuestCallbacks&) = delete;
  GuestCallbacks& operator=(const GuestCallbacks&) = delete;

  /// For hypervisors, from ordinary context. `table` must outlive its registration.
  tl::expected<void, GuestCallbackError> add(const GuestCallbackTable& table);
  /// Waits until no reader that began before is left: that is a few microseconds, or as long as a
  /// reader's thread is kept from running.
  tl::expected<void, GuestCallbackError> remove(const GuestCallbackTable& table);

  /// For profilers, async-signal-safe. 0 while nobody is registered, and on threads without a
  /// GuestCallbackReader.
  [[nodiscard]] unsigned state();
  /// Behind a state() that was not 0 on the same thread; debug builds see to that.
  [[nodiscard]] std::uint64_t ip();
  [[nodiscard]] GuestSnapshot snapshot();
  /// 1: consumed for the guest. 0: the host's, also if nobody has such a hook.
  [[nodiscard]] unsigned trace_interrupt();
  /// Readings that came from threads without a GuestCallbackReader while a provider was registered.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  template <typename Answer, typename Question>
  Answer ask(Question question);

  static GuestCallbacks host_;

  std::atomic<const GuestCallbackTable*> table_{nullptr};
  const WaitForReaders wait_;
  std::atomic<std::uint64_t> dropped_{0};
};

/// While it lives, its thread may read guest callbacks. Before the signal that reads is unblocked;
/// not in a signal handler. Nests.
class GuestCallbackReader {
 public:
  GuestCallbackReader() : ok_{claim_reader_slot() != nullptr} {}
  ~GuestCallbackReader() {
    if (ok_) release_reader_slot();
  }
  GuestCallbackReader(const GuestCallbackReader&) = delete;
  GuestCallbackReader& operator=(const GuestCallbackReader&) = delete;
  /// False: as many threads as there are places for are readers; this one reads "host".
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  const bool ok_;
};

// ---- Reading, at the price of a load while nobody is registered --------------------------------

inline constinit GuestCallbacks GuestCallbacks::host_;

inline GuestCallbacks& GuestCallbacks::host() {
  return host_;
}

template <typename Answer, typename Question>
Answer GuestCallbacks::ask(Question question) {
  if (table_.load(std::memory_order_relaxed) == nullptr) [[likely]]
    return Answer{};
  ReaderSlot* const slot = reader_slot;
  if (slot == nullptr) [[unlikely]] {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return Answer{};
  }
  const ReadSection reading{*slot};
  // Once more, now that a writer waits for us.
  const GuestCallbackTable* const table = table_.load(std::memory_order_seq_cst);
  return table != nullptr ? question(*table, *slot) : Answer{};
}

inline unsigned GuestCallbacks::state() {
  return ask<unsigned>([](const GuestCallbackTable& table, ReaderSlot& slot) {
    const unsigned state = table.state();
    slot.saw_guest = state != 0;
    return state;
  });
}

inline GuestSnapshot GuestCallbacks::snapshot() {
  return ask<GuestSnapshot>(
      [](const GuestCallbackTable& table, ReaderSlot& /*slot*/) { return table.snapshot(); });
}

}  // namespace vpmu::hostperf
