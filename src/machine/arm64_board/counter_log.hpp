// SPDX-License-Identifier: MIT
//
// Which of a vCPU's counters have not counted what the guest wanted, and how often they came to
// stand still. For the report: nothing here is visible to the guest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vpmu/base/result.hpp"
#include "vpmu/virt/counter_status.hpp"

namespace vpmu::machine::arm64 {

class CounterLog final : public virt::CounterObserver {
 public:
  /// A counter that was enabled with an event and stood still.
  struct Trouble {
    virt::CounterIndex counter{};
    virt::CounterStatus status = virt::CounterStatus::kOff;
    std::uint16_t event = 0;
    std::uint64_t count = 0;   ///< how often it came to that
    std::uint32_t filter = 0;  ///< that was in force: how many there had been before

    friend bool operator==(const Trouble&, const Trouble&) = default;
  };
  static constexpr std::size_t kMaxTroubles = 64;

  /// Plain data, for saving.
  struct State {
    std::array<Trouble, kMaxTroubles> troubles{};
    std::uint32_t trouble_count = 0;

    friend bool operator==(const State&, const State&) = default;
  };

  /// Another event filter is in force.
  void filter_changed(std::uint32_t number) { filter_ = number; }
  /// Does not allocate.
  void counter_changed(virt::CounterIndex counter, virt::CounterStatus status,
                       std::uint64_t config) override;

  /// In the order in which they came first; after kMaxTroubles no new ones.
  [[nodiscard]] std::span<const Trouble> troubles() const {
    return {state_.troubles.data(), state_.trouble_count};
  }

  [[nodiscard]] const State& save() const { return state_; }
  Result<void> restore(const State& state);

 private:
  State state_;
  std::uint32_t filter_ = 0;
};

}  // namespace vpmu::machine::arm64
