// SPDX-License-Identifier: MIT
//
// What happens at branches while somebody counts mispredictions.
#pragma once

#include <cstdint>

#include "machine/x86/core.hpp"

namespace vpmu::machine::x86 {

/// The terminator of Core::block, a near branch, goes to `to`.
[[gnu::noinline]] void observe_branch(Core& core, bool taken, std::uint64_t to);

}  // namespace vpmu::machine::x86
