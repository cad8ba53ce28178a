// SPDX-License-Identifier: MIT
//
// HostPerf: what the hypervisor floor asks of the host's perf subsystem, shaped after Linux perf
// since that is what it becomes on a real host. Back ends: ModelledHostPerf, Linux.
//
// An *event* counts one thing for one target. It is created disabled, and then goes through these
// states:
//
//            enable              on a host CPU, and fits on its PMU
//     off  ---------->  inactive <--------------> active
//      ^                    |                       |
//      |      disable       | pinned, and does not fit (any more)
//      +--- (from any) ---  v                       v
//                         error ---- enable ----> inactive
//
// Scheduling. Each host CPU has one PMU, for which the events of the CPU and of the task that is on
// it compete. They get their counters in this order, those enabled first before others:
//
//     1. pinned events of the CPU        3. flexible events of the CPU
//     2. pinned events of the task       4. flexible events of the task
//
// A pinned event that does not fit goes into error and stays there until it is enabled again; so a
// pinned event that is inactive only waits for its task to be on a CPU. A flexible one that does
// not fit waits: as long as one of a target's flexible events waits, that target's flexible events
// take turns (the first of them becomes the last, every so often), and EventCount's times say what
// share of it each event had. An `exclusive` event fits only on a PMU that is otherwise empty, and
// then nothing fits beside it.
//
// Targets. An event of a task counts on whatever host CPU the task runs, and only while it runs. An
// event of a host CPU counts what all tasks do there, and keeps its count while they come and go.
//
// Who owns what: an event belongs to whoever opened it and lives until close(). Handlers must
// outlive their events. A back end outlives all its users.
//
// Threads: a call about an event is made on the thread that runs its target. Handlers are called on
// that thread too, in a back end's own context (an instruction boundary of the vCPU for the
// modelled one, signal context for Linux), and may call everything but open(). That context may lie
// inside another call of HostPerf, also one about the same event: calls take effect as if the
// handler had run before them. A call about an event that a handler closed underneath it does
// nothing.
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

/// What an event counts for: a vCPU, on whatever host CPU it runs, or all that runs on one host
/// CPU.
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
  /// Event select, unit mask, edge, inversion and counter mask, and on Intel IN_TX and IN_TXCP, at
  /// their places in the CPU's event select register (silicon::x86::EventSelect, AmdEventSelect);
  /// all other bits 0. On Intel, event select 0 with unit mask k+1 is what fixed counter k counts.
  /// On AArch64 the number of the PMUv3 event.
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
  /// Which branches are to be recorded for it (lbr_host.hpp); 0: none. Branches while the guest
  /// runs unless `exclude_guest`.
  std::uint32_t branch_type = 0;
  /// Handed to the overflow handler.
  std::uint64_t cookie = 0;

  friend bool operator==(const EventAttr&, const EventAttr&) = default;
};

enum class OpenError : std::uint8_t {
  kNoSuchTarget,  ///< ESRCH, ENODEV
  kNoSuchEvent,   ///< ENOENT: this CPU cannot count that
  kNotSupported,  ///< EOPNOTSUPP: this back end has no such feature
  kNoSpace,       ///< ENOSPC: as many events of the target are open as the back end was built for
  kBusy,          ///< EBUSY: what it needs is used in a way that nobody can share
};

enum class EventState : std::uint8_t {
  kOff,       ///< disabled
  kInactive,  ///< enabled, waiting for a counter (if flexible) or for its task to be on a CPU
  kActive,    ///< on a counter
  kError,     ///< pinned, and did not fit. enable() tries again
};
/// The name that reports use, e.g. "active". Never null.
const char* name(EventState state);

/// Since open(); none of it ever goes back. The times of a task's event pass while the task runs,
/// those of a host CPU's event always. A flexible event that had to wait counted a part only:
/// value * time_enabled / time_running is the usual estimate of the whole.
struct EventCount {
  std::uint64_t value = 0;
  std::uint64_t time_enabled_ns = 0;  ///< active or inactive
  std::uint64_t time_running_ns = 0;  ///< active
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

class LbrHost;

class HostPerf {
 public:
  virtual ~HostPerf() = default;

  /// Last branch records; null: this host has none that a guest could use.
  virtual LbrHost* lbr() { return nullptr; }

  /// Creates an event, off. `handler` is only called if attr.period is not 0, or becomes so. May
  /// make system calls, so never from an overflow handler.
  virtual tl::expected<EventId, OpenError> open(const EventAttr& attr, Target target,
                                                OverflowHandler& handler) = 0;
  /// Stops and destroys the event; the id is free for reuse. May be called in any state, also from
  /// the event's own handler.
  virtual void close(EventId event) = 0;

  /// From off or error: schedules the event onto the PMU, now if the target is on a host CPU. See
  /// state() for how that went. No effect in other states.
  virtual void enable(EventId event) = 0;
  /// Stops counting and gives the counter back. The value is kept.
  virtual void disable(EventId event) = 0;

  /// Stops counting for a moment: value and overflow stand still, the counter and the state stay.
  /// For reprogramming without losing the counter to somebody else. Does not nest; disable() ends
  /// it.
  virtual void pause(EventId event) = 0;
  virtual void resume(EventId event) = 0;

  /// What was counted, up to and including the last retired instruction. In error: what was counted
  /// before, or nothing if the back end cannot know (Linux gives end-of-file).
  virtual std::optional<EventCount> read(EventId event) = 0;

  /// The next overflow is `period` counts from now, and every `period` after that. 0: no overflows.
  /// In any state; the event stays where it is.
  virtual void set_period(EventId event, std::uint64_t period) = 0;

  [[nodiscard]] virtual EventState state(EventId event) const = 0;
  /// The host CPU on whose PMU the event is: kNoHostCpu unless it is active.
  [[nodiscard]] virtual HostCpu cpu(EventId event) const = 0;
};

}  // namespace vpmu::hostperf
