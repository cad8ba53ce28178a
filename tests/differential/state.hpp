// SPDX-License-Identifier: MIT
//
// What an instruction can read and change, in the layout that FXSAVE and signal frames use, and how
// running it ended.
#pragma once

#include <array>
#include <cstdint>

namespace vpmu::differential {

/// The 512 bytes of FXSAVE64. `st` counts from the top of the x87 stack, bit i of `tags` is set if
/// the physical register i is not empty.
struct alignas(16) FxImage {
  std::uint16_t control = 0x37f;
  std::uint16_t status = 0;
  std::uint8_t tags = 0;
  std::uint8_t reserved = 0;
  std::uint16_t last_opcode = 0;
  std::uint64_t last_instruction = 0;
  std::uint64_t last_data = 0;
  std::uint32_t mxcsr = 0x1f80;
  std::uint32_t mxcsr_mask = 0;
  std::array<std::array<std::uint8_t, 16>, 8> st{};
  std::array<std::array<std::uint8_t, 16>, 16> xmm{};
  std::array<std::uint8_t, 96> rest{};
};
static_assert(sizeof(FxImage) == 512);

struct CpuState {
  std::array<std::uint64_t, 16> gpr{};  ///< in encoding order: RAX, RCX, RDX, RBX, RSP, ...
  std::uint64_t rip = 0;
  std::uint64_t rflags = 0x202;
  FxImage fx;
};

/// How a run ended: always in an exception, if only the breakpoint behind the code.
struct Outcome {
  CpuState state;  ///< as the exception saved it
  std::uint8_t vector = 0;
  std::uint32_t error_code = 0;
  std::uint64_t address = 0;      ///< CR2, for a page fault
  const char* trouble = nullptr;  ///< not null: it did not end as it should have; says how
};

}  // namespace vpmu::differential
