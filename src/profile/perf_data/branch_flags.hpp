// SPDX-License-Identifier: MIT
//
// Flags of a branch as perf_branch_entry has them.
#pragma once

#include <cstdint>

#include "vpmu/silicon/x86/lbr_stack.hpp"

namespace vpmu::profile::perf_data {

namespace branch_flag {
inline constexpr std::uint64_t kMispredicted = 1 << 0, kPredicted = 1 << 1, kInTransaction = 1 << 2,
                               kAborted = 1 << 3;
inline constexpr unsigned kCyclesShift = 4, kTypeShift = 20;
inline constexpr std::uint64_t kCyclesMask = 0xffff, kTypeMask = 0xf;
}  // namespace branch_flag

/// PERF_BR_* by BranchType, four bits each. Far branches, interrupts and exceptions are one type to
/// the LBR: unknown, 0.
inline constexpr std::uint64_t kBranchTypes = [] {
  using silicon::x86::BranchType;
  std::uint64_t types = 0;
  const auto add = [&types](BranchType type, std::uint64_t perf_type) {
    types |= perf_type << 4 * static_cast<unsigned>(type);
  };
  add(BranchType::kConditional, 1);
  add(BranchType::kDirectJump, 2);
  add(BranchType::kIndirectJump, 3);
  add(BranchType::kDirectCall, 4);
  add(BranchType::kIndirectCall, 5);
  add(BranchType::kReturn, 6);
  return types;
}();

/// What the format of the record does not say is 0: unknown. Without a branch, since there are
/// dozens of records in a sample.
constexpr std::uint64_t branch_flags(const silicon::x86::LbrStack::Decoded& branch) {
  using silicon::x86::BranchType;
  const std::uint64_t cycles = branch.cycles.value_or(std::uint16_t{0});
  const auto type = static_cast<unsigned>(branch.type.value_or(BranchType::kOther));
  return std::uint64_t{branch.mispredicted} * branch_flag::kMispredicted |
         std::uint64_t{!branch.mispredicted} * branch_flag::kPredicted |
         std::uint64_t{branch.in_transaction} * branch_flag::kInTransaction |
         std::uint64_t{branch.aborted} * branch_flag::kAborted |
         cycles << branch_flag::kCyclesShift |
         (kBranchTypes >> 4 * type & branch_flag::kTypeMask) << branch_flag::kTypeShift;
}

}  // namespace vpmu::profile::perf_data
