// SPDX-License-Identifier: MIT
#include "cli/pc_report.hpp"

#include "cli/counter_report.hpp"
#include "cli/filter_report.hpp"
#include "cli/lbr_report.hpp"
#include "cli/pv_perf_report.hpp"
#include "cli/report_parts.hpp"
#include "vpmu/silicon/x86/pmu_registers.hpp"

namespace vpmu::cli {

namespace {
using Json = nlohmann::ordered_json;

/// What the guest is offered of last branch records; null: none.
Json lbr(const machine::Machine& machine) {
  if (!offers_lbr(machine)) return nullptr;
  const silicon::x86::LbrModel& model = machine.config().model->lbr;
  return {{"format", static_cast<unsigned>(model.format)},
          {"architectural", model.architectural()},
          {"depth", model.depth}};
}

Json pmu_json(const virt::x86::PmuConfig& config) {
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

Json pmis(const virt::x86::PmuStatistics& statistics) {
  return {{"raised", statistics.pmis_raised},
          {"delivered", statistics.pmis_delivered},
          {"masked", statistics.pmis_masked},
          {"rejected", statistics.pmis_rejected}};
}

Json vcpu(const machine::Vcpu& vcpu, const machine::Machine& machine) {
  Json json{{"vcpu", vcpu.index()},
            {"retired", retired_json(vcpu.totals(), silicon::kCommonRawEventCount)},
            {"exits", exits_json(vcpu.exits())},
            {"overflows", vcpu.pmu().statistics().overflows},
            {"pmis", pmis(vcpu.pmu().statistics())},
            {"counters", counters(vcpu, *machine.config().model)},
            {"counters_not_counting", counters_not_counting(vcpu, machine.filter_log())}};
  if (vcpu.lbr().offered()) json["lbr"] = lbr_of_vcpu(vcpu);
  if (vcpu.pv_perf() != nullptr) json["pv_perf"] = pv_perf_of_vcpu(vcpu, machine);
  return json;
}

}  // namespace

void add_guest_part(const machine::Machine& machine, Json& report) {
  report["guest"]["boot"] = machine::boot::name(machine.boot_state().protocol);
  report["pmu"] = pmu_json(machine.pmu_config());
  report["pmu"]["lbr"] = lbr(machine);
  report["pv_perf"] = pv_perf_offer(machine);
}

void add_counts(const machine::Machine& machine, Json& report) {
  for (const auto& each : machine.vcpus()) report["vcpus"].push_back(vcpu(*each, machine));
  report["event_filter"] = event_filters(machine);
}

void add_host_part(const machine::Machine& machine, Json& report) {
  if (offers_lbr(machine)) report["lbr_switches"] = lbr_switches(machine.host_activity());
}

ExitsAndInterrupts exits_and_interrupts(const machine::Machine& machine) {
  ExitsAndInterrupts sum;
  for (const auto& each : machine.vcpus()) {
    sum.exits += each->exits().total_count();
    sum.interrupts += each->pmu().statistics().pmis_delivered;
    if (each->pv_perf() != nullptr) {
      sum.interrupts += each->pv_perf()->unit().statistics().pmis_delivered;
    }
  }
  return sum;
}

}  // namespace vpmu::cli
