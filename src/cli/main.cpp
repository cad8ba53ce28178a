// SPDX-License-Identifier: MIT
//
// The vpmu command: what its options are called, and who does the work.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include <fmt/format.h>

#include "cli/atomic_file.hpp"
#include "cli/cpu_command.hpp"
#include "cli/doctor/doctor_command.hpp"
#include "cli/exit_status.hpp"
#include "cli/filter/filter_command.hpp"
#include "cli/pmu_option.hpp"
#include "cli/run_command.hpp"
#include "cli/version.hpp"

namespace {
using vpmu::cli::RunOptions;

void add_run_options(CLI::App& run, RunOptions& options) {
  using vpmu::machine::MachineConfig;
  CLI::Option* guest =
      run.add_option("GUEST", options.guest, "Guest image: multiboot, PVH or freestanding ELF64");
  run.add_option("--cpu", options.cpu, "CPU model; see `vpmu cpu list`")->capture_default_str();
  run.add_option("--smp", options.smp, "Number of vCPUs")
      ->check(CLI::Range(1u, MachineConfig::kMaxVcpus))
      ->capture_default_str();
  run.add_option("--mem,-m", options.memory, "Guest memory: a number with K, M, G or T")
      ->capture_default_str();
  CLI::Option* append =
      run.add_option("--append", options.append, "Arguments for the guest's command line");
  CLI::Option* initrd = run.add_option("--initrd", options.initrd,
                                       "File to give to the guest as a module (repeatable)")
                            ->allow_extra_args(false);
  run.add_option("--pmu", options.pmu, vpmu::cli::kPmuOptionHelp)->capture_default_str();
  run.add_option("--host-cpus", options.host_cpus,
                 "Number of host CPUs that the vCPUs share; default: one for each vCPU")
      ->check(CLI::Range(1u, MachineConfig::kMaxHostCpus));
  run.add_option("--host-event", options.host_events,
                 "Event that the host itself counts on each of its CPUs, which takes counters from "
                 "the guest: in perf's notation, e.g. cycles:D for a pinned one (repeatable)")
      ->allow_extra_args(false);
  run.add_option("--host-script", options.host_script,
                 "File with what the host does at which machine times and on which of its CPUs: "
                 "events as [[event]] tables with event, branches, cpu, at, until, every, period, "
                 "count, host_branches, and uses of the last branch records as [[trace]] tables "
                 "(docs/host-script.md)");
  run.add_option("--max-instructions", options.max_instructions,
                 "End after so many instructions of all vCPUs together (status 124)")
      ->check(CLI::PositiveNumber);
  run.add_option("--timeout", options.timeout, "End after so many seconds (status 124)")
      ->check(CLI::Range(0.000001, 1e9));
  run.add_option("--quantum", options.quantum, "Instructions per turn of a vCPU")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  run.add_option("--json", options.json, "Write a report to this file, - for standard output");
  run.add_flag("--host-times", options.host_times,
               "Put seconds and MIPS into the report, which then differs from run to run");
  run.add_option("--trace", options.trace, "Print msr, exit, irq (comma-separated) as they happen")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"msr", "exit", "irq"}));
  run.add_option("--filter", options.filter,
                 "File with the event filter of the guest's PMU: an image as KVM takes it, its "
                 "hexadecimal digits, JSON or a policy; none: no filter");
  run.add_option("--filter-at", options.filter_at,
                 "INSTRUCTIONS=FILE: another event filter, from where all vCPUs together have "
                 "retired so many (repeatable); INSTRUCTIONS=none lifts it")
      ->allow_extra_args(false);
  run.add_option("--save-at", options.save_at,
                 "INSTRUCTIONS=FILE: save the guest when all its vCPUs together have retired so "
                 "many, and go on (repeatable)")
      ->allow_extra_args(false);
  run.add_option("--restore", options.restore,
                 "Go on with the guest saved in this file, instead of GUEST")
      ->excludes(guest)
      ->excludes(append)
      ->excludes(initrd);
  run.footer(
      "Exit status: (value << 1) | 1 of what the guest wrote to the debug-exit port, 0 for "
      "power-off "
      "or\nreset, 124 at a limit, 125 for a crash, 2 for bad usage or input, 130 after Ctrl-C.");
}

