// SPDX-License-Identifier: MIT
//
// Which vCPU a thread runs, and what it is doing for it right now; and the one provider of guest
// callbacks for all kinds of vCPUs, which answers from that.
//
//   GuestProvider::add() once, when the hypervisor starts;  then on a vCPU's thread
//
//   RunningVcpu running{vcpu};
//   { PhaseScope guest{Phase::kInGuest};  ... guest code runs ...
//     { PhaseScope exit{Phase::kEmulating};  ... }
//   }
//
// The state is the thread's, plain and async-signal-safe: a signal handler on the same thread reads
// what its thread wrote last. Scopes cost two stores, and nest.
#pragma once

#include <atomic>
#include <cstdint>

#include <tl/expected.hpp>

#include "vpmu/hostperf/guest_callbacks.hpp"

namespace vpmu::virt {

/// A vCPU as a profiler sees it. Everything is called in signal context on the vCPU's thread, at
/// any moment: no locks, no allocation, no system calls.
class GuestContext {
 public:
  [[nodiscard]] virtual bool in_user_mode() const noexcept = 0;
  /// Where the guest is, as exact as can be told between two of its instructions. While one runs,
  /// what came last.
  [[nodiscard]] virtual std::uint64_t instruction_pointer() const noexcept = 0;
  /// By which reports call it; kNoVcpu: by none.
  [[nodiscard]] virtual std::uint32_t vcpu_index() const noexcept { return kNoVcpu; }
  static constexpr std::uint32_t kNoVcpu = ~std::uint32_t{0};
  /// The guest's own trace unit has interrupted it. Only called if guests own it (TraceOwner).
  virtual void take_trace_interrupt() noexcept {}

 protected:
  ~GuestContext() = default;
};

enum class Phase : std::uint8_t {
  kHost,       ///< nothing of a guest; also: a vCPU is loaded, but is not run
  kInGuest,    ///< guest code runs
  kEmulating,  ///< the hypervisor does something that an instruction of the guest asked for
};

/// Who has the CPUs' trace units while guests run (Intel PT: system mode, or host/guest mode).
enum class TraceOwner : std::uint8_t { kHost, kGuest };

/// What a thread does. Only the thread itself and its signal handlers look at it.
struct RunningState {
  GuestContext* vcpu = nullptr;
  Phase phase = Phase::kHost;
};
/// Of the initial-exec model, since handlers may not be the first to touch a thread's dynamic
/// storage.
extern constinit thread_local RunningState running_state __attribute__((tls_model("initial-exec")));

/// Of the calling thread; async-signal-safe. Null: none is loaded.
[[nodiscard]] inline const GuestContext* running_vcpu() noexcept {
  return running_state.vcpu;
}
/// Of the vCPU that is loaded; GuestContext::kNoVcpu: none is.
[[nodiscard]] std::uint32_t running_vcpu_index() noexcept;
[[nodiscard]] inline Phase running_phase() noexcept {
  return running_state.phase;
}

/// While it lives, the thread is in that phase.
class PhaseScope {
 public:
  explicit PhaseScope(Phase phase) noexcept : before_{running_state.phase} { enter(phase); }
  ~PhaseScope() { enter(before_); }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  /// Everything the compiler has before it stays there: a handler may look now.
  static void enter(Phase phase) noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    running_state.phase = phase;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  const Phase before_;
};

/// While it lives, the thread has that vCPU, in phase kHost until a PhaseScope says otherwise.
/// Nests (the inner one counts).
class RunningVcpu {
 public:
  explicit RunningVcpu(GuestContext& vcpu) noexcept
      : phase_before_{Phase::kHost}, before_{running_state.vcpu} {
    load(&vcpu);
  }
  ~RunningVcpu() { load(before_); }
  RunningVcpu(const RunningVcpu&) = delete;
  RunningVcpu& operator=(const RunningVcpu&) = delete;

 private:
  static void load(GuestContext* vcpu) noexcept {
    running_state.vcpu = vcpu;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  /// First in, last out: while the vCPU changes, the thread is in phase kHost.
  const PhaseScope phase_before_;
  GuestContext* const before_;
};

/// The registration of the provider that all vCPUs of the process share: a guest is active in phase
/// kInGuest, and not while the hypervisor works for it.
class GuestProvider {
 public:
  /// The trace hook is there only if guests own the trace units. Registered until it is destroyed;
  /// by then no vCPU runs.
  static tl::expected<GuestProvider, hostperf::GuestCallbackError> add(TraceOwner trace);
  GuestProvider(GuestProvider&& other) noexcept;
  GuestProvider& operator=(GuestProvider&&) = delete;
  ~GuestProvider();

 private:
  explicit GuestProvider(const hostperf::GuestCallbackTable* table) : table_{table} {}
  const hostperf::GuestCallbackTable* table_;
};

}  // namespace vpmu::virt
