// SPDX-License-Identifier: MIT
#include "cli/report/profile_commands.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>

#include <fmt/format.h>

#include "cli/answer.hpp"
#include "cli/symbol_options.hpp"
#include "profile/views/flame_graph.hpp"

namespace vpmu::cli::report {

namespace {
void add_source(CLI::App& command, ProfileSource& source) {
  command
      .add_option("FILE", source.file,
                  "Recording by `vpmu record` or `perf record`: a file or a directory; or a dump "
                  "of SPE")
      ->capture_default_str();
  command.add_option("-e,--event", source.event, "Only this event of the recording");
  add_symbol_options(command, source.symbols);
}
}  // namespace

ProfileCommands::ProfileCommands(CLI::App& vpmu) {
  add_report(vpmu);
  add_flame_graph(vpmu);
  add_export(vpmu);
}

void ProfileCommands::add_report(CLI::App& vpmu) {
  report_ = vpmu.add_subcommand("report", "Show where a recording's samples are");
  add_source(*report_, report_options_.source);
  report_
      ->add_option("--sort", report_options_.sort,
                   "What a row is about: symbol, line, vcpu, image, mode, or several with commas")
      ->capture_default_str();
  report_->add_flag("--callers", report_options_.callers,
                    "Below each row, who called it, and how often on the way to a sample");
  report_->add_flag("--branches", report_options_.branches,
                    "The taken branches of a recording with branch stacks instead");
  report_->add_flag("--spe", report_options_.spe,
                    "Where the loads of a trace of Arm SPE wait (a recording with --spe, or a "
                    "dump by vpmu run --spe-dump): latency, misses, data sources");
  report_->add_option("--limit", report_options_.limit, "At most so many rows")
      ->check(CLI::PositiveNumber);
  report_
      ->add_option("--percent-limit", report_options_.percent_limit,
                   "Rows and callers with at least so many percent; default: 0.5, with --json all")
      ->check(CLI::Range(0.0, 100.0));
  report_
      ->add_option("--width", report_options_.width,
                   "Columns of the table; default: the terminal's, 80 elsewhere")
      ->check(CLI::PositiveNumber);
  report_->add_flag("--json", report_options_.json, "As JSON (docs/report-json.md)");
  report_->footer(
      "self: samples in the function itself. total: also in what it called, where call stacks "
      "were\n"
      "recorded (-g); each sample counts once, recursion or not. Percent are of the event's "
      "count.\n"
      "[k] is kernel code, [u] user code.\n"
      "With --spe, rows are of loads, those first that waited longest in all: mean and most "
      "cycles,\n"
      "share of loads that missed the L1 data cache and the last level, and that walked page "
      "tables.\n"
      "Exit status: 0, or 2 if the recording cannot be read.");
}

void ProfileCommands::add_flame_graph(CLI::App& vpmu) {
  FlameGraphCommandOptions& options = flame_graph_options_;
  flame_graph_ = vpmu.add_subcommand("flamegraph", "Draw a recording's call stacks as SVG");
  add_source(*flame_graph_, options.source);
  flame_graph_->add_option("-o,--output", options.output, "File to write, - for standard output")
      ->capture_default_str();
  flame_graph_->add_option("--title", options.title, "Title; default: the guest's name");
  flame_graph_->add_option("--width", options.width, "Pixels")
      ->check(CLI::Range(profile::kLeastFlameWidth, 100'000u))
      ->capture_default_str();
  flame_graph_
      ->add_option("--min-width", options.min_width, "Leave out what is narrower, in pixels")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
  flame_graph_->add_flag("--inverted", options.inverted, "The outermost callers at the top");
  flame_graph_->footer(
      "Open it in a browser: click zooms, Search (or /) finds names and says their share, Escape\n"
      "goes back. Widths are shares of the event's count. Record with -g for call stacks.");
}

void ProfileCommands::add_export(CLI::App& vpmu) {
  ExportOptions& options = export_options_;
  export_ = vpmu.add_subcommand("export", "Write a recording as other tools read it");
  add_source(*export_, options.source);
  export_
      ->add_option("--format", options.format,
                   "folded: a line for each stack; pprof: its compressed protobuf; speedscope: its "
                   "JSON; script: the text of `perf script`, which the Firefox Profiler reads. Of "
                   "Arm SPE: script, a line for each record; packets, a line for each of its "
                   "packets; perf.data, for perf, of a dump by vpmu run --spe-dump")
      ->required()
      ->check(CLI::IsMember({"folded", "pprof", "speedscope", "script", "packets", "perf.data"}));
  export_->add_option("-o,--output", options.output, "File to write, - for standard output")
      ->capture_default_str();
  export_->add_option("--weight", options.weight, "Of folded stacks: samples, or the event's count")
      ->check(CLI::IsMember({"samples", "count"}))
      ->capture_default_str();
}

bool ProfileCommands::parsed() const {
  return report_->parsed() || flame_graph_->parsed() || export_->parsed();
}

int ProfileCommands::run() const {
  const auto done = report_->parsed()        ? run_report(report_options_)
                    : flame_graph_->parsed() ? run_flame_graph(flame_graph_options_)
                                             : run_export(export_options_);
  return done ? 0 : bad_input(done.error());
}

}  // namespace vpmu::cli::report
