// SPDX-License-Identifier: MIT
#include "machine/x86/fp_environment.hpp"

namespace vpmu::machine::x86 {

bool deliver_unmasked(Core& core, const Op* op, std::uint32_t flags) {
  const std::uint32_t unmasked = flags & ~(core.mxcsr >> 7);
  // With an unmasked exception of the operands, no lane gets as far as a result.
  if (unmasked & kMxcsrPrecomputation) flags &= kMxcsrPrecomputation;
  core.mxcsr |= flags;
  raise(core, op, core.cr4 & kCr4Osxmmexcpt ? kSimdException : kInvalidOpcode);
  return false;
}

}  // namespace vpmu::machine::x86
