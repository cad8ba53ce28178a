// SPDX-License-Identifier: MIT
//
// The state of the first vCPU when its guest image begins, as plain values, and how it gets into a
// CPU. Registers that are not named are zero; interrupts are off; segments are flat.
#pragma once

#include <cstdint>
#include <string>

#include "machine/boot/image.hpp"

namespace vpmu::machine::x86 {
struct Core;
}

namespace vpmu::machine::boot {

/// Selectors in the descriptor table that every protocol finds in GDTR.
inline constexpr std::uint16_t kCode32Selector = 0x08;
inline constexpr std::uint16_t kDataSelector = 0x10;
inline constexpr std::uint16_t kCode64Selector = 0x18;
inline constexpr std::uint16_t kTssSelector = 0x20;

struct BootState {
  Protocol protocol = Protocol::kMultiboot;
  bool long_mode = false;  ///< 64-bit code with paging on; otherwise 32-bit code without
  std::uint64_t rip = 0;
  std::uint64_t rsp = 0;
  std::uint64_t rax = 0;
  std::uint64_t rbx = 0;
  std::uint64_t rdi = 0;
  std::uint64_t rsi = 0;
  std::uint64_t cr3 = 0;        ///< with long_mode: the identity map of the low 4 GiB
  std::uint64_t gdt = 0;        ///< five descriptors
  std::uint64_t tss = 0;        ///< a 32-bit (long mode: 64-bit) TSS, all zero
  std::uint64_t boot_area = 0;  ///< start of what was placed below the end of low RAM
};

/// Size of the descriptor table at BootState::gdt, in bytes (the TSS descriptor takes two slots).
inline constexpr std::uint16_t kGdtBytes = 48;

/// Puts the state into a CPU that was just reset. The caller then tells the CPU (state_changed()).
void apply(const BootState& state, x86::Core& core);

}  // namespace vpmu::machine::boot
