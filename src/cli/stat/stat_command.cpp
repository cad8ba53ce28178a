// SPDX-License-Identifier: MIT
#include "cli/stat/stat_command.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "cli/answer.hpp"
#include "cli/guest_run.hpp"
#include "cli/report.hpp"
#include "cli/stat/stat_printer.hpp"

namespace vpmu::cli::stat {

namespace {
/// Nothing has been counted yet: the options become a machine, its events, and a place for the
/// counts; an error of any of them comes before the guest runs.
int run_stat(const GuestOptions& guest, const StatOptions& options) {
  GuestRun run{guest};
  if (auto loaded = run.load(); !loaded) return bad_input(loaded.error());
  if (auto prepared = run.prepare(); !prepared) return bad_input(prepared.error());
  const auto plan = plan_stat(options.events, run.machine().host_perf().model());
  if (!plan) return bad_input(plan.error());
  auto printer = StatPrinter::create(options, *plan, run);
  if (!printer) return bad_input(printer.error());
  auto counts = machine::EventCounts::attach(run.machine(), plan->counted, options.interval,
                                             options.interval != 0 ? printer->get() : nullptr);
  if (!counts) return bad_input({"-e: " + counts.error().message});

  const auto stopped = run.run();
  fmt::print(stderr, "{}", run.remarks());
  const auto printed = (*printer)->finish((*counts)->read());
  if (!options.programs_read_errors()) {
    fmt::print(stderr, "{}", summary(run.any_machine(), run.facts()));
  }
  if (!printed) return bad_input(printed.error());
  if (!stopped) return bad_input(stopped.error());
  if (const auto console = run.console_error(); !console) return bad_input(console.error());
  return run.facts().status;
}
}  // namespace

StatCommand::StatCommand(CLI::App& vpmu)
    : stat_{vpmu.add_subcommand("stat", "Run a guest and count its events from outside")} {
  stat_
      ->add_option("-e,--event", options_.events,
                   "Events in perf's notation, commas between them (repeatable): cycles, "
                   "instructions:u, cpu/event=0xc4,umask=1/k, task-clock; see `vpmu cpu show MODEL "
                   "--events`")
      ->allow_extra_args(false);
  stat_->add_flag("--per-vcpu", options_.per_vcpu, "A line for each vCPU instead of their sum");
  stat_
      ->add_option("-I,--interval", options_.interval,
                   "Show what was counted in every so many cycles of machine time")
      ->check(CLI::Range(std::uint64_t{1}, ~std::uint64_t{0} >> 1));
  CLI::Option* separator =
      stat_->add_option("-x,--field-separator", options_.separator,
                        "Fields with this between them, laid out as perf's -x (docs/stat.md)");
  stat_->add_flag("--json", options_.json, "As JSON (docs/stat.md)")->excludes(separator);
  stat_->add_option("-o,--output", options_.output,
                    "File for the counts, - for standard output; default: standard error");
  add_guest_options(*stat_, guest_);
  stat_->footer(kGuestExitStatusHelp);
}

bool StatCommand::parsed() const {
  return stat_->parsed();
}

int StatCommand::run() const {
  return run_stat(guest_, options_);
}

}  // namespace vpmu::cli::stat
