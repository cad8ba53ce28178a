// SPDX-License-Identifier: MIT
//
// Numbers of the GIC architecture (Arm IHI 0069) that its parts here have in common: interrupt
// numbers (INTIDs), priorities, and the registers that identify a part.
#pragma once

#include <cstdint>

namespace vpmu::machine::gic {

// INTIDs: 0..15 are software-generated (SGI), 16..31 private to a vCPU (PPI), from 32 on shared
// (SPI).
constexpr unsigned kSgis = 16;
constexpr unsigned kFirstSpi = 32;
constexpr unsigned kSpis = 256;
constexpr unsigned kIntids = kFirstSpi + kSpis;
constexpr unsigned kFirstSpecial = 1020;
constexpr unsigned kSpurious = 1023;  ///< no interrupt

/// Priorities have five bits; lower is more important.
constexpr std::uint8_t kPriorityBits = 0xf8;
constexpr unsigned kPriorityShift = 3;
/// Of nobody: less important than every priority there is.
constexpr std::uint8_t kIdle = 0xff;

/// Sets of groups: bit 0 is group 0 (FIQ), bit 1 group 1 (IRQ).
constexpr unsigned kGroups = 3;

/// GICD_IIDR and GICR_IIDR: product 'V', revision 0, implementer Arm.
constexpr std::uint32_t kImplementer = 0x5600'043b;

/// PIDR4 at 0xffd0 to CIDR3 at 0xfffc, GICv3 in PIDR2; `part` is PIDR0.
constexpr std::uint64_t kIdentification = 0xffd0;
constexpr std::uint32_t identification(std::uint64_t offset, std::uint8_t part) {
  constexpr std::uint8_t kBytes[] = {0x44, 0x00, 0x00, 0x00, 0x00, 0xb4,
                                     0x3b, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
  const std::uint64_t index = (offset - kIdentification) / 4;
  return index == 4 ? part : kBytes[index];
}

}  // namespace vpmu::machine::gic
