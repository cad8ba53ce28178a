// SPDX-License-Identifier: MIT
#include "machine/x86/translate.hpp"
namespace vpmu::machine::x86 {
bool translate_x87(const Instruction&, Translation&) {
  return false;
}
}  // namespace vpmu::machine::x86
