// SPDX-License-Identifier: MIT
//
// What somebody wants a guest's PMU to be, out of what a CPU model's is: any version up to the
// model's, fewer or narrower counters, features that KVM's guests do not get. What the silicon or
// the architecture does not allow is refused with the reason.
#pragma once

#include <optional>

#include "vpmu/base/result.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/pmu_config.hpp"

namespace vpmu::virt::x86 {

/// Named as on the command line. What is left out is the model's: with no version as KVM would give
/// it (version 2 at most; with architectural LBRs the least that has them, 4), up to 3 fixed
/// counters below version 5, full-width writes, none of the other features but core extension.
struct PmuRequest {
  std::optional<unsigned> version{};
  std::optional<unsigned> gp{};           ///< counters
  std::optional<unsigned> fixed{};        ///< counters
  std::optional<unsigned> width{};        ///< bits
  std::optional<unsigned> fixed_width{};  ///< bits
  std::optional<bool> full_width{};       ///< Intel: IA32_A_PMCx
  std::optional<bool> freeze{};           ///< Intel: PmuConfig::freeze_on_pmi
  std::optional<bool> any_thread{};       ///< Intel, versions 3 and 4: AnyThread bits
  std::optional<bool> lbr{};              ///< Intel: last branch records (lbr.hpp)
  std::optional<bool> host_guest_only{};  ///< AMD: PmuConfig::host_guest_only
  std::optional<bool> core_extension{};   ///< AMD

  friend bool operator==(const PmuRequest&, const PmuRequest&) = default;
};

/// Errors start with the key that cannot be had, as `version=6: ...`.
Result<PmuConfig> restrict_pmu(const silicon::x86::CpuModel& model, const PmuRequest& request);

}  // namespace vpmu::virt::x86
