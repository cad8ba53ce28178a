// SPDX-License-Identifier: MIT
//
// What became of a guest's last branch records: for the report, and on standard error while the
// guest runs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "machine/machine.hpp"
#include "vpmu/virt/x86/lbr.hpp"

namespace vpmu::cli {

/// The field `lbr` of a vCPU that is offered last branch records.
nlohmann::ordered_json lbr_of_vcpu(const machine::Vcpu& vcpu);
/// The field `lbr_switches`: what moving records costs on each host CPU.
nlohmann::ordered_json lbr_switches(const machine::HostActivity& host);
/// Is any vCPU offered last branch records?
bool offers_lbr(const machine::Machine& machine);

/// Lines for standard error about warnings that were suppressed.
std::string suppressed_lbr_warnings(const machine::Machine& machine);

/// Says so on standard error when a guest has lost them.
class LbrWarnings final : public virt::x86::LbrObserver {
 public:
  void lbr_lost(hostperf::VcpuIndex vcpu) override;
};

}  // namespace vpmu::cli
