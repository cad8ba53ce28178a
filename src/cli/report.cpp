// SPDX-License-Identifier: MIT
#include "cli/report.hpp"

#include <csignal>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "cli/branch_filter.hpp"
#include "cli/counter_report.hpp"
#include "cli/filter_report.hpp"
#include "cli/lbr_report.hpp"
#include "cli/pv_perf_report.hpp"
#include "cli/version.hpp"
#include "vpmu/silicon/x86/pmu_registers.hpp"

namespace vpmu::cli {

namespace {
using Json = nlohmann::ordered_json;
using machine::Outcome;
using silicon::RawEvent;

/// Why the run ended: the machine's reason, or the signal behind it.
std::string reason(const RunFacts& facts) {
  if (facts.outcome.reason != Outcome::Reason::kStopped) return name(facts.outcome.reason);
  if (facts.signal == SIGALRM) return "time-limit";
  return facts.signal == 0 ? "stopped" : "interrupted";
}

/// What the guest is offered of last branch records; null: none.
Json lbr(const machine::Machine& machine) {
  if (!offers_lbr(machine)) return nullptr;
  const silicon::x86::LbrModel& model = machine.config().model->lbr;
  return {{"format", static_cast<unsigned>(model.format)},
          {"architectural", model.architectural()},
          {"depth", model.depth}};
}

Json pmu(const virt::x86::PmuConfig& config) {
  constexpr std::uint64_t kFullWidth = mask_of(silicon::x86::PerfCapabilities::kFullWidthWrite);
  return {{"enabled", config.version != 0},
          {"version", config.version},
          {"counters", config.gp_counters},
          {"width", config.gp_width},
          {"fixed_counters", config.fixed_counters},
          {"fixed_width", config.fixed_width},
          {"full_width_writes", (config.perf_capabilities & kFullWidth) != 0},
          {"freeze_on_pmi", config.freeze_on_pmi},
          {"any_thread", has_any_thread(config)},
          {"core_extension", config.core_extension},
          {"host_guest_only", config.host_guest_only}};
}

Json retired(const silicon::RetireTotals& totals) {
  Json json = Json::object();
  for (std::size_t i = 0; i < silicon::kCommonRawEventCount; ++i) {
    const auto event = static_cast<RawEvent>(i);
    const std::uint64_t user = totals.read(event, {.user = true, .kernel = false});
    const std::uint64_t kernel = totals.read(event, {.user = false, .kernel = true});
    json[silicon::name(event)] = {{"user", user}, {"kernel", kernel}, {"total", user + kernel}};
  }
  return json;
}

Json exits(const virt::ExitStats& stats) {
  Json reasons = Json::object();
  for (std::size_t i = 0; i < virt::kExitReasonCount; ++i) {
    const auto exit = static_cast<virt::ExitReason>(i);
    if (stats.count(exit) == 0) continue;
    reasons[virt::name(exit)] = {{"count", stats.count(exit)}, {"cycles", stats.cost(exit)}};
  }
  return {{"count", stats.total_count()}, {"cycles", stats.total_cost()}, {"by_reason", reasons}};
}

Json pmis(const virt::x86::PmuStatistics& statistics) {
  return {{"raised", statistics.pmis_raised},
          {"delivered", statistics.pmis_delivered},
          {"masked", statistics.pmis_masked},
          {"rejected", statistics.pmis_rejected}};
}

Json vcpu(const machine::Vcpu& vcpu, const machine::Machine& machine) {
  Json json{{"vcpu", vcpu.index()},
            {"retired", retired(vcpu.totals())},
            {"exits", exits(vcpu.exits())},
            {"overflows", vcpu.pmu().statistics().overflows},
            {"pmis", pmis(vcpu.pmu().statistics())},
            {"counters", counters(vcpu, *machine.config().model)},
            {"counters_not_counting", counters_not_counting(vcpu, machine.filter_log())}};
  if (vcpu.lbr().offered()) json["lbr"] = lbr_of_vcpu(vcpu);
  if (vcpu.pv_perf() != nullptr) json["pv_perf"] = pv_perf_of_vcpu(vcpu, machine);
  return json;
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

double mips(const machine::Machine& machine, const RunFacts& facts) {
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

Json report(const machine::Machine& machine, const RunFacts& facts, bool host_times) {
  const machine::MachineConfig& config = machine.config();
  Json json{
      {"report", kReportVersion},
      {"vpmu", kVersion},
      {"guest",
       {{"image", facts.image},
        {"arguments", facts.arguments},
        {"boot", machine::boot::name(machine.boot_state().protocol)}}},
      {"machine",
       {{"vcpus", config.vcpus},
        {"host_cpus", machine.host_activity().cpus()},
        {"memory_bytes", config.memory_bytes},
        {"quantum", config.quantum}}},
      {"cpu",
       {{"model", config.model->name},
        {"hz", config.model->hz},
        {"host_model", config.host().name}}},
      {"pmu", pmu(machine.pmu_config())},
      {"pv_perf", pv_perf_offer(machine)},
      {"outcome", outcome_json(machine, facts)},
      {"vcpus", Json::array()},
  };
  json["pmu"]["lbr"] = lbr(machine);
  for (const auto& each : machine.vcpus()) json["vcpus"].push_back(vcpu(*each, machine));
  json["event_filter"] = event_filters(machine);
  json["host_events"] = host_events(machine.host_activity());
  if (offers_lbr(machine)) json["lbr_switches"] = lbr_switches(machine.host_activity());
  if (host_times) {
    json["host"] = {{"seconds", facts.host_seconds}, {"mips", mips(machine, facts)}};
  }
  return json;
}

std::string summary(const machine::Machine& machine, const RunFacts& facts) {
  std::string end = reason(facts);
  if (facts.outcome.reason == Outcome::Reason::kDebugExit) {
    end += fmt::format(" {}", facts.outcome.value);
  }
  std::uint64_t exit_count = 0, pmi_count = 0;
  for (const auto& each : machine.vcpus()) {
    exit_count += each->exits().total_count();
    pmi_count += each->pmu().statistics().pmis_delivered;
    if (each->pv_perf() != nullptr) {
      pmi_count += each->pv_perf()->unit().statistics().pmis_delivered;
    }
  }
  return fmt::format(
             "vpmu: {} (status {}); {} instructions in {:.2f} s, {:.0f} MIPS; {} exits, {} PMIs\n",
             end, facts.status, grouped(machine.instructions()), facts.host_seconds,
             mips(machine, facts), grouped(exit_count), grouped(pmi_count)) +
         pv_perf_summary(machine);
}

}  // namespace vpmu::cli
