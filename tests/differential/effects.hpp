// SPDX-License-Identifier: MIT
//
// Which flags an instruction reads, writes and leaves undefined: what is undefined is not compared,
// and nothing in a sequence may read it.
#pragma once

#include <cstdint>

#include "decoded.hpp"

namespace vpmu::differential {

struct FlagEffects {
  std::uint64_t reads = 0;
  std::uint64_t defines = 0;    ///< written with a defined value, whatever the operands
  std::uint64_t undefined = 0;  ///< may be left with any value
  std::uint16_t x87_reads = 0;  ///< the same for C0 to C3, in status word positions
  std::uint16_t x87_defines = 0;
  std::uint16_t x87_undefined = 0;
  bool result_undefined = false;  ///< not the flags only
};

/// `count`: CL before the instruction, for shifts and rotates by CL; negative if it is not known.
FlagEffects flag_effects(const Decoded& decoded, int count);

/// True if the result is an approximation, which differs from processor to processor (RCPPS, ...).
bool is_approximate(const Decoded& decoded);

/// True if processors differ in whether it leaves x87 for MMX state: CVTPI2PS from memory.
bool may_enter_mmx(const Decoded& decoded);

}  // namespace vpmu::differential
