// SPDX-License-Identifier: MIT
#include "cli/stat/stat_printer.hpp"

#include <unistd.h>

#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "cli/report.hpp"
#include "cli/stat/stat_rows.hpp"
#include "cli/stat/stat_text.hpp"
#include "cli/version.hpp"

namespace vpmu::cli::stat {

namespace {
using Json = nlohmann::ordered_json;
using machine::CountsReading;

/// Version of the JSON's shape: goes up when a field changes its meaning or disappears.
constexpr int kStatVersion = 1;
constexpr int kTimeWidth = 14;
}  // namespace

StatPrinter::StatPrinter(const StatOptions& options, const StatPlan& plan, const GuestRun& run)
    : options_{options}, plan_{plan}, run_{run}, begin_{run.machine().now()} {
  before_.time = begin_;
}

Result<std::unique_ptr<StatPrinter>> StatPrinter::create(const StatOptions& options,
                                                         const StatPlan& plan,
                                                         const GuestRun& run) {
  std::unique_ptr<StatPrinter> printer{new StatPrinter{options, plan, run}};
  if (options.separator) {
    auto separator = parse_separator(*options.separator);
    if (!separator) return tl::unexpected(separator.error());
    printer->separator_ = std::move(*separator);
  }
  if (!options.output.empty() && options.output != "-") {
    auto file = AtomicFile::create(options.output, "counts");
    if (!file) return tl::unexpected(file.error());
    printer->file_.emplace(std::move(*file));
  }
  return printer;
}

std::uint64_t StatPrinter::hz() const {
  return run_.machine().facts().hz;
}

void StatPrinter::on_interval(const CountsReading& reading) {
  const auto rows = stat_rows(plan_, difference(reading, before_), hz(), options_.per_vcpu);
  before_ = reading;
  ++intervals_;
  if (options_.json) {
    json_intervals_.push_back({{"end_cycle", reading.time}, {"events", stat_json(rows)}});
    return;
  }
  const std::string time = seconds_text(reading.time - begin_, hz());
  if (!separator_.empty()) return write(stat_csv(rows, separator_, time));
  if (intervals_ == 1) write(fmt::format("#{:>{}} counts\n", "seconds", kTimeWidth - 1));
  write(stat_table(rows, fmt::format("{:>{}} ", time, kTimeWidth)));
}

std::vector<StatRow> StatPrinter::total_rows(const CountsReading& reading) const {
  CountsReading total = reading;
  total.time -= begin_;
  return stat_rows(plan_, total, hz(), options_.per_vcpu);
}

std::string StatPrinter::table(const CountsReading& reading) const {
  return fmt::format(
      "\n Performance counter stats for {}:\n\n{}\n{:>15}  seconds of machine time\n\n",
      in_quotes(run_.name().image), stat_table(total_rows(reading)),
      seconds_text(reading.time - begin_, hz()));
}

std::string StatPrinter::document(const CountsReading& reading) const {
  const machine::GuestFacts facts = run_.machine().facts();
  Json json{{"stat", kStatVersion},
            {"vpmu", kVersion},
            {"guest", {{"image", run_.name().image}, {"arguments", run_.name().arguments}}},
            {"machine", {{"vcpus", facts.vcpus}}},
            {"cpu", {{"model", facts.cpu_model}, {"hz", facts.hz}}},
            {"outcome", outcome_json(run_.machine(), run_.facts())},
            {"counted_cycles", reading.time - begin_},
            {"events", stat_json(total_rows(reading))}};
  if (options_.interval != 0) {
    json["interval_cycles"] = options_.interval;
    json["intervals"] = json_intervals_;
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<void> StatPrinter::finish(const CountsReading& reading) {
  const bool by_interval = options_.interval != 0;
  if (by_interval && reading.time != before_.time) on_interval(reading);
  if (options_.json) {
    write(document(reading));
  } else if (!by_interval) {
    write(separator_.empty() ? table(reading) : stat_csv(total_rows(reading), separator_));
  }
  return close();
}

void StatPrinter::write(std::string_view text) {
  if (!error_) return;
  if (file_) {
    error_ = file_->write(text);
    return;
  }
  const bool to_output = options_.output == "-";
  if (const int error = write_all(to_output ? STDOUT_FILENO : STDERR_FILENO, text)) {
    error_ = fail(fmt::format("counts: standard {}: {}", to_output ? "output" : "error",
                              std::strerror(error)));
  }
}

Result<void> StatPrinter::close() {
  if (!error_ || !file_) return error_;
  return file_->commit();
}

}  // namespace vpmu::cli::stat
