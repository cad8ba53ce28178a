// SPDX-License-Identifier: MIT
//
// Event filters of AArch64 guests: ranges of event numbers that are allowed or denied, in order
// (vpmu/virt/arm64/event_filter.hpp says what they mean). As a policy in TOML,
//
//   cpu = "neoverse-n1"
//   ranges = ["allow INST_RETIRED", "allow 0x10-0x12", "deny BR_PRED"]
//
// as JSON with a "ranges" of objects, or as KVM's structures of 8 bytes, one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vpmu/base/result.hpp"
#include "vpmu/silicon/arm64/cpu_model.hpp"
#include "vpmu/virt/arm64/event_filter.hpp"

namespace vpmu::policy {

struct RangeFilter {
  const silicon::arm64::CpuModel* model = nullptr;  ///< null: it does not say for which CPU
  std::vector<virt::arm64::FilterRange> ranges;     ///< in the order in which they are set
};

/// None: TOML that is no policy of ranges, or no TOML at all. Errors name file and place.
Result<std::optional<RangeFilter>> parse_range_policy(std::string_view text, std::string_view name);
/// None: JSON without "ranges", or no JSON at all.
Result<std::optional<RangeFilter>> parse_range_json(std::string_view text);
/// None: not a whole number of structures.
std::optional<RangeFilter> parse_range_bytes(std::span<const std::byte> bytes);

/// "allow INST_RETIRED", "deny 0x10-0x12".
Result<virt::arm64::FilterRange> parse_range(std::string_view text,
                                             const silicon::arm64::CpuModel& model);
/// A name of the model's (upper and lower case are the same), SW_INCR, CHAIN, or a number.
Result<std::uint16_t> parse_event_number(std::string_view text,
                                         const silicon::arm64::CpuModel& model);
/// The model of that name; the error lists those there are.
Result<const silicon::arm64::CpuModel*> range_cpu_model(std::string_view name);

/// KVM's structures, and the same as lines of hexadecimal digits, JSON or C.
std::string range_bytes(const RangeFilter& filter);
std::string range_hex(const RangeFilter& filter);
std::string range_json(const RangeFilter& filter, std::string_view comment);
std::string range_c_source(const RangeFilter& filter, std::string_view comment);

/// "allow 0x0010-0x0012".
std::string describe(const virt::arm64::FilterRange& range);
/// The name of an event on that model; empty if it has none.
std::string_view event_name(const silicon::arm64::CpuModel& model, std::uint16_t event);

/// Why a range is refused.
struct RangeRefusal {
  std::size_t range = 0;
  std::string text;  ///< with errno and remedy
};
/// The filter that KVM makes of it for guests of that model, up to the first range that it refuses.
struct BuiltFilter {
  virt::arm64::EventFilter filter;
  std::optional<RangeRefusal> refusal;
};
BuiltFilter build_filter(const RangeFilter& ranges, const silicon::arm64::CpuModel& model);
/// The same for any PMU of that version (ID_AA64DFR0_EL1.PMUVer); `name` is what errors call it.
BuiltFilter build_filter(const RangeFilter& ranges, std::uint8_t pmu_version,
                         std::string_view name);

}  // namespace vpmu::policy
