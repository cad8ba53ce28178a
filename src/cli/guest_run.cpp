// SPDX-License-Identifier: MIT
#include "cli/guest_run.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "cli/arm64_counter_report.hpp"
#include "cli/arm64_filter_option.hpp"
#include "cli/arm64_guest.hpp"
#include "cli/arm64_spe_option.hpp"
#include "cli/counter_report.hpp"
#include "cli/cpu_command.hpp"
#include "cli/errno_name.hpp"
#include "cli/exit_status.hpp"
#include "cli/filter_option.hpp"
#include "cli/host_events_option.hpp"
#include "cli/interruption.hpp"
#include "cli/pmu_option.hpp"
#include "cli/pv_perf_option.hpp"
#include "cli/pv_perf_report.hpp"
#include "cli/size_text.hpp"
#include "cli/snapshot_files.hpp"
#include "cli/terminal.hpp"
#include "machine/arm64_board/crash_report.hpp"
#include "machine/boot/architecture.hpp"
#include "machine/pc/crash_report.hpp"

namespace vpmu::cli {

namespace {
Result<void> give_pv_perf(const GuestOptions& options, machine::MachineConfig& config) {
  auto pv_perf = pv_perf_config(*config.model, config.host(), options.pv_perf);
  if (!pv_perf) return tl::unexpected(pv_perf.error());
  auto raw = pv_perf_raw(options, config.host(), *pv_perf);
  if (!raw) return tl::unexpected(raw.error());
  config.pv_perf = *pv_perf;
  config.pv_perf_raw = std::move(*raw);
  return {};
}

Result<machine::MachineConfig> machine_config(const GuestOptions& options) {
  const auto model = cpu_model(options.cpu);
  if (!model) return tl::unexpected(model.error());
  const auto host = host_model(options, *model);
  if (!host) return tl::unexpected(host.error());
  const auto memory = parse_size(options.memory);
  if (!memory) return fail("--mem: " + memory.error().message);
  machine::MachineConfig config;
  config.model = *model;
  config.host_model = *host;
  config.vcpus = options.smp;
  config.memory_bytes = *memory;
  const auto pmu = pmu_config(**model, options.pmu);
  if (!pmu) return tl::unexpected(pmu.error());
  config.pmu = *pmu;
  if (auto pv_perf = give_pv_perf(options, config); !pv_perf) {
    return tl::unexpected(pv_perf.error());
  }
  config.quantum = options.quantum;
  config.host_cpus = options.host_cpus;
  auto events = host_events(options, {**host, options.shared_host_cpus()});
  if (!events) return tl::unexpected(events.error());
  config.host_events = std::move(*events);
  return config;
}

constexpr const char* kArm64Options[] = {"--guest-spe", "--spe-cpus", "--spe-supported",
                                         "--spe-at"};

Result<void> check_pc_options(const GuestOptions& options) {
  for (const char* option : kArm64Options) {
    if (!options.given(option)) continue;
    return fail(
        fmt::format("{}: is for arm64 guests, and this one is for x86; leave it out", option));
  }
  return {};
}
}  // namespace

Result<void> GuestRun::load(TextTrace* trace) {
  if (auto loaded = load_any(trace); !loaded) return loaded;
  if (auto* arm64 = machine_.any().arm64()) {
    arm64->set_trace(trace);
    spe_warnings_.attach(*arm64);
  }
  return {};
}

Result<void> GuestRun::load_any(machine::TraceSink* trace) {
  if (!options_.restore.empty()) {
    auto restored = restore_guest(options_, console_, trace, lbr_warnings_);
    if (!restored) return tl::unexpected(restored.error());
    name_ = std::move(restored->guest);
    machine_ = std::move(restored->machine);
    return machine_.any().pc() != nullptr ? check_pc_options(options_) : Result<void>{};
  }
  name_ = {options_.image, options_.append};
  const auto architecture = machine::boot::architecture_of_file(options_.image);
  if (!architecture) return tl::unexpected(architecture.error());
  return *architecture == machine::Architecture::kArm64 ? load_arm64() : load_pc(trace);
}

namespace {
/// The run ended because a guest whose SPE is stopped profiles (--spe-at N=exit).
bool waits_for_resume(const machine::arm64::Machine& machine, const machine::Outcome& outcome) {
  return outcome.reason == machine::Outcome::Reason::kRefused &&
         machine.vcpus()[outcome.value]->refused() == virt::arm64::SpeEntry::kStoppedAndProfiles;
}

/// A line on why a vCPU was not entered, if that is how the run ended.
std::string refusal(const machine::arm64::Machine& machine, const machine::Outcome& outcome) {
  if (outcome.reason != machine::Outcome::Reason::kRefused) return {};
  const auto why = virt::arm64::error(machine.vcpus()[outcome.value]->refused());
  if (!waits_for_resume(machine, outcome)) {
    return fmt::format("vpmu: vCPU {} is not entered: {}\n", outcome.value, why.message);
  }
  return fmt::format(
      "vpmu: vCPU {} is not entered ({}): profiling is stopped and the guest profiles; give a "
      "further --spe-at INSTRUCTIONS=resume or =trap, or --save-at to keep it as it is\n",
      outcome.value, errno_name(why.number));
}
}  // namespace

Result<void> GuestRun::load_pc(machine::TraceSink* trace) {
  if (auto checked = check_pc_options(options_); !checked) return checked;
  auto config = machine_config(options_);
  if (!config) return tl::unexpected(config.error());
  config->trace = trace;
  config->lbr_observer = &lbr_warnings_;
  auto machine = machine::Machine::create(*config, console_);
  if (!machine) return tl::unexpected(machine.error());
  machine_ = std::move(*machine);
  return machine_.any().pc()->load({options_.image, options_.append, options_.initrd});
}

Result<void> GuestRun::load_arm64() {
  auto machine = make_arm64_machine(options_, console_);
  if (!machine) return tl::unexpected(machine.error());
  machine_ = std::move(*machine);
  return machine_.any().arm64()->load({options_.image, options_.append, options_.initrd});
}

Result<void> GuestRun::prepare(std::vector<Stop> stops) {
  Result<void> filters;
  visit(machine_.any(),
        [&](auto& machine) { filters = apply_filter_options(options_, machine, stops_); });
  if (!filters) return filters;
  if (auto* arm64 = machine_.any().arm64()) {
    if (auto added = add_spe_stops(options_, *arm64, stops_); !added) return added;
  }
  std::ranges::move(stops, std::back_inserter(stops_));
  std::ranges::stable_sort(stops_, {}, &Stop::instructions);
  return check_stops(stops_, machine());
}

Result<void> GuestRun::run() {
  facts_.image = name_.image;
  facts_.arguments = name_.arguments;
  const TerminalMode terminal;
  const Interruption interruption{machine(), options_.timeout};
  const auto begin = std::chrono::steady_clock::now();
  const auto early = [this](const Stop& stop, const machine::Outcome& outcome) {
    return comes_early(stop, outcome);
  };
  auto stopped = run_with_stops(machine(), stops_, {.instructions = options_.max_instructions},
                                early, facts_.outcome);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  facts_.host_seconds = took.count();
  // A guest that ended by itself did so, whatever came in at the same moment.
  if (facts_.outcome.reason == machine::Outcome::Reason::kStopped) {
    facts_.signal = Interruption::signal();
  }
  facts_.status = exit_status(facts_.outcome, facts_.signal);
  return stopped;
}

/// A guest that is not entered does not come to the next stop: what the VMM does there, it does
/// now.
bool GuestRun::comes_early(const Stop& stop, const machine::Outcome& outcome) {
  const auto* arm64 = machine_.any().arm64();
  if (arm64 == nullptr || !waits_for_resume(*arm64, outcome)) return false;
  early_ += fmt::format(
      "vpmu: {} comes after {} instructions: profiling is stopped and the guest of vCPU {} "
      "profiles\n",
      stop.option, machine().instructions(), outcome.value);
  return true;
}

std::string GuestRun::remarks() const {
  const bool crashed = facts_.outcome.reason == machine::Outcome::Reason::kCrash;
  if (const auto* arm64 = machine_.any().arm64()) {
    return early_ +
           (crashed ? crash_report(*arm64->vcpus()[facts_.outcome.value])
                    : refusal(*arm64, facts_.outcome)) +
           counter_troubles(*arm64);
  }
  const machine::Machine& pc = *machine_.any().pc();
  std::string text;
  if (crashed) text = crash_report(*pc.vcpus()[facts_.outcome.value], pc.board().memory);
  return text + counter_troubles(pc) + pv_perf_troubles(pc) + suppressed_lbr_warnings(pc);
}

Result<void> GuestRun::console_error() const {
  if (console_.error() == 0 || console_.error() == EPIPE) return {};
  return fail(fmt::format("console: standard output: {}", std::strerror(console_.error())));
}

}  // namespace vpmu::cli
