// SPDX-License-Identifier: MIT
//
// Assertions that stay on in every build: for states that no guest and no user can bring about. A
// failed one stops the process at once, without output, allocation or unwinding.
#pragma once

namespace vpmu {

constexpr void ensure(bool possible) {
  if (!possible) [[unlikely]]
    __builtin_trap();
}

}  // namespace vpmu
