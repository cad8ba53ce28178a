// SPDX-License-Identifier: MIT
#include "machine/pc/page_walk.hpp"

#include <cstring>
#include <span>

namespace vpmu::machine {

namespace {
/// One level of tables: which bits of the address index it, and whether its entries may map pages.
struct Level {
  const char* table;
  unsigned shift;
  unsigned index_bits;
  bool may_map;
};

constexpr Level kLongMode[] = {
    {"PML4E", 39, 9, false}, {"PDPTE", 30, 9, true}, {"PDE", 21, 9, true}, {"PTE", 12, 9, true}};
constexpr Level kPae[] = {{"PDPTE", 30, 2, false}, {"PDE", 21, 9, true}, {"PTE", 12, 9, true}};
constexpr Level kTwoLevel[] = {{"PDE", 22, 10, true}, {"PTE", 12, 10, true}};

constexpr std::uint64_t kPresent = 1;
constexpr std::uint64_t kPageSize = 1 << 7;
constexpr std::uint64_t kAddressBits = 0x000f'ffff'ffff'f000;

std::span<const Level> levels_of(const x86::Core& core) {
  if (core.long_mode()) return kLongMode;
  if ((core.cr4 & x86::kCr4Pae) != 0) return kPae;
  return kTwoLevel;
}
}  // namespace

PageWalk walk_pages(const GuestMemory& memory, const x86::Core& core, std::uint64_t linear) {
  PageWalk walk;
  if ((core.cr0 & x86::kCr0Pg) == 0) {
    walk.physical = linear;
    return walk;
  }
  const std::span<const Level> levels = levels_of(core);
  const bool narrow = levels.data() == kTwoLevel;
  const unsigned entry_bytes = narrow ? 4 : 8;
  std::uint64_t table = core.cr3 & (levels.data() == kPae ? 0xffff'ffe0 : kAddressBits);
  for (const Level& level : levels) {
    const std::uint64_t index = linear >> level.shift & ((1u << level.index_bits) - 1);
    PageWalkStep step{level.table, table + index * entry_bytes, std::nullopt};
    if (const std::uint8_t* host = memory.host(step.address, entry_bytes)) {
      std::uint64_t entry = 0;
      std::memcpy(&entry, host, entry_bytes);
      step.entry = entry;
    }
    walk.steps.push_back(step);
    if (!step.entry || (*step.entry & kPresent) == 0) return walk;
    const bool last = &level == &levels.back();
    if (last || (level.may_map && (*step.entry & kPageSize) != 0)) {
      const std::uint64_t in_page = (std::uint64_t{1} << level.shift) - 1;
      walk.physical = (*step.entry & kAddressBits & ~in_page) | (linear & in_page);
      return walk;
    }
    table = *step.entry & kAddressBits;
  }
  return walk;
}

}  // namespace vpmu::machine
