// SPDX-License-Identifier: MIT
//
// The PMUv3 event filter of a VM, as KVM has it (KVM_ARM_VCPU_PMU_V3_FILTER): a sequence of ranges
// of event numbers, each of which is allowed or denied. The first one decides about everything
// else: if it allows, all others are denied, and the other way round. Later ones apply on top, in
// their order.
//
// The cycle counter is event CPU_CYCLES. SW_INCR and CHAIN are counted whatever the filter says;
// PMCEID0_EL0 and PMCEID1_EL0 leave out all that it denies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <tl/expected.hpp>

#include "vpmu/virt/arm64/event_gate.hpp"

namespace vpmu::virt::arm64 {

/// struct kvm_pmu_event_filter, but for its padding of three bytes.
struct FilterRange {
  static constexpr std::uint8_t kAllow = 0;
  static constexpr std::uint8_t kDeny = 1;

  std::uint16_t base_event = 0;
  std::uint16_t nevents = 0;
  std::uint8_t action = kAllow;

  [[nodiscard]] constexpr bool covers(std::uint16_t event) const {
    return event >= base_event && event - base_event < nevents;
  }
  friend constexpr bool operator==(const FilterRange&, const FilterRange&) = default;
};

/// Why a range is refused.
enum class FilterError : std::uint8_t {
  kInvalid,  ///< EINVAL: no such action, or events beyond those that there are
  kBusy,     ///< EBUSY: the VM has run
};

/// What a filter says about an event, and which range said it.
struct FilterVerdict {
  bool admitted = true;
  /// Place of the last range that covers the event; none: the default decides.
  std::optional<std::size_t> range{};
  friend bool operator==(const FilterVerdict&, const FilterVerdict&) = default;
};

/// Set up before the VM runs, and then shared by its vCPUs.
class EventFilter final : public EventGate {
 public:
  /// Of a host whose PMU has that version: 1024 events in Armv8.0, 65536 since. Admits everything.
  explicit EventFilter(std::uint8_t pmu_version);

  /// One KVM_SET_DEVICE_ATTR. An error changes nothing.
  tl::expected<void, FilterError> set(const FilterRange& range);
  /// A vCPU of the VM has run: nothing changes any more.
  void vm_has_run() { has_run_ = true; }

  [[nodiscard]] bool admits(std::uint16_t event) const override {
    return event / 64u >= words_ || (admitted_[event / 64] >> event % 64 & 1) != 0;
  }
  [[nodiscard]] FilterVerdict explain(std::uint16_t event) const;
  /// What becomes of an event that no range covers.
  [[nodiscard]] bool default_admits() const;
  /// In the order of set().
  [[nodiscard]] std::span<const FilterRange> ranges() const { return ranges_; }

 private:
  static constexpr std::size_t kMaxWords = 0x1'0000 / 64;

  std::size_t words_;
  bool has_run_ = false;
  std::vector<FilterRange> ranges_;
  std::array<std::uint64_t, kMaxWords> admitted_;  ///< by event
};

}  // namespace vpmu::virt::arm64
