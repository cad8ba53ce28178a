// SPDX-License-Identifier: MIT
//
// What the host programs its last branch records with for an event of its own.
#pragma once

#include <cstdint>
#include <optional>

#include "vpmu/silicon/x86/lbr_model.hpp"

namespace vpmu::hostperf {

/// LBR_SELECT, or IA32_LBR_CTL of architectural LBRs, for an EventAttr::branch_type. Empty: not a
/// valid one, or the model cannot do that.
///
/// kBranchAnyCall and kBranchAnyReturn take far branches in, since there are far calls and returns;
/// no filter of the hardware's tells them from interrupts.
std::optional<std::uint64_t> branch_filter(std::uint32_t branch_type,
                                           const silicon::x86::LbrModel& model);

}  // namespace vpmu::hostperf
