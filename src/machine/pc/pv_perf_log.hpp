// SPDX-License-Identifier: MIT
//
// Since when each of a vCPU's PV perf events is what it is, and which of them the host did not
// count as the guest wanted. For the report: nothing here is visible to the guest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/clock.hpp"
#include "machine/pc/filter_log.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/virt/x86/counter_status.hpp"
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::machine {

class PvPerfLog final : public virt::x86::PvPerfObserver {
 public:
  struct Entry {
    virt::x86::CounterStatus status = virt::x86::CounterStatus::kOff;
    std::uint64_t since = 0;  ///< machine time, in cycles
    virt::x86::pv::Evtsel evtsel{};
    bool used = false;  ///< was ever anything but off

    friend bool operator==(const Entry&, const Entry&) = default;
  };
  /// What somebody counts stood still, as event `event` first.
  struct Trouble {
    std::uint32_t event = 0;
    virt::x86::CounterStatus status = virt::x86::CounterStatus::kOff;
    virt::x86::pv::Evtsel evtsel{};
    std::uint64_t first = 0;  ///< machine time, in cycles

    friend bool operator==(const Trouble&, const Trouble&) = default;
  };
  static constexpr std::size_t kMaxTroubles = 64;

  /// Plain data, for saving.
  struct State {
    std::array<Entry, virt::x86::pv::kMaxEvents> events{};
    std::array<Trouble, kMaxTroubles> troubles{};
    std::uint32_t trouble_count = 0;

    friend bool operator==(const State&, const State&) = default;
  };

  /// Tells `filters` of every denial, if there is one: what the event is on the host is asked of
  /// `pv_perf`, which must outlive its use here.
  PvPerfLog(const Clock& clock, const virt::x86::PvPerf& pv_perf, unsigned vcpu, FilterLog* filters)
      : clock_{clock}, pv_perf_{pv_perf}, vcpu_{vcpu}, filters_{filters} {}

  void pv_event_changed(unsigned event, virt::x86::CounterStatus status,
                        virt::x86::pv::Evtsel evtsel) override;

  /// There is another filter: it is told which events are denied already.
  void note_denied() const;

  [[nodiscard]] const Entry& of(unsigned event) const { return state_.events.at(event); }
  /// In the order in which they came, each EVTSEL (but for its EN and INT) and status once; after
  /// kMaxTroubles no more.
  [[nodiscard]] std::span<const Trouble> troubles() const {
    return {state_.troubles.data(), state_.trouble_count};
  }

  [[nodiscard]] const State& save() const { return state_; }
  Result<void> restore(const State& state);

 private:
  void tell_filters(unsigned event, virt::x86::pv::Evtsel evtsel) const;

  const Clock& clock_;
  const virt::x86::PvPerf& pv_perf_;
  const unsigned vcpu_;
  FilterLog* const filters_;
  State state_;
};

}  // namespace vpmu::machine