int print(const std::string& text) {
  if (vpmu::cli::write_all(1, text) == 0) return 0;
  fmt::print(stderr, "vpmu: standard output cannot be written\n");
  return vpmu::cli::kStatusBadInput;
}

int show_cpu(const std::string& name, bool events) {
  const auto model = vpmu::cli::cpu_model(name);
  if (!model) {
    fmt::print(stderr, "vpmu: {}\n", model.error().message);
    return vpmu::cli::kStatusBadInput;
  }
  return print(events ? vpmu::cli::show_events(**model) : vpmu::cli::show_cpu(**model));
}

int run_guest(const CLI::App& run, RunOptions& options) {
  if (options.guest.empty() && options.restore.empty()) {
    fmt::print(stderr, "vpmu: GUEST is required; see `vpmu run --help`\n");
    return vpmu::cli::kStatusBadInput;
  }
  for (const CLI::Option* option : run.get_options()) {
    if (option->count() > 0) options.names.push_back(option->get_name());
  }
  return vpmu::cli::run_guest(options);
}

/// Says what is wrong with the command line, and which help to look at.
int refuse(const CLI::App& app, int argc, char** argv, const CLI::ParseError& error) {
  std::string words;
  const CLI::App* command = &app;
  int known = 1;
  for (; !command->get_subcommands().empty(); ++known) {
    command = command->get_subcommands().front();
    words += command->get_name() + " ";
  }
  const bool is_group = command->get_require_subcommand_min() > 0;
  if (is_group && known < argc && argv[known][0] != '-') {
    fmt::print(stderr, "vpmu: '{}{}' is not a command; see `vpmu {}--help`\n", words, argv[known],
               words);
  } else {
    fmt::print(stderr, "vpmu: {}; see `vpmu {}--help`\n", error.what(), words);
  }
  return vpmu::cli::kStatusBadInput;
}

int run_command_line(int argc, char** argv) {
  CLI::App app{"Runs guests on a machine whose performance counters work", "vpmu"};
  app.set_version_flag("--version", std::string{"vpmu "} + vpmu::cli::kVersion);
  app.require_subcommand(1);

  RunOptions options;
  CLI::App* run = app.add_subcommand("run", "Run a guest image");
  add_run_options(*run, options);

  CLI::App* cpu = app.add_subcommand("cpu", "The CPU models");
  cpu->require_subcommand(1);
  CLI::App* list = cpu->add_subcommand("list", "List the models");
  CLI::App* show =
      cpu->add_subcommand("show", "Show a model's identity, PMU and caches, or its events");
  std::string model;
  show->add_option("MODEL", model, "Name of the model")->required();
  bool events = false;
  show->add_flag(
      "--events", events,
      "Show its events: name, event select, unit mask, counters, what is counted, how that "
      "differs from the hardware, and where the encoding is from");

  CLI::App* doctor = app.add_subcommand("doctor", "Say what this machine has of what vpmu can use");
  bool as_json = false;
  doctor->add_flag("--json", as_json, "As JSON (docs/doctor.md)");
  doctor->footer("Exit status: 0 if guests run here, whatever else is missing; 1 if they do not.");

  const vpmu::cli::filter::FilterCommand filter{app};

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    return refuse(app, argc, argv, error);
  }
  if (run->parsed()) return run_guest(*run, options);
  if (doctor->parsed()) return vpmu::cli::doctor::run_doctor(as_json);
  if (filter.parsed()) return filter.run();
  if (list->parsed()) return print(vpmu::cli::list_cpus());
  if (show->parsed()) return show_cpu(model, events);
  return vpmu::cli::kStatusBadInput;
}
}  // namespace

int main(int argc, char** argv) {
  try {
    return run_command_line(argc, argv);
  } catch (const std::exception& error) {
    // Nothing here throws on purpose: what is left is the host's memory.
    std::fprintf(stderr, "vpmu: %s; give the guest less memory or the host more\n", error.what());
    return vpmu::cli::kStatusBadInput;
  }
}
