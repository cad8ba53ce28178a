// SPDX-License-Identifier: MIT
//
// A CPU with RAM and nothing else, in 64-bit mode at CPL 0: for benchmarks of its parts.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "machine/code_pages.hpp"
#include "machine/guest_memory.hpp"
#include "machine/x86/cpu.hpp"
#include "machine/x86/no_devices.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::bench {

class BareCpu {
 public:
  static constexpr std::uint64_t kRam = 64ULL << 20;
  /// RAM is mapped one to one at 0 with pages of 4 KiB, and at kLarge with pages of 2 MiB.
  static constexpr std::uint64_t kLarge = 1ULL << 30;
  /// Page tables lie below.
  static constexpr std::uint64_t kFree = 1ULL << 20;

  BareCpu();

  machine::x86::Cpu& cpu() { return cpu_; }
  machine::x86::Core& core() { return cpu_.core(); }
  void write(std::uint64_t address, std::span<const std::uint8_t> bytes) {
    memory_.write(address, bytes);
  }

 private:
  void map();

  machine::GuestMemory memory_;
  machine::x86::NoDevices no_devices_;
  machine::CodePages code_pages_{kRam / 4096};
  silicon::RetireTotals totals_;
  silicon::Deadlines deadlines_{totals_};
  machine::x86::Cpu cpu_;
};

}  // namespace vpmu::bench
