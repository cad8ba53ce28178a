// SPDX-License-Identifier: MIT
//
// Everything of an AArch64 CPU that moves with a guest: what Cpu::save() gives and Cpu::restore()
// takes. Plain values. Totals, deadlines, the PMU, the interrupt controller and memory have states
// of their own; translations and compiled code are made anew.
#pragma once

#include <array>
#include <cstdint>

#include "machine/arm64/core.hpp"
#include "vpmu/silicon/branch_predictor.hpp"

namespace vpmu::machine::arm64 {

/// What the CPU waits for.
enum class Sleep : std::uint8_t {
  kAwake,
  kInterrupt,  ///< WFI
  kEvent,      ///< WFE
};

/// The exclusive access that a store-exclusive may complete.
struct ExclusiveState {
  bool held = false;
  std::uint64_t address = 0;                 ///< virtual, as the load had it
  std::array<std::uint64_t, 2> loaded = {};  ///< what memory has to hold still

  friend bool operator==(const ExclusiveState&, const ExclusiveState&) = default;
};

/// The registers that instructions work with.
struct RegisterState {
  std::array<std::uint64_t, 31> x{};
  std::uint64_t sp = 0;  ///< the one in use
  std::uint64_t pc = 0;
  std::uint32_t nzcv = 0;  ///< in bits 31:28
  std::uint32_t fpcr = 0, fpsr = 0;
  std::array<std::array<std::uint64_t, 2>, 32> v{};  ///< low half first

  friend bool operator==(const RegisterState&, const RegisterState&) = default;
};

/// What memory held where a CPU in WFE watches it: it wakes when that is written to.
struct Watched {
  bool watching = false;
  std::uint64_t physical = 0;  ///< a multiple of 16
  std::array<std::uint64_t, 2> held = {};

  friend bool operator==(const Watched&, const Watched&) = default;
};

struct CpuState {
  Core core;
  RegisterState registers;
  bool powered = false;
  Sleep sleep = Sleep::kAwake;
  bool event = false;  ///< the event register
  /// An exception has been taken, and nothing has retired since.
  bool delivered = false;
  ExclusiveState exclusive;
  Watched watched;
  silicon::BranchPredictor::State predictor;

  friend bool operator==(const CpuState&, const CpuState&) = default;
};

}  // namespace vpmu::machine::arm64
