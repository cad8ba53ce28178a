// SPDX-License-Identifier: MIT
#include "cli/arm64_filter_option.hpp"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "cli/filter_option.hpp"
#include "policy/filter_file.hpp"
#include "policy/range_filter.hpp"

namespace vpmu::cli {

namespace {
using machine::arm64::GuestFilter;
using silicon::x86::Vendor;

/// Bytes are nothing but bytes: those that KVM would take for an x86 guest are for one.
bool is_for_x86(const policy::FilterFile& file) {
  if (file.policy || file.only_x86) return true;
  return policy::valid_image(file, Vendor::kIntel) || policy::valid_image(file, Vendor::kAmd);
}

Result<policy::RangeFilter> ranges_of(const policy::FilterFile& file) {
  if (file.ranges) return *file.ranges;
  if (is_for_x86(file)) {
    return fail(
        fmt::format("event filter '{}': is for x86 guests, and this one is for arm64; give a "
                    "filter of ranges",
                    file.name));
  }
  if (auto ranges = policy::parse_range_bytes(file.bytes)) return std::move(*ranges);
  return fail(
      fmt::format("event filter '{}': is no filter of ranges, as arm64 guests have: it has {} "
                  "bytes, and a range has 8; copy the whole file",
                  file.name, file.bytes.size()));
}
}  // namespace

Result<GuestFilter> load_arm64_filter(const std::string& file,
                                      const silicon::arm64::CpuModel& model) {
  if (file == "none") return GuestFilter{file, std::nullopt};
  const auto read = policy::read_filter_file(file);
  if (!read) return tl::unexpected(read.error());
  const auto ranges = ranges_of(*read);
  if (!ranges) return tl::unexpected(ranges.error());
  if (ranges->model != nullptr && ranges->model != &model) {
    return fail(
        fmt::format("event filter '{}': is for {}, and this guest's CPU is {}; give --cpu {}, "
                    "or a filter for that",
                    file, ranges->model->name, model.name, ranges->model->name));
  }
  auto built = policy::build_filter(*ranges, model);
  if (built.refusal) return fail(fmt::format("event filter '{}': {}", file, built.refusal->text));
  return GuestFilter{file, std::move(built.filter)};
}

Result<void> apply_filter_options(const GuestOptions& options, machine::arm64::Machine& machine,
                                  std::vector<Stop>& stops) {
  const std::string option = filter_option_given(options);
  if (!option.empty() && machine.pmu_config().version == 0) {
    return fail(fmt::format(
        "{}: the guest has no PMU (--pmu off), and so nothing to filter; leave out one of the two",
        option));
  }
  const LoadFilter load = [&machine](const std::string& file) -> Result<std::function<void()>> {
    auto filter = load_arm64_filter(file, *machine.config().model);
    if (!filter) return tl::unexpected(filter.error());
    return [&machine, filter = std::move(*filter)] { machine.set_event_filter(filter); };
  };
  return apply_filter_options(options, machine, load, stops);
}

}  // namespace vpmu::cli
