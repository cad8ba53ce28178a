// SPDX-License-Identifier: MIT
#include "cli/report.hpp"

#include <csignal>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "cli/arm64_report.hpp"
#include "cli/arm64_spe_report.hpp"
#include "cli/branch_filter.hpp"
#include "cli/pc_report.hpp"
#include "cli/pv_perf_report.hpp"
#include "cli/version.hpp"

namespace vpmu::cli {

namespace {
using Json = nlohmann::ordered_json;
using machine::Outcome;

/// Why the run ended: the machine's reason, or the signal behind it.
std::string reason(const RunFacts& facts) {
  if (facts.outcome.reason != Outcome::Reason::kStopped) return name(facts.outcome.reason);
  if (facts.signal == SIGALRM) return "time-limit";
  return facts.signal == 0 ? "stopped" : "interrupted";
}

Json host_event_on(const machine::HostActivity& host, std::size_t event, unsigned cpu) {
  const machine::HostActivity::Reading reading = host.read(event, cpu);
  Json json{{"cpu", cpu},
            {"value", reading.count.value},
            {"time_enabled_ns", reading.count.time_enabled_ns},
            {"time_running_ns", reading.count.time_running_ns},
            {"overflows", reading.overflows},
            {"state", hostperf::name(reading.state)},
            {"times", reading.times}};
  if (reading.times != 0) json["began_cycle"] = reading.began;
  if (reading.ended != 0) json["ended_cycle"] = reading.ended;
  if (host.events()[event].attr.branch_type != 0) {
    json["sampled_branches"] = reading.sampled_branches;
    json["host_branches"] = reading.retired_branches;
  }
  return json;
}

Json host_events(const machine::HostActivity& host) {
  Json json = Json::array();
  for (std::size_t event = 0; event < host.events().size(); ++event) {
    const machine::HostEvent& opened = host.events()[event];
    Json each{{"name", opened.name}};
    if (opened.trace) each["trace"] = true;
    if (opened.attr.branch_type != 0) {
      each["branches"] = branch_filter_text(opened.attr.branch_type);
    }
    each["cpus"] = Json::array();
    for (unsigned cpu = 0; cpu < host.cpus(); ++cpu) {
      if (host.is_on(event, cpu)) each["cpus"].push_back(host_event_on(host, event, cpu));
    }
    json.push_back(std::move(each));
  }
  return json;
}

double mips(const machine::GuestMachine& machine, const RunFacts& facts) {
  return facts.host_seconds > 0
             ? static_cast<double>(machine.instructions()) / facts.host_seconds / 1e6
             : 0;
}
}  // namespace

Json outcome_json(const machine::GuestMachine& machine, const RunFacts& facts) {
  Json json{{"reason", reason(facts)}, {"status", facts.status}};
  if (facts.outcome.reason == Outcome::Reason::kDebugExit) json["value"] = facts.outcome.value;
  if (facts.outcome.reason == Outcome::Reason::kCrash) json["vcpu"] = facts.outcome.value;
  json["cycles"] = machine.now();
  json["instructions"] = machine.instructions();
  return json;
}

Json report(const AnyMachine& machine, const RunFacts& facts, bool host_times) {
  const machine::GuestFacts made = machine->facts();
  Json json{
      {"report", kReportVersion},
      {"vpmu", kVersion},
      {"guest", {{"image", facts.image}, {"arguments", facts.arguments}, {"boot", nullptr}}},
      {"machine",
       {{"architecture", name(made.architecture)},
        {"vcpus", made.vcpus},
        {"host_cpus", machine->host_activity().cpus()},
        {"memory_bytes", made.memory_bytes},
        {"quantum", made.quantum}}},
      {"cpu", {{"model", made.cpu_model}, {"hz", made.hz}, {"host_model", made.host_cpu_model}}},
  };
  visit(machine, [&json](const auto& each) { add_guest_part(each, json); });
  json["outcome"] = outcome_json(*machine, facts);
  json["vcpus"] = Json::array();
  visit(machine, [&json](const auto& each) { add_counts(each, json); });
  json["host_events"] = host_events(machine->host_activity());
  if (machine.pc() != nullptr) add_host_part(*machine.pc(), json);
  if (!host_times) return json;
  json["host"] = {{"seconds", facts.host_seconds}, {"mips", mips(*machine, facts)}};
  if (machine.arm64() != nullptr) json["host"]["execution"] = execution_json(*machine.arm64());
  return json;
}

std::string summary(const AnyMachine& machine, const RunFacts& facts) {
  std::string end = reason(facts);
  if (facts.outcome.reason == Outcome::Reason::kDebugExit) {
    end += fmt::format(" {}", facts.outcome.value);
  }
  ExitsAndInterrupts sum;
  visit(machine, [&sum](const auto& each) { sum = exits_and_interrupts(each); });
  return fmt::format(
             "vpmu: {} (status {}); {} instructions in {:.2f} s, {:.0f} MIPS; {} exits, {} PMIs\n",
             end, facts.status, grouped(machine->instructions()), facts.host_seconds,
             mips(*machine, facts), grouped(sum.exits), grouped(sum.interrupts)) +
         (machine.pc() != nullptr
              ? pv_perf_summary(*machine.pc())
              : execution_remark(*machine.arm64()) + spe_summary(*machine.arm64()));
}

}  // namespace vpmu::cli
