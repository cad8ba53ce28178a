// SPDX-License-Identifier: MIT
//
// One thing to compare: some code, and the state and memory it starts from.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "state.hpp"
#include "window.hpp"

namespace vpmu::differential {

struct TestCase {
  struct Instruction {
    std::uint8_t offset = 0;  ///< in `code`
    std::uint8_t length = 0;
    // What is undefined before it runs:
    std::uint64_t undefined_flags = 0;
    std::uint16_t undefined_x87 = 0;
  };

  CpuState input;  ///< rip: where the code is
  std::vector<std::uint8_t> code;
  std::vector<Instruction> instructions;
  std::uint64_t undefined_flags = 0;  ///< behind the last instruction
  std::uint16_t undefined_x87 = 0;
  std::array<std::uint8_t, kDataBytes> data;

  /// Memory whose contents behind the run are not defined (x87 instruction pointers).
  struct Range {
    std::uint64_t address = 0;
    std::uint64_t bytes = 0;
  };
  std::vector<Range> ignored;
};

}  // namespace vpmu::differential
