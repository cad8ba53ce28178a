// SPDX-License-Identifier: MIT
//
// The registers of last branch records. IA32_DEBUGCTL and IA32_PERF_CAPABILITIES are in
// pmu_registers.hpp.
#pragma once

#include <cstdint>

#include "vpmu/base/register.hpp"

namespace vpmu::silicon::x86 {

/// LBR_SELECT: all but the last say what is not recorded. Intel SDM vol. 3B table 18-11.
struct LbrSelect : Register<std::uint64_t> {
  static constexpr Field<0> kCplEq0{};   ///< branches that end in ring 0
  static constexpr Field<1> kCplNeq0{};  ///< branches that end in rings 1 to 3
  static constexpr Field<2> kJcc{};
  static constexpr Field<3> kNearRelCall{};
  static constexpr Field<4> kNearIndCall{};
  static constexpr Field<5> kNearRet{};
  static constexpr Field<6> kNearIndJmp{};
  static constexpr Field<7> kNearRelJmp{};
  static constexpr Field<8> kFarBranch{};    ///< also interrupts and exceptions
  static constexpr Field<9> kEnCallStack{};  ///< since Haswell: returns take records off
  static constexpr std::uint64_t kAll = 0x3ff;
};

/// IA32_LBR_CTL: what is recorded. SDM vol. 3B 19.1.2.
struct LbrCtl : Register<std::uint64_t> {
  static constexpr Field<0> kEn{};
  static constexpr Field<1> kOs{};
  static constexpr Field<2> kUsr{};
  static constexpr Field<3> kCallStack{};
  static constexpr Field<16> kJcc{};
  static constexpr Field<17> kNearRelJmp{};
  static constexpr Field<18> kNearIndJmp{};
  static constexpr Field<19> kNearRelCall{};
  static constexpr Field<20> kNearIndCall{};
  static constexpr Field<21> kNearRet{};
  static constexpr Field<22> kOther{};
  static constexpr std::uint64_t kAll = 0x7f'000f;
};

/// What IA32_LBR_CTL asks for, and LBR_SELECT leaves out.
struct LbrFilterBit {
  std::uint64_t ctl, select;
};
inline constexpr LbrFilterBit kLbrFilterBits[] = {
    {mask_of(LbrCtl::kOs), mask_of(LbrSelect::kCplEq0)},
    {mask_of(LbrCtl::kUsr), mask_of(LbrSelect::kCplNeq0)},
    {mask_of(LbrCtl::kJcc), mask_of(LbrSelect::kJcc)},
    {mask_of(LbrCtl::kNearRelCall), mask_of(LbrSelect::kNearRelCall)},
    {mask_of(LbrCtl::kNearIndCall), mask_of(LbrSelect::kNearIndCall)},
    {mask_of(LbrCtl::kNearRet), mask_of(LbrSelect::kNearRet)},
    {mask_of(LbrCtl::kNearIndJmp), mask_of(LbrSelect::kNearIndJmp)},
    {mask_of(LbrCtl::kNearRelJmp), mask_of(LbrSelect::kNearRelJmp)},
    {mask_of(LbrCtl::kOther), mask_of(LbrSelect::kFarBranch)},
};

/// The LBR_SELECT that records what that IA32_LBR_CTL does, LBREn aside.
constexpr std::uint64_t lbr_select_of(LbrCtl ctl) {
  LbrSelect select;
  select.set(LbrSelect::kEnCallStack, ctl.get(LbrCtl::kCallStack));
  for (const LbrFilterBit& bit : kLbrFilterBits) {
    if ((ctl.raw & bit.ctl) == 0) select.raw |= bit.select;
  }
  return select.raw;
}

/// The IA32_LBR_CTL, with LBREn, that records what that LBR_SELECT does.
constexpr std::uint64_t lbr_ctl_of(LbrSelect select) {
  LbrCtl ctl{{mask_of(LbrCtl::kEn)}};
  ctl.set(LbrCtl::kCallStack, select.get(LbrSelect::kEnCallStack));
  for (const LbrFilterBit& bit : kLbrFilterBits) {
    if ((select.raw & bit.select) == 0) ctl.raw |= bit.ctl;
  }
  return ctl.raw;
}

/// INFO of formats 5 and 7 and of architectural LBRs.
struct LbrInfo : Register<std::uint64_t> {
  static constexpr Field<15, 0> kCycles{};    ///< since the record before; at most 0xffff
  static constexpr Field<59, 56> kType{};     ///< architectural only: a BranchType
  static constexpr Field<60> kCyclesValid{};  ///< architectural only
  static constexpr Field<61> kAbort{};
  static constexpr Field<62> kInTx{};
  static constexpr Field<63> kMispredicted{};
};

/// CPUID.1CH, SDM vol. 2A.
struct Cpuid1cEax : Register<std::uint32_t> {
  static constexpr Field<7, 0> kDepths{};
  static constexpr Field<30> kDeepCReset{};
  static constexpr Field<31> kLip{};  ///< records hold linear addresses
};
struct Cpuid1cEbx : Register<std::uint32_t> {
  static constexpr Field<0> kCplFilter{};
  static constexpr Field<1> kBranchFilter{};
  static constexpr Field<2> kCallStack{};
};
struct Cpuid1cEcx : Register<std::uint32_t> {
  static constexpr Field<0> kMispredicted{};
  static constexpr Field<1> kCycles{};
  static constexpr Field<2> kType{};
};

}  // namespace vpmu::silicon::x86
