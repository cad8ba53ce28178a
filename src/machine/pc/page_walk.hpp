// SPDX-License-Identifier: MIT
//
// A page walk to be read by people: every entry on the way from a linear address to its page, as
// they are in memory. Changes nothing and asks for no permission.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "machine/guest_memory.hpp"
#include "machine/x86/core.hpp"

namespace vpmu::machine {

struct PageWalkStep {
  const char* table;                   ///< "PML4E", "PDPTE", "PDE", "PTE"
  std::uint64_t address = 0;           ///< physical, of the entry
  std::optional<std::uint64_t> entry;  ///< nothing: the address is not RAM
};

struct PageWalk {
  std::vector<PageWalkStep> steps;        ///< empty if paging is off
  std::optional<std::uint64_t> physical;  ///< nothing: an entry is not present, or not in RAM
};

PageWalk walk_pages(const GuestMemory& memory, const x86::Core& core, std::uint64_t linear);

}  // namespace vpmu::machine
