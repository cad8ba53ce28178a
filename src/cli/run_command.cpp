// SPDX-License-Identifier: MIT
#include "cli/run_command.hpp"

#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "cli/answer.hpp"
#include "cli/atomic_file.hpp"
#include "cli/guest_run.hpp"
#include "cli/report.hpp"
#include "cli/snapshot_files.hpp"
#include "cli/spe_dump.hpp"
#include "cli/text_trace.hpp"

namespace vpmu::cli {

namespace {
TextTrace text_trace(const std::vector<std::string>& kinds) {
  TextTrace trace;
  for (const std::string& what : kinds) {
    if (what == "msr") trace.msrs = true;
    if (what == "exit") trace.exits = true;
    if (what == "irq") trace.interrupts = true;
  }
  return trace;
}

/// `file`: path, "-", or empty.
Result<void> write_report(const GuestRun& run, const std::string& file, bool host_times) {
  if (file.empty()) return {};
  const std::string text =
      report(run.any_machine(), run.facts(), host_times)
          .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
      "\n";
  if (file != "-") return write_file(file, text, "report");
  if (const int error = write_all(STDOUT_FILENO, text)) {
    return fail(fmt::format("report: standard output: {}", std::strerror(error)));
  }
  return {};
}

/// `file`: path, or empty. Null: not wanted.
Result<std::unique_ptr<SpeDump>> spe_dump(GuestRun& run, const std::string& file) {
  if (file.empty()) return nullptr;
  machine::arm64::Machine* machine = run.any_machine().arm64();
  if (machine != nullptr) return SpeDump::attach(*machine, file, run.name().image);
  return fail("--spe-dump: is for arm64 guests, and this one is for x86; leave it out");
}
}  // namespace

RunCommand::RunCommand(CLI::App& vpmu) : run_{vpmu.add_subcommand("run", "Run a guest image")} {
  run_->add_option("--json", options_.json, "Write a report to this file, - for standard output");
  run_->add_flag("--host-times", options_.host_times,
                 "Put seconds and MIPS into the report, which then differs from run to run");
  run_->add_option("--trace", options_.trace,
                   "Print msr (MRS and MSR of arm64 guests), exit, irq (comma-separated) as they "
                   "happen")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"msr", "exit", "irq"}));
  run_->add_option("--save-at", options_.save_at,
                   "INSTRUCTIONS=FILE: save the guest when all its vCPUs together have retired so "
                   "many, and go on (repeatable)")
      ->allow_extra_args(false);
  run_->add_option("--spe-dump", options_.spe_dump,
                   "Write what the guest's own SPE records to this file, for `vpmu report --spe` "
                   "and `vpmu export`");
  add_guest_options(*run_, guest_);
  run_->footer(kGuestExitStatusHelp);
}

bool RunCommand::parsed() const {
  return run_->parsed();
}

int RunCommand::run() const {
  TextTrace trace = text_trace(options_.trace);
  GuestRun run{guest_};
  if (auto loaded = run.load(trace.any() ? &trace : nullptr); !loaded) {
    return bad_input(loaded.error());
  }
  auto saves = save_stops(options_.save_at, run.any_machine(), run.name());
  if (!saves) return bad_input(saves.error());
  if (auto prepared = run.prepare(std::move(*saves)); !prepared) {
    return bad_input(prepared.error());
  }
  auto dump = spe_dump(run, options_.spe_dump);
  if (!dump) return bad_input(dump.error());
  const auto stopped = run.run();
  fmt::print(stderr, "{}{}", run.remarks(), summary(run.any_machine(), run.facts()));
  const auto written = write_report(run, options_.json, options_.host_times);
  if (!written) return bad_input(written.error());
  if (*dump != nullptr) {
    if (const auto finished = (*dump)->finish(); !finished) return bad_input(finished.error());
  }
  if (!stopped) return bad_input(stopped.error());
  if (const auto console = run.console_error(); !console) return bad_input(console.error());
  return run.facts().status;
}

}  // namespace vpmu::cli
