// SPDX-License-Identifier: MIT
#include "cli/guest_options.hpp"

#include <CLI/CLI.hpp>

#include "cli/arm64_spe_option.hpp"
#include "cli/pmu_option.hpp"
#include "cli/pv_perf_option.hpp"
#include "machine/machine_shape.hpp"

namespace vpmu::cli {

namespace {
using machine::MachineConfig;

constexpr const char* kGroup = "The guest";

void add_machine_options(CLI::App& command, GuestOptions& options) {
  command
      .add_option("--cpu", options.cpu,
                  "CPU model, see `vpmu cpu list`; arm64 guests: default neoverse-n1")
      ->capture_default_str();
  command.add_option("--smp", options.smp, "Number of vCPUs")
      ->check(CLI::Range(1u, MachineConfig::kMaxVcpus))
      ->capture_default_str();
  command.add_option("--mem,-m", options.memory, "Guest memory: a number with K, M, G or T")
      ->capture_default_str();
  command.add_option("--pmu", options.pmu, kPmuOptionHelp)->capture_default_str();
  command.add_option("--guest-spe", options.guest_spe, kGuestSpeOptionHelp)->capture_default_str();
  command.add_option("--spe-cpus", options.spe_cpus, kSpeCpusOptionHelp);
  command.add_option("--spe-supported", options.spe_supported, kSpeSupportedOptionHelp);
  command.add_option("--spe-at", options.spe_at, kSpeAtOptionHelp)->allow_extra_args(false);
  command.add_option("--pv-perf", options.pv_perf, kPvPerfOptionHelp)->capture_default_str();
  command.add_option("--pv-perf-raw", options.pv_perf_raw, kPvPerfRawOptionHelp);
  command.add_option("--quantum", options.quantum, "Instructions per turn of a vCPU")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_image_options(CLI::App& command, GuestOptions& options) {
  CLI::Option* guest = command.add_option(
      "GUEST", options.image,
      "Guest image: multiboot, PVH or freestanding ELF64; for arm64 ELF64 or a Linux Image");
  CLI::Option* append =
      command.add_option("--append", options.append, "Arguments for the guest's command line");
  CLI::Option* initrd = command
                            .add_option("--initrd", options.initrd,
                                        "File to give to the guest as a module (repeatable)")
                            ->allow_extra_args(false);
  command
      .add_option("--restore", options.restore,
                  "Go on with the guest saved in this file, instead of GUEST")
      ->excludes(guest)
      ->excludes(append)
      ->excludes(initrd);
}

void add_host_options(CLI::App& command, GuestOptions& options) {
  command.add_option("--host-cpu", options.host_cpu, kHostCpuOptionHelp);
  command
      .add_option("--host-cpus", options.host_cpus,
                  "Number of host CPUs that the vCPUs share; default: one for each vCPU")
      ->check(CLI::Range(1u, machine::kMaxHostCpus));
  command
      .add_option("--host-event", options.host_events,
                  "Event that the host itself counts on each of its CPUs, which takes counters "
                  "from the guest: in perf's notation, e.g. cycles:D for a pinned one (repeatable)")
      ->allow_extra_args(false);
  command.add_option(
      "--host-script", options.host_script,
      "File with what the host does at which machine times and on which of its CPUs: "
      "events as [[event]] tables with event, branches, cpu, at, until, every, period, "
      "count, host_branches, and uses of the last branch records as [[trace]] tables "
      "(docs/host-script.md)");
}

void add_filter_options(CLI::App& command, GuestOptions& options) {
  command.add_option("--filter", options.filter,
                     "File with the event filter of the guest's PMU: an image as KVM takes it, its "
                     "hexadecimal digits, JSON or a policy, or ranges for an arm64 guest; none: no "
                     "filter");
  command
      .add_option("--filter-at", options.filter_at,
                  "INSTRUCTIONS=FILE: another event filter, from where all vCPUs together have "
                  "retired so many (repeatable); INSTRUCTIONS=none lifts it")
      ->allow_extra_args(false);
}

void add_limits(CLI::App& command, GuestOptions& options) {
  command
      .add_option("--max-instructions", options.max_instructions,
                  "End after so many instructions of all vCPUs together (status 124)")
      ->check(CLI::PositiveNumber);
  command.add_option("--timeout", options.timeout, "End after so many seconds (status 124)")
      ->check(CLI::Range(0.000001, 1e9));
}
}  // namespace

const char* const kGuestExitStatusHelp =
    "Exit status: (value << 1) | 1 of what the guest wrote to the debug-exit port, 0 for "
    "power-off or\nreset, 124 at a limit, 125 for a crash or a vCPU that is not entered, 2 for bad "
    "usage or input,\n130 after Ctrl-C.";

void add_guest_options(CLI::App& command, GuestOptions& options) {
  const std::string group = command.option_defaults()->get_group();
  command.option_defaults()->group(kGroup);
  add_image_options(command, options);
  add_machine_options(command, options);
  add_host_options(command, options);
  add_filter_options(command, options);
  add_limits(command, options);
  command.option_defaults()->group(group);
  command.parse_complete_callback([&command, &options] {
    if (options.image.empty() && options.restore.empty()) throw CLI::RequiredError("GUEST");
    for (const CLI::Option* option : command.get_options()) {
      if (option->count() > 0) options.names.push_back(option->get_name());
    }
  });
}

}  // namespace vpmu::cli
