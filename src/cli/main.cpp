// SPDX-License-Identifier: MIT
//
// The vpmu command: what its options are called, and who does the work.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include <fmt/format.h>

#include "cli/annotate/annotate_command.hpp"
#include "cli/answer.hpp"
#include "cli/cpu_command.hpp"
#include "cli/doctor/doctor_command.hpp"
#include "cli/exit_status.hpp"
#include "cli/filter/filter_command.hpp"
#include "cli/record/record_command.hpp"
#include "cli/report/profile_commands.hpp"
#include "cli/run_command.hpp"
#include "cli/stat/stat_command.hpp"
#include "cli/version.hpp"

namespace {
template <class CpuModel>
int show_cpu(const CpuModel& model, bool events) {
  return vpmu::cli::print(events ? vpmu::cli::show_events(model) : vpmu::cli::show_cpu(model));
}

int show_cpu_of_any_architecture(const std::string& name, bool events) {
  if (const auto* arm64 = vpmu::silicon::arm64::find_cpu_model(name)) {
    return show_cpu(*arm64, events);
  }
  if (const auto* x86 = vpmu::silicon::x86::find_cpu_model(name)) return show_cpu(*x86, events);
  return vpmu::cli::bad_input(vpmu::cli::no_cpu_model(name));
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

  const vpmu::cli::RunCommand run{app};
  const vpmu::cli::stat::StatCommand stat{app};
  const vpmu::cli::record::RecordCommand record{app};

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
  const vpmu::cli::report::ProfileCommands profile{app};
  const vpmu::cli::annotate::AnnotateCommand annotate{app};

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    return refuse(app, argc, argv, error);
  }
  if (run.parsed()) return run.run();
  if (stat.parsed()) return stat.run();
  if (record.parsed()) return record.run();
  if (doctor->parsed()) return vpmu::cli::doctor::run_doctor(as_json);
  if (filter.parsed()) return filter.run();
  if (annotate.parsed()) return annotate.run();
  if (profile.parsed()) return profile.run();
  if (list->parsed()) return vpmu::cli::print(vpmu::cli::list_cpus());
  if (show->parsed()) return show_cpu_of_any_architecture(model, events);
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
