// SPDX-License-Identifier: MIT
//
// Where the devices of the arm64 board are, and which interrupts they have: what the board wires up
// is what the device tree says. As on QEMU's "virt", so that an image runs on both.
#pragma once

#include <cstdint>

#include "machine/guest_memory.hpp"

namespace vpmu::machine::arm64_map {

/// A range of physical addresses.
struct Range {
  std::uint64_t begin;
  std::uint64_t length;
};

inline constexpr unsigned kMaxVcpus = 8;

inline constexpr Range kDistributor{0x0800'0000, 0x1'0000};
/// Two frames for each vCPU, by its number.
inline constexpr std::uint64_t kRedistributorBytes = 0x2'0000;
inline constexpr Range kRedistributors{0x080a'0000, kMaxVcpus* kRedistributorBytes};
inline constexpr Range kPl011{0x0900'0000, 0x1000};
inline constexpr Range kExitDevice{0x090f'0000, 0x1000};
inline constexpr std::uint64_t kRam = kArmMemory.begin;

/// Interrupt IDs (INTID): a vCPU's own (PPI) from 16 on, those that all share (SPI) from 32 on.
inline constexpr std::uint32_t kFirstPpi = 16;
inline constexpr std::uint32_t kFirstSpi = 32;
inline constexpr std::uint32_t kPmuInterrupt = 23;
inline constexpr std::uint32_t kSpeInterrupt = 21;
inline constexpr std::uint32_t kHypervisorTimerInterrupt = 26;  ///< that nobody raises: no EL2
inline constexpr std::uint32_t kVirtualTimerInterrupt = 27;
inline constexpr std::uint32_t kSecureTimerInterrupt = 29;  ///< that nobody raises: no EL3
inline constexpr std::uint32_t kPhysicalTimerInterrupt = 30;
inline constexpr std::uint32_t kPl011Interrupt = 33;

}  // namespace vpmu::machine::arm64_map
