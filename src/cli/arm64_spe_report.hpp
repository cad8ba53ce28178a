// SPDX-License-Identifier: MIT
//
// What a guest did with statistical profiling of its own, and what that cost its hypervisor: for
// the report, and on standard error.
#pragma once

#include <deque>
#include <nlohmann/json.hpp>
#include <string>

#include "machine/arm64_board/machine.hpp"
#include "vpmu/virt/arm64/spe_observer.hpp"

namespace vpmu::cli {

/// The field `spe` of a report on a guest that has it: what it is offered.
nlohmann::ordered_json spe_offer(const machine::arm64::Machine& machine);
/// The field `spe` of a vCPU that has it.
nlohmann::ordered_json spe_of_vcpu(const machine::arm64::GuestSpe& spe);
/// Lines for people, for each vCPU that has touched its SPE.
std::string spe_summary(const machine::arm64::Machine& machine);

/// A line, with its end, on what has gone wrong with a vCPU's buffer.
std::string spe_warning(unsigned vcpu, const virt::arm64::SpeTrouble& trouble);

/// Prints those on standard error as they come.
class SpeWarnings {
 public:
  /// Of all vCPUs that have SPE, from now on. Must outlive the machine's runs.
  void attach(machine::arm64::Machine& machine);

 private:
  class OfVcpu final : public virt::arm64::SpeObserver {
   public:
    explicit OfVcpu(unsigned vcpu) : vcpu_{vcpu} {}
    void spe_trouble(const virt::arm64::SpeTrouble& trouble) override;

   private:
    const unsigned vcpu_;
  };

  std::deque<OfVcpu> vcpus_;
};

}  // namespace vpmu::cli
