// SPDX-License-Identifier: MIT
#include "cli/filter_option.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "policy/filter_file.hpp"

namespace vpmu::cli {

namespace {
using virt::x86::EventFilter;

constexpr const char* kFilter = "--filter";
constexpr const char* kFilterAt = "--filter-at";
constexpr const char* kNone = "none";

Result<void> check_policy(const policy::FilterFile& file, const silicon::x86::CpuModel& model) {
  if (!file.policy) return {};
  const policy::CataloguedPmu& pmu = file.policy->catalogue->pmu();
  if (pmu.cpu_model == model.name) return {};
  const std::string cpu = pmu.cpu_model.empty() ? pmu.name : pmu.cpu_model;
  return fail(fmt::format(
      "event filter '{}': its policy is for {}, and events here are those of {}; give {}"
      "a policy for that",
      file.name, cpu, model.name, pmu.cpu_model.empty() ? "" : fmt::format("--cpu {}, or ", cpu)));
}

Result<void> check_pmu(const GuestOptions& options, const machine::Machine& machine) {
  const std::string option = filter_option_given(options);
  if (option.empty() || machine.pmu_config().version != 0 || machine.config().pv_perf) return {};
  return fail(
      fmt::format("{}: the guest has no PMU (--pmu off), and so nothing to filter; leave out one "
                  "of the two, or give --pv-perf on",
                  option));
}

/// The stops that --filter-at asks for.
Result<std::vector<Stop>> filter_stops(const GuestOptions& options, const LoadFilter& load) {
  std::vector<Stop> stops;
  for (const std::string& value : options.filter_at) {
    const auto point = parse_stop_point(kFilterAt, value, {.example = "filter.json"});
    if (!point) return tl::unexpected(point.error());
    auto give = load(point->what);
    if (!give) return tl::unexpected(give.error());
    stops.push_back({.instructions = point->instructions,
                     .option = fmt::format("{} {}", kFilterAt, value),
                     .action = [give = std::move(*give)] {
                       give();
                       return Result<void>{};
                     }});
  }
  return stops;
}
}  // namespace

Result<std::unique_ptr<const EventFilter>> load_filter(const std::string& file,
                                                       const silicon::x86::CpuModel& model) {
  if (file == kNone) return nullptr;
  const auto read = policy::read_filter_file(file);
  if (!read) return tl::unexpected(read.error());
  if (auto fits = check_policy(*read, model); !fits) return tl::unexpected(fits.error());
  const auto image = policy::valid_image(*read, model.vendor);
  if (!image) return tl::unexpected(image.error());
  auto filter = EventFilter::create(*image, model.vendor);
  if (!filter) {
    return fail(fmt::format("event filter '{}': no memory; give the host more", file));
  }
  return std::move(*filter);
}

Result<void> apply_filter_options(const GuestOptions& options, machine::Machine& machine,
                                  std::vector<Stop>& stops) {
  if (auto has_pmu = check_pmu(options, machine); !has_pmu) return has_pmu;
  const LoadFilter load = [&machine](const std::string& file) -> Result<std::function<void()>> {
    auto filter = load_filter(file, machine.config().host());
    if (!filter) return tl::unexpected(filter.error());
    // A function must be copyable, and a filter is not.
    auto shared = std::make_shared<std::unique_ptr<const EventFilter>>(std::move(*filter));
    return [&machine, shared, file] { machine.set_event_filter(std::move(*shared), file); };
  };
  return apply_filter_options(options, machine, load, stops);
}

Result<void> apply_filter_options(const GuestOptions& options, const machine::GuestMachine& machine,
                                  const LoadFilter& load, std::vector<Stop>& stops) {
  const bool now = options.given(kFilter);
  std::function<void()> give_first;
  if (now) {
    auto give = load(options.filter);
    if (!give) return tl::unexpected(give.error());
    give_first = std::move(*give);
  }
  auto later = filter_stops(options, load);
  if (!later) return tl::unexpected(later.error());

  std::vector<Stop> all = *later;
  if (now)
    all.push_back({machine.instructions(), fmt::format("{} {}", kFilter, options.filter), {}});
  if (auto distinct = check_distinct(all); !distinct) return distinct;
  std::ranges::move(*later, std::back_inserter(stops));
  if (now) give_first();
  return {};
}

std::string filter_option_given(const GuestOptions& options) {
  if (options.given(kFilter)) return kFilter;
  return options.filter_at.empty() ? "" : kFilterAt;
}

}  // namespace vpmu::cli
