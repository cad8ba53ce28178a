// SPDX-License-Identifier: MIT
//
// The event filters that a machine's guest has had, one after the other, and what each of them
// refused: for the report; nothing here is visible to the guest.
//
// A denial is a counter that the guest had enabled, and that would have counted: one each time that
// it comes to be refused, be it by the guest's write or by a new filter. A counter that is refused
// already when a new filter refuses it, too, is a denial of the new one's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vpmu/base/result.hpp"
#include "vpmu/virt/x86/counter_status.hpp"
#include "vpmu/virt/x86/event_filter.hpp"
#include "vpmu/virt/x86/pmu_state.hpp"

namespace vpmu::machine {

class FilterLog {
 public:
  /// A counter of a vCPU, programmed with an event, and what the filter said.
  struct Denial {
    std::uint32_t vcpu = 0;
    virt::x86::CounterIndex counter{};
    /// Of PV perf; `counter` then says of which kind of counter the filter was asked.
    std::optional<std::uint8_t> pv_event{};
    silicon::x86::EventSelector event;  ///< of a fixed counter one that counts the same, if any
    virt::x86::FilterVerdict verdict;
    std::uint64_t count = 0;

    friend bool operator==(const Denial&, const Denial&) = default;
  };
  struct Filter {
    std::string name;                             ///< as set_event_filter() was told
    std::uint64_t since = 0;                      ///< instructions that all vCPUs had retired
    std::optional<virt::x86::FilterImage> image;  ///< none: everything may be counted from then on

    // By what decided: all denials there were.
    std::vector<std::uint64_t> by_entry;  ///< of the image
    std::uint64_t not_included = 0;
    std::array<std::uint64_t, virt::x86::PmuState::kMaxFixed> by_fixed_bitmap{};
    /// In the order in which they came first; after kMaxDenials no new ones.
    std::vector<Denial> denials;

    [[nodiscard]] std::uint64_t denied() const;
    friend bool operator==(const Filter&, const Filter&) = default;
  };
  static constexpr std::size_t kMaxDenials = 256;
  /// More are forgotten, the oldest first.
  static constexpr std::size_t kMaxFilters = 1000;
  using State = std::vector<Filter>;

  /// `filter` decides from now on, and stays as long; null: everything may be counted.
  void begin(const virt::x86::EventFilter* filter, std::string name, std::uint64_t since);
  /// A counter has been refused. `config` as in hostperf::EventAttr::config. Ignored if it was not
  /// the filter that did. Does not allocate.
  void denied(unsigned vcpu, virt::x86::CounterIndex counter, std::uint64_t config);
  /// The same of an event of PV perf, which is `event` on the host.
  void denied_pv_event(unsigned vcpu, unsigned pv_event, virt::x86::CounterIndex asked,
                       silicon::x86::EventSelector event);

  /// The last one is in force; none: there never was one.
  [[nodiscard]] const std::vector<Filter>& filters() const { return filters_; }
  /// What the filter in force says of a counter.
  [[nodiscard]] std::optional<virt::x86::FilterVerdict> verdict(virt::x86::CounterIndex counter,
                                                                std::uint64_t config) const;
  [[nodiscard]] std::optional<virt::x86::FilterVerdict> verdict(
      virt::x86::CounterIndex asked, silicon::x86::EventSelector event) const;

  [[nodiscard]] const State& save() const { return filters_; }
  /// `in_force`: of the last filter's image; null if there is none. The denials' verdicts are
  /// worked out anew.
  Result<void> restore(const State& state, const virt::x86::EventFilter* in_force,
                       silicon::x86::Vendor vendor, unsigned vcpus);

 private:
  /// `denial` with one that was not there before.
  void add(const Denial& denial);

  std::vector<Filter> filters_;
  const virt::x86::EventFilter* in_force_ = nullptr;
};

}  // namespace vpmu::machine
