// SPDX-License-Identifier: MIT
//
// Since when each of a vCPU's counters is what it is, and which events the host did not count as
// the guest wanted. For the report: nothing here is visible to the guest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/clock.hpp"
#include "machine/pc/filter_log.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/virt/x86/counter_status.hpp"
#include "vpmu/virt/x86/pmu_state.hpp"

namespace vpmu::machine {

class CounterLog final : public virt::x86::CounterObserver {
 public:
  struct Entry {
    virt::x86::CounterStatus status = virt::x86::CounterStatus::kOff;
    std::uint64_t since = 0;   ///< machine time, in cycles
    std::uint64_t config = 0;  ///< what it counts, or counted last (hostperf::EventAttr::config)
    bool used = false;         ///< was ever anything but off

    friend bool operator==(const Entry&, const Entry&) = default;
  };
  /// An event stood still, on `counter` first.
  struct Trouble {
    virt::x86::CounterIndex counter{};
    virt::x86::CounterStatus status = virt::x86::CounterStatus::kOff;
    std::uint64_t config = 0;
    std::uint64_t first = 0;  ///< machine time, in cycles

    friend bool operator==(const Trouble&, const Trouble&) = default;
  };
  static constexpr std::size_t kMaxTroubles = 64;

  /// Plain data, for saving.
  struct State {
    std::array<Entry, virt::x86::PmuState::kMaxGp> gp{};
    std::array<Entry, virt::x86::PmuState::kMaxFixed> fixed{};
    std::array<Trouble, kMaxTroubles> troubles{};
    std::uint32_t trouble_count = 0;

    friend bool operator==(const State&, const State&) = default;
  };

  /// Tells `filters` of every denial, if there is one.
  explicit CounterLog(const Clock& clock, unsigned vcpu = 0, FilterLog* filters = nullptr)
      : clock_{clock}, vcpu_{vcpu}, filters_{filters} {}

  void counter_changed(virt::x86::CounterIndex counter, virt::x86::CounterStatus status,
                       std::uint64_t config) override;

  /// There is another filter: it is told which counters are denied already.
  void note_denied() const;

  [[nodiscard]] const Entry& of(virt::x86::CounterIndex counter) const;
  /// In the order in which they came, each event and status once (denials of fixed counters and of
  /// general-purpose ones are two); after kMaxTroubles no more.
  [[nodiscard]] std::span<const Trouble> troubles() const {
    return {state_.troubles.data(), state_.trouble_count};
  }

  [[nodiscard]] const State& save() const { return state_; }
  Result<void> restore(const State& state);

 private:
  [[nodiscard]] Entry& entry(virt::x86::CounterIndex counter);

  const Clock& clock_;
  const unsigned vcpu_;
  FilterLog* const filters_;
  State state_;
};

}  // namespace vpmu::machine
