// SPDX-License-Identifier: MIT
//
// Random last branch record registers, values for them, and branches.
#pragma once

#include <cstdint>
#include <string>

#include "property/choices.hpp"
#include "vpmu/silicon/x86/lbr_model.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"

namespace vpmu::property {

/// A register of these records, and now and then a neighbour or one of another family.
std::uint32_t draw_lbr_msr(Choices& choices, const silicon::x86::LbrModel& model);
/// Mostly what the register takes.
std::uint64_t draw_lbr_value(Choices& choices, const silicon::x86::LbrModel& model,
                             std::uint32_t msr);

/// What fits into a draw of 32 bits, so that operations can hold it: type, privilege, flags, where
/// it goes to and how long after the one before. branch_of() makes the branch of it.
std::uint32_t draw_branch(Choices& choices);
/// Between addresses whose bits 39 to 32 are `mark`, above bit 47 as the privilege has it; every
/// `place` (24 bits) is an address of its own. `cycle` is the branch's, which is
/// `cycles_before(drawn)` behind the one before.
silicon::x86::TakenBranch branch_of(std::uint32_t drawn, std::uint8_t mark, std::uint32_t place,
                                    std::uint64_t cycle);
/// vCPU n's branches have this and n more; what only the host may see the other.
inline constexpr std::uint8_t kFirstGuestMark = 1, kHostMark = 0xe7;
/// The mark of an address, or of a FROM register.
constexpr std::uint8_t mark_of(std::uint64_t address) {
  return static_cast<std::uint8_t>(address >> 32);
}
std::uint64_t cycles_before(std::uint32_t drawn);
std::string describe_branch(std::uint32_t drawn);

}  // namespace vpmu::property
