// SPDX-License-Identifier: MIT
//
// Last branch records of every format, and what tests of them share.
#pragma once

#include "vpmu/silicon/x86/lbr_model.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"
#include "vpmu/silicon/x86/msrs.hpp"

namespace vpmu::silicon::x86 {

constexpr LbrModel legacy_model(LbrFormat format, std::uint8_t depth, bool tsx) {
  return {.format = format,
          .depth = depth,
          .call_stack = format != LbrFormat::kEipFlags,
          .tsx = tsx,
          .from = msr::MSR_LASTBRANCH_0_FROM_IP,
          .to = msr::MSR_LASTBRANCH_0_TO_IP,
          .info = format == LbrFormat::kInfo ? msr::MSR_LBR_INFO_0 : MsrIndex{0}};
}
inline constexpr LbrModel kFormat3 = legacy_model(LbrFormat::kEipFlags, 16, false);
inline constexpr LbrModel kFormat4 = legacy_model(LbrFormat::kEipFlags2, 16, false);
inline constexpr LbrModel kFormat4Tsx = legacy_model(LbrFormat::kEipFlags2, 16, true);
inline constexpr LbrModel kFormat5 = legacy_model(LbrFormat::kInfo, 32, false);
inline constexpr LbrModel kFormat5Tsx = legacy_model(LbrFormat::kInfo, 32, true);
inline constexpr LbrModel kArchitectural{.format = LbrFormat::kArchitectural,
                                         .depth = 32,
                                         .depths = 0b1011,
                                         .call_stack = true,
                                         .tsx = false,
                                         .from = msr::IA32_LBR_0_FROM_IP,
                                         .to = msr::IA32_LBR_0_TO_IP,
                                         .info = msr::IA32_LBR_0_INFO};
inline constexpr LbrModel kArchitecturalTsx = [] {
  LbrModel model = kArchitectural;
  model.tsx = true;
  return model;
}();

inline constexpr const LbrModel* kLegacyModels[] = {&kFormat3, &kFormat4, &kFormat4Tsx, &kFormat5,
                                                    &kFormat5Tsx};
inline constexpr const LbrModel* kArchitecturalModels[] = {&kArchitectural, &kArchitecturalTsx};
inline constexpr const LbrModel* kAllLbrModels[] = {
    &kFormat3,    &kFormat4,       &kFormat4Tsx,      &kFormat5,
    &kFormat5Tsx, &kArchitectural, &kArchitecturalTsx};

constexpr MsrIndex nth(MsrIndex first, unsigned n) {
  return MsrIndex{raw(first) + n};
}

inline constexpr BranchType kBranchTypes[] = {BranchType::kConditional, BranchType::kIndirectJump,
                                              BranchType::kDirectJump,  BranchType::kIndirectCall,
                                              BranchType::kDirectCall,  BranchType::kReturn,
                                              BranchType::kOther};

/// IA32_LBR_CTL that lets everything pass.
inline constexpr std::uint64_t kCaptureAll = 0x7f'0007;

/// Lets a stack of any kind record every branch.
inline void accept_all(LbrStack& stack) {
  if (stack.model().architectural()) stack.write(msr::IA32_LBR_CTL, kCaptureAll);
}
/// Call-stack mode for both privileges.
inline void keep_call_stack(LbrStack& stack) {
  if (stack.model().architectural()) {
    stack.write(msr::IA32_LBR_CTL, 0x38'000f);
  } else {
    stack.write(msr::MSR_LBR_SELECT, 0x3c4);
  }
}

}  // namespace vpmu::silicon::x86
