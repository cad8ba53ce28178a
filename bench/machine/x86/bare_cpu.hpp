// SPDX-License-Identifier: MIT
//
// A CPU with RAM and nothing else, in 64-bit mode at CPL 0: for benchmarks of its parts.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "machine/guest_memory.hpp"
#include "machine/x86/code_pages.hpp"
#include "machine/x86/cpu.hpp"
#include "machine/x86/environment.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::bench {

/// A machine without devices.
class NoDevices final : public machine::x86::Environment {
 public:
  machine::x86::CpuidResult cpuid(std::uint32_t, std::uint32_t) override { return {}; }
  Access read_msr(MsrIndex) override { return Access::not_mine(); }
  Access write_msr(MsrIndex, std::uint64_t) override { return Access::not_mine(); }
  Access rdpmc(std::uint32_t, bool) override { return Access::fault(); }
  std::uint32_t read_port(std::uint16_t, unsigned) override { return 0; }
  void write_port(std::uint16_t, unsigned, std::uint32_t) override {}
  std::uint64_t read_mmio(std::uint64_t, unsigned) override { return 0; }
  void write_mmio(std::uint64_t, unsigned, std::uint64_t) override {}
  std::uint64_t now() override { return 0; }
  Access hypercall(const std::array<std::uint64_t, 5>&) override { return Access::not_mine(); }
  bool interrupt_waiting() override { return false; }
  std::uint8_t acknowledge_interrupt() override { return 0; }
  std::uint8_t task_priority() override { return 0; }
  void set_task_priority(std::uint8_t) override {}
};

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
  NoDevices no_devices_;
  machine::x86::CodePages code_pages_{kRam / 4096};
  silicon::RetireTotals totals_;
  silicon::Deadlines deadlines_{totals_};
  machine::x86::Cpu cpu_;
};

}  // namespace vpmu::bench
