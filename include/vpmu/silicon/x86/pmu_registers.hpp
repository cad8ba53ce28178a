// SPDX-License-Identifier: MIT
//
// The registers of Intel architectural performance monitoring, Intel SDM vol. 3B chapter 20. Which
// bits a guest may set depends on what it is offered: virt/x86 works that out from these fields.
#pragma once

#include <cstdint>

#include "vpmu/base/register.hpp"

namespace vpmu::silicon::x86 {

/// IA32_PERFEVTSELx, 20.2.1.1 (AnyThread: 20.2.3; IN_TX, IN_TXCP: 20.3.6.5).
struct EventSelect : Register<std::uint64_t> {
  static constexpr Field<7, 0> kEvent{};
  static constexpr Field<15, 8> kUnitMask{};
  static constexpr Field<16> kUsr{};         ///< count at CPL 1 to 3
  static constexpr Field<17> kOs{};          ///< count at CPL 0
  static constexpr Field<18> kEdge{};        ///< count rising edges of the condition
  static constexpr Field<19> kPinControl{};  ///< no effect
  static constexpr Field<20> kInt{};         ///< PMI on overflow
  static constexpr Field<21> kAnyThread{};   ///< versions 3 and 4
  static constexpr Field<22> kEn{};
  static constexpr Field<23> kInv{};  ///< invert the comparison with CMASK
  static constexpr Field<31, 24> kCmask{};
  static constexpr Field<32> kInTx{};    ///< with TSX: only inside transactions
  static constexpr Field<33> kInTxcp{};  ///< with TSX, counter 2 only: not what an abort undid

  /// What every version lets software write.
  static constexpr std::uint64_t kPlain =
      mask_of(kEvent, kUnitMask, kUsr, kOs, kEdge, kPinControl, kInt, kEn, kInv, kCmask);
  /// What is counted, as opposed to where and what happens on overflow.
  static constexpr std::uint64_t kCounted = mask_of(kEvent, kUnitMask, kEdge, kInv, kCmask);
  /// The same with TSX.
  static constexpr std::uint64_t kCountedTsx = kCounted | mask_of(kInTx, kInTxcp);

  static_assert(disjoint(kEvent, kUnitMask, kUsr, kOs, kEdge, kPinControl, kInt, kAnyThread, kEn,
                         kInv, kCmask, kInTx, kInTxcp));
  static_assert(~kPlain == 0xffff'ffff'0020'0000);
};

/// Four bits of IA32_FIXED_CTR_CTRL, 20.2.2: those of one fixed counter, moved to bit 0.
struct FixedControl : Register<std::uint64_t> {
  static constexpr Field<0> kOs{};
  static constexpr Field<1> kUsr{};
  static constexpr Field<2> kAnyThread{};  ///< versions 3 and 4
  static constexpr Field<3> kPmi{};        ///< PMI on overflow

  static constexpr unsigned kBits = 4;
  static constexpr std::uint64_t kPlain = mask_of(kOs, kUsr, kPmi);
  static constexpr std::uint64_t kEnable = mask_of(kOs, kUsr);
};

/// IA32_PERF_GLOBAL_STATUS, 20.2.2; IA32_PERF_GLOBAL_CTRL and IA32_PERF_GLOBAL_OVF_CTRL have the
/// counters' bits at the same places.
struct GlobalStatus : Register<std::uint64_t> {
  static constexpr unsigned kFixed0 = 32;  ///< bit of fixed counter 0; counter i has bit i
  static constexpr Field<55> kTopaPmi{};   ///< version 4: Intel PT
  static constexpr Field<58> kLbrFrz{};    ///< version 4: LBRs are frozen
  static constexpr Field<59> kCtrFrz{};    ///< version 4: counters are frozen
  static constexpr Field<60> kAsci{};      ///< version 4: an SGX enclave got in the way
  static constexpr Field<61> kUncore{};    ///< version 3: uncore counter overflow
  static constexpr Field<62> kOvfBuf{};    ///< DS buffer overflow
  static constexpr Field<63> kCondChgd{};
};

/// IA32_PERF_GLOBAL_INUSE, 20.2.4: the counters' bits are at the same places.
struct GlobalInuse : Register<std::uint64_t> {
  static constexpr Field<63> kPmi{};  ///< some counter interrupts
};

/// IA32_PERF_CAPABILITIES, 20.8.
struct PerfCapabilities : Register<std::uint64_t> {
  static constexpr Field<5, 0> kLbrFormat{};
  static constexpr Field<11, 8> kPebsFormat{};
  static constexpr Field<13> kFullWidthWrite{};  ///< IA32_A_PMCx exist
};

/// IA32_MISC_ENABLE, vol. 4 table 2-2.
struct MiscEnable : Register<std::uint64_t> {
  static constexpr Field<0> kFastStrings{};
  static constexpr Field<7> kPerformanceMonitoringAvailable{};  ///< read-only
  static constexpr Field<11> kBtsUnavailable{};                 ///< read-only
  static constexpr Field<12> kPebsUnavailable{};                ///< read-only
};

/// IA32_DEBUGCTL, 18.4.1.
struct DebugCtl : Register<std::uint64_t> {
  static constexpr Field<0> kLbr{};
  static constexpr Field<1> kBtf{};
  static constexpr Field<2> kBusLockDetect{};
  static constexpr Field<6> kTr{};
  static constexpr Field<7> kBts{};
  static constexpr Field<8> kBtint{};
  static constexpr Field<9> kBtsOffOs{};
  static constexpr Field<10> kBtsOffUsr{};
  static constexpr Field<11> kFreezeLbrsOnPmi{};
  static constexpr Field<12> kFreezePerfmonOnPmi{};
  static constexpr Field<14> kFreezeInSmm{};
  static constexpr Field<15> kRtm{};
};

/// ECX of RDPMC, vol. 2B.
struct RdpmcIndex : Register<std::uint32_t> {
  static constexpr Field<15, 0> kCounter{};
  static constexpr Field<31, 16> kType{};
  static constexpr std::uint32_t kGeneralPurpose = 0;
  static constexpr std::uint32_t kFixed = 0x4000;
};

/// CPUID leaf 0AH, vol. 2A.
struct Cpuid0aEax : Register<std::uint32_t> {
  static constexpr Field<7, 0> kVersion{};
  static constexpr Field<15, 8> kCounters{};
  static constexpr Field<23, 16> kWidth{};
  static constexpr Field<31, 24> kEventsLength{};  ///< valid bits of EBX
};
struct Cpuid0aEdx : Register<std::uint32_t> {
  static constexpr Field<4, 0> kFixedCounters{};
  static constexpr Field<12, 5> kFixedWidth{};
  static constexpr Field<15> kAnyThreadDeprecated{};
};

}  // namespace vpmu::silicon::x86
