// SPDX-License-Identifier: MIT
//
// The registers of AMD performance monitoring, APM vol. 2 section 13.2: what differs from Intel's
// (pmu_registers.hpp).
#pragma once

#include <cstdint>

#include "vpmu/base/register.hpp"

namespace vpmu::silicon::x86 {

/// PERF_CTLx, 13.2.1: PerfEvtSel of K7, core and PerfMonV2 counters.
struct AmdEventSelect : Register<std::uint64_t> {
  static constexpr Field<7, 0> kEvent{};  ///< bits 7:0 of the event select
  static constexpr Field<15, 8> kUnitMask{};
  static constexpr Field<16> kUsr{};   ///< count at CPL 1 to 3
  static constexpr Field<17> kOs{};    ///< count at CPL 0
  static constexpr Field<18> kEdge{};  ///< count rising edges of the condition
  static constexpr Field<20> kInt{};   ///< interrupt on overflow
  static constexpr Field<22> kEn{};
  static constexpr Field<23> kInv{};  ///< invert the comparison with the count mask
  static constexpr Field<31, 24> kCmask{};
  static constexpr Field<35, 32> kEventHigh{};  ///< bits 11:8 of the event select
  static constexpr Field<40> kGuestOnly{};
  static constexpr Field<41> kHostOnly{};

  /// What is counted, as opposed to where and what happens on overflow.
  static constexpr std::uint64_t kCounted =
      mask_of(kEvent, kUnitMask, kEdge, kInv, kCmask, kEventHigh);

  /// What a guest's write keeps; all else is dropped. Guest-Only and Host-Only where they are
  /// offered.
  static constexpr std::uint64_t kPlain = kCounted | mask_of(kUsr, kOs, kInt, kEn);

  static_assert(disjoint(kEvent, kUnitMask, kUsr, kOs, kEdge, kInt, kEn, kInv, kCmask, kEventHigh,
                         kGuestOnly, kHostOnly));
  static_assert(~kPlain == 0xffff'fff0'0028'0000);
};

/// CPUID leaf 80000022H, APM vol. 3.
struct Cpuid80000022Eax : Register<std::uint32_t> {
  static constexpr Field<0> kPerfMonV2{};
};
struct Cpuid80000022Ebx : Register<std::uint32_t> {
  static constexpr Field<3, 0> kCoreCounters{};
};

}  // namespace vpmu::silicon::x86
