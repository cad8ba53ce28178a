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

/// PERF_BR_*. Far branches, interrupts and exceptions are one type to the LBR: unknown.
constexpr std::uint64_t branch_type(silicon::x86::BranchType type) {
  using silicon::x86::BranchType;
  switch (type) {
    case BranchType::kConditional: return 1;
    case BranchType::kDirectJump: return 2;
    case BranchType::kIndirectJump: return 3;
    case BranchType::kDirectCall: return 4;
    case BranchType::kIndirectCall: return 5;
    case BranchType::kReturn: return 6;
    case BranchType::kOther: break;
  }
  return 0;
}

/// What the format of the record does not say is 0: unknown.
constexpr std::uint64_t branch_flags(const silicon::x86::LbrStack::Decoded& branch) {
  std::uint64_t flags = branch.mispredicted ? branch_flag::kMispredicted : branch_flag::kPredicted;
  if (branch.in_transaction) flags |= branch_flag::kInTransaction;
  if (branch.aborted) flags |= branch_flag::kAborted;
  flags |= std::uint64_t{branch.cycles.value_or(0)} << branch_flag::kCyclesShift;
  if (branch.type) flags |= branch_type(*branch.type) << branch_flag::kTypeShift;
  return flags;
}

}  // namespace vpmu::profile::perf_data
