// SPDX-License-Identifier: MIT
//
// A small machine for fuzz targets: 64-bit code at 1 MiB, no console, a limit on instructions.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "machine/machine.hpp"
#include "machine/silent_console.hpp"

namespace vpmu::fuzz {

inline constexpr std::uint64_t kEntry = 0x100000;

struct Setup {
  unsigned vcpus = 1;
  std::optional<virt::x86::PmuConfig> pmu;  ///< none: as the machine has it
  std::uint64_t instructions = 1'000;
  const silicon::x86::CpuModel* model = silicon::x86::cpu_models().front();
  std::vector<machine::HostEvent> host_events;
  std::optional<virt::x86::PvPerfConfig> pv_perf;  ///< none: not offered
};

/// Runs `code`; registers point into RAM, but for R8 to R15. Any way to end is fine. The first
/// vCPU's registers then.
inline std::array<std::uint64_t, 16> run(std::span<const std::uint8_t> code, const Setup& setup) {
  machine::SilentConsole console;
  machine::MachineConfig config;
  config.model = setup.model;
  config.vcpus = setup.vcpus;
  config.memory_bytes = std::uint64_t{4} << 20;
  config.pmu = setup.pmu;
  config.host_events = setup.host_events;
  config.pv_perf = setup.pv_perf;
  config.quantum = 100;
  const auto machine = machine::Machine::create(config, console);
  if (!machine) std::abort();
  machine::boot::Image image;
  image.protocol = machine::boot::Protocol::kFreestanding;
  image.entry = kEntry;
  image.segments.push_back({kEntry, code.size(), code});
  if (!(*machine)->load(image, {.image = "fuzz", .arguments = "", .modules = {}})) std::abort();
  auto& core = (*machine)->vcpus()[0]->cpu().core();
  for (const unsigned reg : {machine::x86::kRax, machine::x86::kRbx, machine::x86::kRbp,
                             machine::x86::kRsi, machine::x86::kRdi}) {
    core.gpr[reg] = 0x200000 + reg * 0x1000;
  }
  core.gpr[machine::x86::kRcx] = 3;
  (*machine)->run({.instructions = setup.instructions});
  std::array<std::uint64_t, 16> registers{};
  std::ranges::copy_n(std::begin(core.gpr), registers.size(), registers.begin());
  return registers;
}

}  // namespace vpmu::fuzz
