// SPDX-License-Identifier: MIT
#include "cli/run_command.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "cli/atomic_file.hpp"
#include "cli/counter_report.hpp"
#include "cli/cpu_command.hpp"
#include "cli/exit_status.hpp"
#include "cli/filter_option.hpp"
#include "cli/host_events_option.hpp"
#include "cli/interruption.hpp"
#include "cli/lbr_report.hpp"
#include "cli/pmu_option.hpp"
#include "cli/report.hpp"
#include "cli/size_text.hpp"
#include "cli/snapshot_files.hpp"
#include "cli/stdio_console.hpp"
#include "cli/stops.hpp"
#include "cli/terminal.hpp"
#include "cli/text_trace.hpp"
#include "machine/pc/crash_report.hpp"

namespace vpmu::cli {

namespace {
int bad_input(const Error& error) {
  fmt::print(stderr, "vpmu: {}\n", error.message);
  return kStatusBadInput;
}

Result<machine::MachineConfig> machine_config(const RunOptions& options) {
  const auto model = cpu_model(options.cpu);
  if (!model) return tl::unexpected(model.error());
  const auto memory = parse_size(options.memory);
  if (!memory) return fail("--mem: " + memory.error().message);
  machine::MachineConfig config;
  config.model = *model;
  config.vcpus = options.smp;
  config.memory_bytes = *memory;
  const auto pmu = pmu_config(**model, options.pmu);
  if (!pmu) return tl::unexpected(pmu.error());
  config.pmu = *pmu;
  config.quantum = options.quantum;
  config.host_cpus = options.host_cpus;
  auto events =
      host_events(options, {*model, options.host_cpus != 0 ? options.host_cpus : options.smp});
  if (!events) return tl::unexpected(events.error());
  config.host_events = std::move(*events);
  return config;
}

TextTrace text_trace(const RunOptions& options) {
  TextTrace trace;
  for (const std::string& what : options.trace) {
    if (what == "msr") trace.msrs = true;
    if (what == "exit") trace.exits = true;
    if (what == "irq") trace.interrupts = true;
  }
  return trace;
}

/// A guest that has not run, or has run elsewhere.
struct Guest {
  machine::snapshot::Guest name;
  std::unique_ptr<machine::Machine> machine;
};

Result<Guest> load_guest(const RunOptions& options, machine::Console& console,
                         machine::TraceSink* trace, LbrWarnings& lbr_warnings) {
  if (!options.restore.empty()) {
    auto restored = restore_guest(options, console, trace, lbr_warnings);
    if (!restored) return tl::unexpected(restored.error());
    return Guest{std::move(restored->guest), std::move(restored->machine)};
  }
  auto config = machine_config(options);
  if (!config) return tl::unexpected(config.error());
  config->trace = trace;
  config->lbr_observer = &lbr_warnings;
  auto machine = machine::Machine::create(*config, console);
  if (!machine) return tl::unexpected(machine.error());
  const auto loaded = (*machine)->load({options.guest, options.append, options.initrd});
  if (!loaded) return tl::unexpected(loaded.error());
  return Guest{{options.guest, options.append}, std::move(*machine)};
}

/// Gives the guest its filter, and says where the run is to stop on the way. What happens at the
/// same instruction happens in that order: a filter is in the snapshot.
Result<std::vector<Stop>> prepare(const Guest& guest, const RunOptions& options) {
  auto saves = save_stops(options, guest.name);
  if (!saves) return saves;
  std::vector<Stop> stops;
  auto filters = apply_filter_options(options, *guest.machine, stops);
  if (!filters) return tl::unexpected(filters.error());
  std::ranges::move(*saves, std::back_inserter(stops));
  std::ranges::stable_sort(stops, {}, &Stop::instructions);
  if (auto ahead = check_stops(stops, *guest.machine); !ahead) {
    return tl::unexpected(ahead.error());
  }
  return stops;
}

/// Runs with the terminal and the signals as a guest needs them.
Result<void> run(const Guest& guest, const RunOptions& options, const std::vector<Stop>& stops,
                 RunFacts& facts) {
  machine::Machine& machine = *guest.machine;
  const TerminalMode terminal;
  const Interruption interruption{machine, options.timeout};
  const auto begin = std::chrono::steady_clock::now();
  auto stopped =
      run_with_stops(machine, stops, {.instructions = options.max_instructions}, facts.outcome);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  facts.host_seconds = took.count();
  // A guest that ended by itself did so, whatever came in at the same moment.
  if (facts.outcome.reason == machine::Outcome::Reason::kStopped) {
    facts.signal = Interruption::signal();
  }
  facts.status = exit_status(facts.outcome, facts.signal);
  return stopped;
}

Result<void> write_report(const machine::Machine& machine, const RunFacts& facts,
                          const RunOptions& options) {
  if (options.json.empty()) return {};
  const std::string text =
      report(machine, facts, options.host_times)
          .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
      "\n";
  if (options.json != "-") return write_file(options.json, text, "report");
  if (const int error = write_all(STDOUT_FILENO, text)) {
    return fail(fmt::format("report: standard output: {}", std::strerror(error)));
  }
  return {};
}
}  // namespace

int run_guest(const RunOptions& options) {
  TextTrace trace = text_trace(options);
  LbrWarnings lbr_warnings;
  StdioConsole console;
  const auto guest = load_guest(options, console, trace.any() ? &trace : nullptr, lbr_warnings);
  if (!guest) return bad_input(guest.error());
  machine::Machine& machine = *guest->machine;
  const auto stops = prepare(*guest, options);
  if (!stops) return bad_input(stops.error());

  RunFacts facts;
  facts.image = guest->name.image;
  facts.arguments = guest->name.arguments;
  const auto stopped = run(*guest, options, *stops, facts);

  if (facts.outcome.reason == machine::Outcome::Reason::kCrash) {
    const machine::Vcpu& crashed = *machine.vcpus()[facts.outcome.value];
    fmt::print(stderr, "{}", crash_report(crashed, machine.board().memory));
  }
  fmt::print(stderr, "{}{}{}", counter_troubles(machine), suppressed_lbr_warnings(machine),
             summary(machine, facts));
  const auto written = write_report(machine, facts, options);
  if (!written) return bad_input(written.error());
  if (!stopped) return bad_input(stopped.error());
  // Whoever closed the console (a pager, `head`) does not want to hear of it.
  if (console.error() != 0 && console.error() != EPIPE) {
    return bad_input({fmt::format("console: standard output: {}", std::strerror(console.error()))});
  }
  return facts.status;
}

}  // namespace vpmu::cli
