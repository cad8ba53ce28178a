// SPDX-License-Identifier: MIT
#include "cli/arm64_report.hpp"

#include <string>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "cli/arm64_counter_report.hpp"
#include "cli/arm64_spe_report.hpp"

namespace vpmu::cli {

namespace {
using Json = nlohmann::ordered_json;
using machine::arm64::Cpu;

Json pmu_json(const virt::arm64::PmuConfig& config) {
  return {{"enabled", config.version != 0},
          {"version", config.version},
          {"counters", config.event_counters},
          {"width", has_long_counters(config) ? 64 : 32}};
}

Json vcpu_json(const machine::arm64::Vcpu& vcpu, const machine::arm64::Machine& machine) {
  const auto& statistics = vcpu.pmu().statistics();
  Json json{{"vcpu", vcpu.index()},
            {"retired", retired_json(vcpu.totals(), vcpu.spe() != nullptr
                                                        ? silicon::kNamedRawEventCount
                                                        : silicon::kRawEventCountWithoutSpe)},
            {"exits", exits_json(vcpu.exits())},
            {"overflows", statistics.overflows},
            {"interrupts", statistics.interrupts},
            {"counters", counters(vcpu, *machine.config().model)},
            {"counters_not_counting", counters_not_counting(vcpu, machine)}};
  if (vcpu.spe() != nullptr) json["spe"] = spe_of_vcpu(*vcpu.spe());
  return json;
}

std::uint64_t instructions_in(const machine::arm64::Machine& machine, Cpu::Mode mode) {
  std::uint64_t sum = 0;
  for (const auto& each : machine.vcpus()) sum += each->cpu().instructions_in(mode);
  return sum;
}
}  // namespace

void add_guest_part(const machine::arm64::Machine& machine, Json& report) {
  report["guest"]["boot"] = machine::boot::name(machine.start_state().protocol);
  report["pmu"] = pmu_json(machine.pmu_config());
  if (machine.vcpus().front()->spe() != nullptr) report["spe"] = spe_offer(machine);
}

void add_counts(const machine::arm64::Machine& machine, Json& report) {
  for (const auto& each : machine.vcpus()) {
    report["vcpus"].push_back(vcpu_json(*each, machine));
  }
  report["event_filter"] = event_filters(machine);
}

Json execution_json(const machine::arm64::Machine& machine) {
  return {{"jit", instructions_in(machine, Cpu::Mode::kFast)},
          {"blocks", instructions_in(machine, Cpu::Mode::kBlocks)},
          {"steps", instructions_in(machine, Cpu::Mode::kSteps)}};
}

std::string execution_remark(const machine::arm64::Machine& machine) {
  constexpr std::uint64_t kFew = 10;  // of so many one: nobody notices
  const std::uint64_t in_blocks = instructions_in(machine, Cpu::Mode::kBlocks);
  const std::uint64_t in_steps = instructions_in(machine, Cpu::Mode::kSteps);
  // Not those before a snapshot.
  const std::uint64_t all = in_blocks + in_steps + instructions_in(machine, Cpu::Mode::kFast);
  if (in_blocks + in_steps <= all / kFew) return {};
  return fmt::format(
      "vpmu: {} of {} instructions ran {}, which is slower: {} were counted\n",
      grouped(in_blocks + in_steps), grouped(all),
      in_blocks > in_steps ? "block by block" : "one by one",
      in_blocks > in_steps ? "branches, loads or stores" : "misses of caches or TLBs");
}

ExitsAndInterrupts exits_and_interrupts(const machine::arm64::Machine& machine) {
  ExitsAndInterrupts sum;
  for (const auto& each : machine.vcpus()) {
    sum.exits += each->exits().total_count();
    sum.interrupts += each->pmu().statistics().interrupts;
  }
  return sum;
}

}  // namespace vpmu::cli
