// SPDX-License-Identifier: MIT
//
// An Environment with nothing in it: a CPU and its RAM, for tests and benchmarks. Derive from it to
// add what a guest needs.
#pragma once

#include <cstdint>

#include "machine/x86/environment.hpp"

namespace vpmu::machine::x86 {

class NoDevices final : public Environment {
 public:
  CpuidResult cpuid(std::uint32_t, std::uint32_t) override { return {}; }
  Access read_msr(MsrIndex) override { return Access::not_mine(); }
  Access write_msr(MsrIndex, std::uint64_t) override { return Access::not_mine(); }
  Access rdpmc(std::uint32_t, bool) override { return Access::fault(); }
  std::uint32_t read_port(std::uint16_t, unsigned) override { return 0; }
  void write_port(std::uint16_t, unsigned, std::uint32_t) override {}
  std::uint64_t read_mmio(std::uint64_t, unsigned) override { return 0; }
  void write_mmio(std::uint64_t, unsigned, std::uint64_t) override {}
  std::uint64_t now() override { return 0; }
  Access hypercall(const Hypercall&) override { return Access::not_mine(); }
  bool interrupt_waiting() override { return false; }
  std::uint8_t acknowledge_interrupt() override { return 0; }
  std::uint8_t task_priority() override { return 0; }
  void set_task_priority(std::uint8_t) override {}
};

}  // namespace vpmu::machine::x86
