// SPDX-License-Identifier: MIT
#include "cli/report/spe_report.hpp"

#include <cstdio>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/grouped.hpp"
#include "base/user_text.hpp"
#include "cli/report/output.hpp"
#include "profile/spe_views/load_table.hpp"
#include "profile/spe_views/trace_file.hpp"

namespace vpmu::cli::report {

namespace {

/// Of what rows of loads do not have.
Result<void> check_options(const ReportCommandOptions& options) {
  const char* const other = options.callers                 ? "--callers"
                            : options.branches              ? "--branches"
                            : !options.source.event.empty() ? "-e"
                                                            : nullptr;
  if (other == nullptr) return {};
  return fail(fmt::format("{}: not with --spe, whose records have none; leave it out", other));
}

std::string remarks(const profile::SpeTrace& trace, const profile::SpeReport& report) {
  std::string text;
  for (const std::string& problem : trace.problems()) text += fmt::format("vpmu: {}\n", problem);
  if (report.without_symbol != 0 && report.without_symbol >= report.all.count / 10) {
    text += fmt::format(
        "vpmu: '{}': {} of {} loads are where no symbol is known; --image, --guest-kallsyms or "
        "--symbols names a file with symbols\n",
        vpmu::printable(trace.info().file), grouped(report.without_symbol),
        grouped(report.all.count));
  }
  return text;
}

}  // namespace

Result<void> run_spe_report(const ReportCommandOptions& options, double least_percent,
                            std::size_t columns) {
  if (auto checked = check_options(options); !checked) return checked;
  const auto keys = profile::parse_sort_keys(options.sort);
  if (!keys) return tl::unexpected(keys.error());
  auto trace = profile::SpeTrace::open(options.source.file, options.source.symbols);
  if (!trace) return tl::unexpected(trace.error());
  const auto report = make_spe_report(*trace, {*keys, options.limit, least_percent});
  if (!report) return tl::unexpected(report.error());
  const std::size_t streams = trace->streams().size();
  const std::string shown =
      options.json
          ? spe_report_json(trace->info(), streams, *report)
                    .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
                "\n"
          : spe_report_text(trace->info(), streams, *report, columns);
  fmt::print(stderr, "{}", remarks(*trace, *report));
  auto output = ViewOutput::create("-", "report");
  if (!output) return tl::unexpected(output.error());
  return output->write(shown);
}

}  // namespace vpmu::cli::report
