// SPDX-License-Identifier: MIT
#include "cli/report/report.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/user_text.hpp"
#include "cli/report/output.hpp"
#include "cli/report/spe_report.hpp"
#include "profile/spe_views/trace_file.hpp"
#include "profile/views/branch_table.hpp"
#include "profile/views/report_table.hpp"
#include "profile/views/report_text.hpp"

namespace vpmu::cli::report {

namespace {
using profile::ReportTable;

/// What is less is noise to people; programs get all.
constexpr double kTextPercentLimit = 0.5;
constexpr std::size_t kFewestColumns = 60;

/// Of the terminal, or what fits any.
std::size_t columns(const ReportCommandOptions& options) {
  constexpr std::size_t kAnyTerminal = 80;
  if (options.width) return std::max(*options.width, kFewestColumns);
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kAnyTerminal;
  return std::max<std::size_t>(size.ws_col, kFewestColumns);
}

std::vector<std::uint32_t> shown_events(const LoadedProfile& loaded) {
  std::vector<std::uint32_t> events;
  for (std::uint32_t i = 0; i < loaded.profile.events.size(); ++i) {
    if (!loaded.event || *loaded.event == i) events.push_back(i);
  }
  return events;
}

std::string json_text(LoadedProfile& loaded, const ReportCommandOptions& options,
                      const profile::ReportOptions& wanted) {
  std::vector<ReportTable> tables;
  auto branches = nlohmann::ordered_json::array();
  for (const std::uint32_t event : shown_events(loaded)) {
    tables.push_back(make_report_table(loaded.profile, loaded.spaces, event, wanted));
    if (!options.branches) continue;
    branches.push_back(branches_json(
        loaded.profile,
        make_branch_table(loaded.profile, event, wanted.limit, wanted.percent_limit)));
  }
  auto json = report_json(loaded.profile, options.source.file, tables, wanted);
  if (options.branches) json["branches"] = std::move(branches);
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string text(LoadedProfile& loaded, const ReportCommandOptions& options,
                 const profile::ReportOptions& wanted) {
  const std::size_t wide = columns(options);
  std::string all = report_header(loaded.profile, options.source.file, wide);
  bool any = false;
  for (const std::uint32_t event : shown_events(loaded)) {
    any |= loaded.profile.events[event].total.samples != 0;
    all += "\n";
    if (options.branches) {
      all += branches_text(
          loaded.profile,
          make_branch_table(loaded.profile, event, wanted.limit, wanted.percent_limit), wide);
    } else {
      all += report_text(loaded.profile,
                         make_report_table(loaded.profile, loaded.spaces, event, wanted), wanted,
                         wide);
    }
  }
  if (!any) all += "\nThere are no samples in it.\n";
  return all;
}
}  // namespace

Result<void> run_report(const ReportCommandOptions& options) {
  const auto keys = profile::parse_sort_keys(options.sort);
  if (!keys) return tl::unexpected(keys.error());
  const double least = options.json ? 0 : kTextPercentLimit;
  if (options.spe) {
    return run_spe_report(options, options.percent_limit.value_or(least), columns(options));
  }
  if (profile::has_spe_traces(options.source.file)) {
    return fail(
        fmt::format("'{}': a trace of SPE; give --spe", vpmu::printable(options.source.file)));
  }
  const profile::ReportOptions wanted{*keys, options.callers, options.limit,
                                      options.percent_limit.value_or(least)};
  auto loaded = load_profile(options.source, {.branches = options.branches});
  if (!loaded) return tl::unexpected(loaded.error());
  const std::string shown =
      options.json ? json_text(*loaded, options, wanted) : text(*loaded, options, wanted);
  fmt::print(stderr, "{}", remarks(*loaded, options.source));
  auto output = ViewOutput::create("-", "report");
  if (!output) return tl::unexpected(output.error());
  return output->write(shown);
}

}  // namespace vpmu::cli::report
