// SPDX-License-Identifier: MIT
//
// A guest from its options to the end of its run, for every command that runs one.
//
//   GuestRun run{options};
//   run.load()                     options become a machine with the guest in it
//   ... what the command wants of run.machine() ...
//   run.run()                      with the terminal and the signals as a guest needs them
//   run.remarks(), run.console_error(), run.facts().status
#pragma once

#include <string>
#include <vector>

#include "cli/any_machine.hpp"
#include "cli/arm64_spe_report.hpp"
#include "cli/guest_options.hpp"
#include "cli/lbr_report.hpp"
#include "cli/report.hpp"
#include "cli/stdio_console.hpp"
#include "cli/stops.hpp"
#include "cli/text_trace.hpp"
#include "machine/snapshot/snapshot.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli {

class GuestRun {
 public:
  /// `options` must outlive this.
  explicit GuestRun(const GuestOptions& options) : options_{options} {}
  GuestRun(const GuestRun&) = delete;
  GuestRun& operator=(const GuestRun&) = delete;

  /// Creates the machine and loads or restores the guest. Once, first. `trace` may be null.
  Result<void> load(TextTrace* trace = nullptr);
  /// Gives the guest its event filters, and says where else the run is to stop on the way. Once,
  /// before run(). At the same instruction filters come first, then --spe-at.
  Result<void> prepare(std::vector<Stop> stops = {});
  /// To the guest's end, a limit or a signal, which facts() then says. An error is the first of a
  /// stop's; the guest ran on.
  Result<void> run();

  [[nodiscard]] machine::GuestMachine& machine() { return *machine_.any(); }
  [[nodiscard]] const machine::GuestMachine& machine() const { return *machine_.any(); }
  /// The same where it matters of which architecture it is.
  [[nodiscard]] const AnyMachine& any_machine() const { return machine_.any(); }
  [[nodiscard]] StdioConsole& console() { return console_; }
  [[nodiscard]] const machine::snapshot::Guest& name() const { return name_; }
  [[nodiscard]] const RunFacts& facts() const { return facts_; }

  /// What people are to know of the guest when it is over, as lines for standard error: a crash,
  /// counters that stood still, records that were lost.
  [[nodiscard]] std::string remarks() const;
  /// Output of the guest that could not be written; whoever closed the console (a pager, `head`)
  /// does not want to hear of it.
  [[nodiscard]] Result<void> console_error() const;

 private:
  Result<void> load_any(machine::TraceSink* trace);
  Result<void> load_pc(machine::TraceSink* trace);
  Result<void> load_arm64();
  bool comes_early(const Stop& stop, const machine::Outcome& outcome);

  const GuestOptions& options_;
  StdioConsole console_;
  LbrWarnings lbr_warnings_;
  SpeWarnings spe_warnings_;
  machine::snapshot::Guest name_;
  OwnedMachine machine_;
  std::vector<Stop> stops_;
  std::string early_;  ///< lines on stops that came early
  RunFacts facts_;
};

}  // namespace vpmu::cli
