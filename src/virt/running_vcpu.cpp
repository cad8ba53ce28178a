// SPDX-License-Identifier: MIT
#include "vpmu/virt/running_vcpu.hpp"

#include <utility>

namespace vpmu::virt {

using hostperf::GuestCallbackError;
using hostperf::GuestCallbacks;
using hostperf::GuestCallbackTable;
using hostperf::GuestSnapshot;

constinit thread_local RunningState running_state;

std::uint32_t running_vcpu_index() noexcept {
  const GuestContext* const vcpu = running_vcpu();
  return vcpu != nullptr ? vcpu->vcpu_index() : GuestContext::kNoVcpu;
}

namespace {

unsigned state() noexcept {
  const RunningState& running = running_state;
  if (running.phase != Phase::kInGuest || running.vcpu == nullptr) return 0;
  return hostperf::kGuestActive | (running.vcpu->in_user_mode() ? hostperf::kGuestUserMode : 0U);
}

std::uint64_t ip() noexcept {
  return state() != 0 ? running_state.vcpu->instruction_pointer() : 0;
}

GuestSnapshot snapshot() noexcept {
  const unsigned now = state();
  return {now, now != 0 ? running_state.vcpu->instruction_pointer() : 0};
}

unsigned trace_interrupt() noexcept {
  if (state() == 0) return 0;
  running_state.vcpu->take_trace_interrupt();
  return 1;
}

// They never go away, so that the memory of a table is safe whatever happens to its provider.
constexpr GuestCallbackTable kHostTraces{.state = &state, .ip = &ip, .snapshot = &snapshot};
constexpr GuestCallbackTable kGuestTraces{
    .state = &state, .ip = &ip, .snapshot = &snapshot, .trace_interrupt = &trace_interrupt};

}  // namespace

tl::expected<GuestProvider, GuestCallbackError> GuestProvider::add(TraceOwner trace) {
  const GuestCallbackTable& table = trace == TraceOwner::kGuest ? kGuestTraces : kHostTraces;
  return GuestCallbacks::host().add(table).map([&table] { return GuestProvider{&table}; });
}

GuestProvider::GuestProvider(GuestProvider&& other) noexcept
    : table_{std::exchange(other.table_, nullptr)} {}

GuestProvider::~GuestProvider() {
  if (table_ != nullptr) static_cast<void>(GuestCallbacks::host().remove(*table_));
}

}  // namespace vpmu::virt
