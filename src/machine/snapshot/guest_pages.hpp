// SPDX-License-Identifier: MIT
//
// Which pages of guest RAM have something in them, without touching those that nobody ever touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "machine/guest_memory.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::snapshot {

/// Calls `take` with runs of pages that are not zero, in the order of their addresses, at most
/// `most_pages` at a time. Ends with the first error that it gives.
Result<void> for_each_run(
    const GuestMemory& memory, std::size_t most_pages,
    const std::function<Result<void>(std::uint64_t address, std::span<const std::uint8_t>)>& take);

}  // namespace vpmu::machine::snapshot
