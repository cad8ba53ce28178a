// SPDX-License-Identifier: MIT
//
// What an instruction is, from its word: for records of sampled operations. Encodings as in the Arm
// ARM, C4.1.
#pragma once

#include <cstdint>
#include <optional>

#include "vpmu/silicon/arm64/spe_operation.hpp"

namespace vpmu::machine::arm64 {

/// As records of the Statistical Profiling Extension classify it.
[[nodiscard]] silicon::arm64::SpeOperationType operation_type(std::uint32_t word);

/// Conditional selects and compares: whether the condition is false with these flags. Nothing for
/// any other instruction, branches too.
[[nodiscard]] std::optional<bool> condition_fails(std::uint32_t word, std::uint32_t nzcv);

}  // namespace vpmu::machine::arm64
