// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace vpmu::machine {

/// Of a guest's CPUs, and so of its machine.
enum class Architecture : std::uint8_t { kX86, kArm64 };

/// "x86-64" or "arm64".
constexpr const char* name(Architecture architecture) {
  return architecture == Architecture::kArm64 ? "arm64" : "x86-64";
}

}  // namespace vpmu::machine
