// SPDX-License-Identifier: MIT
//
// MSRs that only have to be there: memory types (PAT, MTRRs), microcode revision, feature control,
// machine check without banks, platform information. Writes are checked as the manual says (Intel
// SDM vol. 3A 12.11 and 12.12, vol. 4); nothing else in the machine looks at the values.
#pragma once

#include <array>
#include <cstdint>

#include "vpmu/base/access.hpp"
#include "vpmu/base/numbers.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

class PlainMsrs {
 public:
  static constexpr unsigned kVariableRanges = 8;

  /// `hz`: of the TSC, for the ratio in MSR_PLATFORM_INFO.
  explicit PlainMsrs(std::uint64_t hz) : hz_{hz} {}

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
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  Result<void> restore(const State& state);

 private:
  std::uint64_t hz_;
  State state_;
};

}  // namespace vpmu::machine
