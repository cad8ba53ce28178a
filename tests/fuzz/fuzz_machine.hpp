// SPDX-License-Identifier: MIT
//
// A small machine for fuzz targets: 64-bit code at 1 MiB, no console, a limit on instructions.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "machine/machine.hpp"

namespace vpmu::fuzz {

class NoConsole final : public machine::Console {
 public:
  void put(std::uint8_t) override {}
  std::optional<std::uint8_t> next_input() override { return std::nullopt; }
  bool wait_for_input() override { return false; }
  void flush() override {}
};

inline constexpr std::uint64_t kEntry = 0x100000;

/// Runs `code` on `vcpus` vCPUs; registers point into RAM. Any way to end is fine.
inline void run(std::span<const std::uint8_t> code, unsigned vcpus, bool pmu,
                std::uint64_t instructions,
                const silicon::x86::CpuModel& model = *silicon::x86::cpu_models().front()) {
  NoConsole console;
  machine::MachineConfig config;
  config.model = &model;
  config.vcpus = vcpus;
  config.memory_bytes = std::uint64_t{4} << 20;
  if (!pmu) config.pmu = virt::x86::no_pmu(config.model->vendor);
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
  (*machine)->run({.instructions = instructions});
}

}  // namespace vpmu::fuzz
