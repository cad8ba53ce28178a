// SPDX-License-Identifier: MIT
//
// MSRs that only have to be there: memory types (PAT, MTRRs), microcode revision, feature control,
// machine check without banks, and what only one vendor has: platform information, feature control
// and SMI count on Intel, hardware and system configuration on AMD. Writes are checked as the
// manuals say (Intel SDM vol. 3A 12.11 and 12.12, vol. 4; AMD APM vol. 2 appendix A, PPRs); nothing
// else in the machine looks at the values.
#pragma once

#include <array>
#include <cstdint>

#include "vpmu/base/access.hpp"
#include "vpmu/base/numbers.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::machine {

class PlainMsrs {
 public:
  static constexpr unsigned kVariableRanges = 8;

  /// `hz`: of the TSC, for the ratio in MSR_PLATFORM_INFO.
  PlainMsrs(silicon::x86::Vendor vendor, std::uint64_t hz) : vendor_{vendor}, hz_{hz} {}

  /// not_mine() for an MSR that is not one of these.
  [[nodiscard]] Access read(MsrIndex msr) const;
  Access write(MsrIndex msr, std::uint64_t value);

  struct State {
    std::uint64_t pat = 0x0007040600070406;
    /// Write-back, enabled: as firmware leaves it.
    std::uint64_t mtrr_default_type = 0x806;
    std::array<std::uint64_t, 2 * kVariableRanges> mtrr_variable{};
    std::array<std::uint64_t, 11> mtrr_fixed{};
    std::uint64_t mcg_status = 0;
    // AMD
    std::uint64_t hwcr = 0;  ///< without what always reads as one
    std::uint64_t syscfg = 0;
    std::uint64_t nb_cfg = 0;
    std::uint64_t de_cfg = 0;  ///< likewise
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  Result<void> restore(const State& state);

 private:
  [[nodiscard]] Access read_intel(std::uint32_t index) const;
  Access write_intel(std::uint32_t index);
  [[nodiscard]] Access read_amd(std::uint32_t index) const;
  Access write_amd(std::uint32_t index, std::uint64_t value);

  silicon::x86::Vendor vendor_;
  std::uint64_t hz_;
  State state_;
};

}  // namespace vpmu::machine
