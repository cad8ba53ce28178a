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
