// SPDX-License-Identifier: MIT
//
// Goes through all encodings of MMX and SSE instructions, and makes random states for them.
#pragma once

#include <functional>
#include <span>

#include "unit/x86_simd/simd_fixture.hpp"

namespace vpmu::machine::x86::testing {

using Visit = std::function<void(const Decoded&, std::span<const std::uint8_t> code)>;

/// Every MMX and SSE encoding of the two- and three-byte opcode maps, several times: with a memory
/// operand and with registers, not with RSP.
void for_each_simd_encoding(Values& values, const Visit& visit);

/// Can the host run instructions of this set?
bool host_has(ZydisISASet isa);

/// All exceptions masked.
State random_simd_state(Values& values, const Buffer& buffer);
void fill_operand(Values& values, const Buffer& buffer);

}  // namespace vpmu::machine::x86::testing
