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

#include <cstdint>

#include <tl/expected.hpp>

namespace vpmu::hostperf {

/// What a guest's state is made of; 0: no guest was running. kGuestUser never comes alone.
inline constexpr unsigned kGuestActive = 1;
inline constexpr unsigned kGuestUser = 2;  ///< less privileged than the guest's kernel

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
  /// The process's.
  static GuestCallbacks& host();

  /// For hypervisors, from ordinary context. `table` must outlive its registration.
  tl::expected<void, GuestCallbackError> add(const GuestCallbackTable& table);
  /// Waits until no reader that began before is left: that is a few microseconds, or as long as a
  /// reader's thread is kept from running.
  tl::expected<void, GuestCallbackError> remove(const GuestCallbackTable& table);

  /// For profilers, async-signal-safe. 0 while nobody is registered, and on threads without a
  /// GuestCallbackReader.
  [[nodiscard]] unsigned state();
  [[nodiscard]] std::uint64_t ip();
  [[nodiscard]] GuestSnapshot snapshot();
  /// 1: consumed for the guest. 0: the host's, also if nobody has such a hook.
  [[nodiscard]] unsigned trace_interrupt();
  /// Readings that came from threads without a GuestCallbackReader while a provider was registered.
  [[nodiscard]] std::uint64_t dropped() const;
};

/// While it lives, its thread may read guest callbacks. Before the signal that reads is unblocked;
/// not in a signal handler. Nests.
class GuestCallbackReader {
 public:
  GuestCallbackReader();
  ~GuestCallbackReader();
  GuestCallbackReader(const GuestCallbackReader&) = delete;
  GuestCallbackReader& operator=(const GuestCallbackReader&) = delete;
  /// False: as many threads as there are places for are readers; this one reads "host".
  [[nodiscard]] bool ok() const;
};

}  // namespace vpmu::hostperf
