// SPDX-License-Identifier: MIT
#include "consumers/spe_truth/page_walk.hpp"

#include <cstring>

namespace vpmu::machine::arm64 {

namespace {

constexpr unsigned kAddressBits = 48;

constexpr std::uint64_t ones(unsigned count) {
  return (std::uint64_t{1} << count) - 1;
}

/// One of the two halves of the address space, as TTBRn_EL1 and TCR_EL1 describe it.
struct Half {
  std::uint64_t table = 0;
  unsigned input_bits = 0;    ///< of addresses
  unsigned granule_bits = 0;  ///< of offsets in a page
};

Half half_of(const Core& core, bool upper) {
  // TG0 and TG1 number the granules differently.
  constexpr unsigned kLowerGranules[] = {12, 16, 14, 0}, kUpperGranules[] = {0, 14, 12, 16};
  if (upper) {
    return {core.ttbr1, 64 - static_cast<unsigned>(core.tcr >> 16 & 63),
            kUpperGranules[core.tcr >> 30 & 3]};
  }
  return {core.ttbr0, 64 - static_cast<unsigned>(core.tcr & 63),
          kLowerGranules[core.tcr >> 14 & 3]};
}

std::optional<std::uint64_t> entry_at(const GuestMemory& memory, std::uint64_t physical) {
  const std::uint8_t* const bytes = memory.host(physical, 8);
  if (bytes == nullptr) return std::nullopt;
  std::uint64_t entry = 0;
  std::memcpy(&entry, bytes, sizeof entry);
  return entry;
}

}  // namespace

std::optional<std::uint64_t> walk(const Core& core, const GuestMemory& memory,
                                  std::uint64_t address) {
  if ((core.sctlr & 1) == 0) return address & ones(kAddressBits);
  const Half half = half_of(core, (address >> 55 & 1) != 0);
  const unsigned stride = half.granule_bits - 3;  // entries of 8 bytes
  const unsigned levels = (half.input_bits - half.granule_bits + stride - 1) / stride;
  // Bits 47:1; of a table that is smaller than a page, too.
  std::uint64_t table = half.table & ones(kAddressBits) & ~std::uint64_t{1};
  unsigned high = half.input_bits;
  for (unsigned left = levels; left-- > 0;) {
    const unsigned low = half.granule_bits + left * stride;
    const std::uint64_t index = (address & ones(high)) >> low;
    const auto entry = entry_at(memory, table + 8 * index);
    if (!entry || (*entry & 1) == 0) return std::nullopt;
    const bool is_table = (*entry & 2) != 0 && left > 0;
    const std::uint64_t next = *entry & ones(kAddressBits);
    if (!is_table) return (next & ~ones(low)) | (address & ones(low));
    table = next & ~ones(half.granule_bits);
    high = low;
  }
  return std::nullopt;
}

}  // namespace vpmu::machine::arm64
