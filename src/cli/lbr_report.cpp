// SPDX-License-Identifier: MIT
#include "cli/lbr_report.hpp"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "base/grouped.hpp"

namespace vpmu::cli {

using Json = nlohmann::ordered_json;

Json lbr_of_vcpu(const machine::Vcpu& vcpu) {
  const virt::x86::LbrStatistics& statistics = vcpu.lbr().statistics();
  const machine::DirectLbrAccesses& direct = vcpu.direct_lbr();
  return {{"pass_through_entries", statistics.entries_passed_through},
          {"direct_reads", direct.reads},
          {"direct_writes", direct.writes},
          {"exits_saved", direct.reads + direct.writes},
          {"intercepted_reads", statistics.intercepted_reads},
          {"intercepted_writes", statistics.intercepted_writes},
          {"dummy_accesses", statistics.dummy_accesses},
          {"reclaims", statistics.reclaims},
          {"regains", statistics.regains},
          {"events_created", statistics.events_created},
          {"creation_failures", statistics.creation_failures},
          {"events_released", statistics.events_released},
          {"warnings", statistics.warnings},
          {"warnings_suppressed", statistics.warnings_suppressed}};
}

Json lbr_switches(const machine::HostActivity& host) {
  Json json = Json::array();
  for (unsigned cpu = 0; cpu < host.cpus(); ++cpu) {
    const hostperf::LbrSwitches switches = host.lbr_switches(cpu);
    json.push_back({{"cpu", cpu},
                    {"switches", switches.switches},
                    {"saved_msrs", switches.saved_msrs},
                    {"restored_msrs", switches.restored_msrs},
                    {"skipped_restores", switches.skipped_restores},
                    {"resets", switches.resets}});
  }
  return json;
}

bool offers_lbr(const machine::Machine& machine) {
  return std::ranges::any_of(machine.vcpus(),
                             [](const auto& vcpu) { return vcpu->lbr().offered(); });
}

std::string suppressed_lbr_warnings(const machine::Machine& machine) {
  std::string lines;
  for (const auto& vcpu : machine.vcpus()) {
    const std::uint64_t count = vcpu->lbr().statistics().warnings_suppressed;
    if (count == 0) continue;
    lines += fmt::format("vpmu: vCPU {}: {} more warnings about its LBRs were suppressed\n",
                         vcpu->index(), grouped(count));
  }
  return lines;
}

void LbrWarnings::lbr_lost(hostperf::VcpuIndex vcpu) {
  fmt::print(
      stderr,
      "vpmu: vCPU {}: the host has taken the LBRs: the guest reads zeros and records nothing "
      "until they come back\n",
      static_cast<std::uint32_t>(vcpu));
}

}  // namespace vpmu::cli
