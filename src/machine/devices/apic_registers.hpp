// SPDX-License-Identifier: MIT
//
// Registers of the local APIC: offsets in its page (x2APIC: MSR 0x800 + offset / 16) and bits,
// Intel SDM vol. 3A chapter 11.
#pragma once

#include <cstdint>

#include "vpmu/base/register.hpp"

namespace vpmu::machine::apic {

inline constexpr std::uint32_t kId = 0x20, kVersion = 0x30, kTaskPriority = 0x80,
                               kArbitrationPriority = 0x90, kProcessorPriority = 0xa0, kEoi = 0xb0,
                               kRemoteRead = 0xc0, kLogicalDestination = 0xd0,
                               kDestinationFormat = 0xe0, kSpurious = 0xf0, kInService = 0x100,
                               kTriggerMode = 0x180, kRequest = 0x200, kErrorStatus = 0x280,
                               kLvtCmci = 0x2f0, kCommandLow = 0x300, kCommandHigh = 0x310,
                               kLvtTimer = 0x320, kLvtThermal = 0x330, kLvtPerformance = 0x340,
                               kLvtLint0 = 0x350, kLvtLint1 = 0x360, kLvtError = 0x370,
                               kInitialCount = 0x380, kCurrentCount = 0x390, kDivide = 0x3e0,
                               kSelfIpi = 0x3f0;

inline constexpr std::uint32_t kMsrBase = 0x1b, kMsrTscDeadline = 0x6e0, kMsrX2ApicFirst = 0x800,
                               kMsrX2ApicLast = 0x8ff;

/// IA32_APIC_BASE.
struct Base : Register<std::uint64_t> {
  static constexpr Field<8> kBsp{};
  static constexpr Field<10> kExtd{};
  static constexpr Field<11> kEn{};
  static constexpr Field<51, 12> kAddress{};
};

/// Local vector table entry.
struct Lvt : Register<std::uint32_t> {
  static constexpr Field<7, 0> kVector{};
  static constexpr Field<10, 8> kDeliveryMode{};
  static constexpr Field<12> kDeliveryStatus{};  // read-only, always idle here
  static constexpr Field<13> kPolarity{};
  static constexpr Field<14> kRemoteIrr{};  // read-only
  static constexpr Field<15> kLevel{};
  static constexpr Field<16> kMask{};
  static constexpr Field<18, 17> kTimerMode{};
};

/// Interrupt command register.
struct Command : Register<std::uint64_t> {
  static constexpr Field<7, 0> kVector{};
  static constexpr Field<10, 8> kDeliveryMode{};
  static constexpr Field<11> kLogical{};
  static constexpr Field<12> kDeliveryStatus{};  // always idle here; x2APIC: gone
  static constexpr Field<14> kAssert{};
  static constexpr Field<15> kLevel{};
  static constexpr Field<19, 18> kShorthand{};
  static constexpr Field<63, 32> kDestination{};
  static constexpr Field<63, 56> kNarrowDestination{};
  static constexpr std::uint64_t kLowBits =
      mask_of(kVector, kDeliveryMode, kLogical, kAssert, kLevel, kShorthand);
};

/// Spurious interrupt vector register.
struct Spurious : Register<std::uint32_t> {
  static constexpr Field<7, 0> kVector{};
  static constexpr Field<8> kEnable{};
  static constexpr Field<12> kSuppressEoiBroadcast{};
  static constexpr std::uint32_t kBits = mask_of(kVector, kEnable, kSuppressEoiBroadcast);
};

/// Error status register.
inline constexpr std::uint32_t kSendIllegalVector = 1U << 5, kReceiveIllegalVector = 1U << 6,
                               kIllegalRegister = 1U << 7;

}  // namespace vpmu::machine::apic
