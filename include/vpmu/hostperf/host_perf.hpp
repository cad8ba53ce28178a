// SPDX-License-Identifier: MIT
//
// HostPerf: what the hypervisor floor asks of the host's perf subsystem, shaped after Linux perf
// since that is what it becomes on a real host. Back ends: ModelledHostPerf, Linux.
//
// An *event* counts one thing for one target. It is created disabled, and then goes through these
// states:
//
//            enable              fits on the PMU
//     off  ---------->  inactive <--------------> active
//      ^                    |
//      |      disable       | pinned, and does not fit
//      +--- (from any) ---  v
//                         error
//
// Who owns what: an event belongs to whoever opened it and lives until close(). Handlers must
// outlive their events. A back end outlives all its users.
//
// Threads: a call about an event is made on the thread that runs its target. Handlers are called
// on that thread too, in a back end's own context (an instruction boundary of the vCPU for the
// modelled one, signal context for Linux), and may call everything but open().
//
// Cost: everything but open() and close() is on the path of a guest's access; the modelled back end
// neither allocates nor locks there.
#pragma once

#include <cstdint>
#include <optional>

#include <tl/expected.hpp>

namespace vpmu::hostperf {

/// A vCPU of the machine, as a task that the host schedules.
enum class VcpuIndex : std::uint32_t {};
/// A logical CPU of the host.
enum class HostCpu : std::int32_t {};
inline constexpr HostCpu kNoHostCpu{-1};

/// An open event. Only meaningful to the HostPerf that gave it, until it is closed.
enum class EventId : std::uint32_t {};
inline constexpr EventId kNoEvent{~std::uint32_t{0}};

/// What an event counts for: a vCPU, on whatever host CPU it runs, or everything on one host CPU.
struct Target {
  enum class Kind : std::uint8_t { kVcpu, kHostCpu };
  Kind kind = Kind::kVcpu;
  std::uint32_t index = 0;

  static constexpr Target of(VcpuIndex vcpu) {
    return {Kind::kVcpu, static_cast<std::uint32_t>(vcpu)};
  }
  static constexpr Target of(HostCpu cpu) {
    return {Kind::kHostCpu, static_cast<std::uint32_t>(cpu)};
  }
};

/// How a PMU is told what to count; named as in perf_event_attr.
struct EventAttr {
  /// Event select, unit mask, edge, inversion and counter mask, at their places in the CPU's event
  /// select register (silicon::x86::EventSelect::kCounted); all other bits 0. Event select 0 with
  /// unit mask k+1 is what fixed counter k counts.
  std::uint64_t config = 0;
  /// Counts between overflows; 0: the event never overflows.
  std::uint64_t period = 0;
  /// Always on the PMU or in error; flexible events, in contrast, wait for a free counter.
  bool pinned = false;
  /// The only user of the PMU while it is on it.
  bool exclusive = false;
  bool exclude_user = false;
  bool exclude_kernel = false;
  bool exclude_host = false;   ///< nothing while the host itself runs
  bool exclude_guest = false;  ///< nothing while a guest runs
  bool exclude_idle = false;
  /// Handed to the overflow handler.
  std::uint64_t cookie = 0;
};

enum class OpenError : std::uint8_t {
  kNoSuchTarget,  ///< ESRCH, ENODEV
  kNoSuchEvent,   ///< ENOENT: this CPU cannot count that
  kNotSupported,  ///< EOPNOTSUPP: this back end has no such feature
  kNoSpace,       ///< ENOSPC: as many events are open as the back end was built for
};

enum class EventState : std::uint8_t {
  kOff,       ///< disabled
  kInactive,  ///< enabled, waiting for a counter
  kActive,    ///< on a counter
  kError,     ///< pinned, and did not fit. enable() tries again
};

struct EventCount {
  std::uint64_t value = 0;            ///< since open(); never goes back
  std::uint64_t time_enabled_ns = 0;  ///< the target ran and the event was enabled
  std::uint64_t time_running_ns = 0;  ///< ... and on a counter
};

/// Told that an event has overflowed.
class OverflowHandler {
 public:
  /// `event` reached its period; `cookie` is the attr's. The event counts on, its next overflow one
  /// period later, unless the handler says otherwise. Periods shorter than one instruction's counts
  /// coalesce: one call per instruction boundary.
  virtual void on_overflow(EventId event, std::uint64_t cookie) = 0;

 protected:
  ~OverflowHandler() = default;
};

class HostPerf {
 public:
  virtual ~HostPerf() = default;

  /// Creates an event, off. `handler` is only called if attr.period is not 0, or becomes so. May
  /// make system calls, so never from an overflow handler.
  virtual tl::expected<EventId, OpenError> open(const EventAttr& attr, Target target,
                                                OverflowHandler& handler) = 0;
  /// Stops and destroys the event; the id is free for reuse. May be called in any state, also from
  /// the event's own handler.
  virtual void close(EventId event) = 0;

  /// From off or error: schedules the event onto the PMU, now if the target is running. See state()
  /// for how that went. No effect in other states.
  virtual void enable(EventId event) = 0;
  /// Stops counting and gives the counter back. The value is kept.
  virtual void disable(EventId event) = 0;

  /// Stops counting for a moment: value and overflow stand still, the counter and the state stay.
  /// For reprogramming without losing the counter to somebody else. Does not nest.
  virtual void pause(EventId event) = 0;
  virtual void resume(EventId event) = 0;

  /// What was counted, up to and including the last retired instruction. Any state but error, where
  /// it gives nothing (as Linux gives end-of-file): what a pinned event missed is not known.
  virtual std::optional<EventCount> read(EventId event) = 0;

  /// The next overflow is `period` counts from now, and every `period` after that. 0: no overflows.
  virtual void set_period(EventId event, std::uint64_t period) = 0;

  [[nodiscard]] virtual EventState state(EventId event) const = 0;
  /// The host CPU on whose PMU the event is: kNoHostCpu unless it is active.
  [[nodiscard]] virtual HostCpu cpu(EventId event) const = 0;
};

}  // namespace vpmu::hostperf
