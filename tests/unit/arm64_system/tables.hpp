// SPDX-License-Identifier: MIT
//
// Translation tables in a test's RAM, of any granule.
#pragma once

#include <cstdint>

#include "unit/arm64_system/system_fixture.hpp"

namespace vpmu::machine::arm64::test {

inline constexpr std::uint64_t kValidBit = 1, kTableBit = 2, kEl0Bit = 1 << 6,
                               kReadOnlyBit = 1 << 7, kAccessedBit = 1 << 10,
                               kNotGlobalBit = 1 << 11, kDirtyModifierBit = 1ULL << 51,
                               kContiguousBit = 1ULL << 52, kPxnBit = 1ULL << 53,
                               kUxnBit = 1ULL << 54, kPxnTableBit = 1ULL << 59,
                               kUxnTableBit = 1ULL << 60, kNoEl0TableBit = 1ULL << 61,
                               kReadOnlyTableBit = 1ULL << 62;

/// A page size, and how TCR_EL1 names it.
struct Granule {
  unsigned bits;
  std::uint64_t tg0, tg1;
  unsigned first_block_level;

  [[nodiscard]] unsigned shift(unsigned level) const { return bits + (bits - 3) * (3 - level); }
  /// The level at which walks of `input_bits` begin.
  [[nodiscard]] unsigned first_level(unsigned input_bits) const {
    unsigned level = 3;
    while (shift(level) + bits - 3 < input_bits) --level;
    return level;
  }
};
inline constexpr Granule k4K{12, 0, 2, 1}, k16K{14, 2, 1, 2}, k64K{16, 1, 3, 2};

/// One path of tables from a root down, each in 64 KiB of its own. TTBR0 and TTBR1 both lead there:
/// what tells the halves apart is in the bits above.
class Path {
 public:
  static constexpr std::uint64_t kTables = kRam + 0x10'0000, kTableBytes = 0x1'0000;
  static constexpr std::uint64_t kUpper = 0xffff'0000'0000'0000;
  static constexpr std::uint64_t kWriteBackAttributes = 0xff;

  Path(System& system, const Granule& granule, unsigned size = 16)
      : system_{system}, granule_{granule}, size_{size} {
    Tcr tcr;
    tcr.set(Tcr::kT0sz, size);
    tcr.set(Tcr::kT1sz, size);
    tcr.set(Tcr::kTg0, granule.tg0);
    tcr.set(Tcr::kTg1, granule.tg1);
    tcr.set(Tcr::kIps, 5);
    system.core.tcr = tcr.raw;
    system.core.ttbr0 = system.core.ttbr1 = table(first_level());
    system.core.mair = kWriteBackAttributes;
    system.core.sctlr |= Sctlr::kM.kMask;
  }

  [[nodiscard]] unsigned first_level() const { return granule_.first_level(64 - size_); }
  [[nodiscard]] static std::uint64_t table(unsigned level) { return kTables + level * kTableBytes; }

  /// Where the descriptor for an address is at a level.
  [[nodiscard]] std::uint64_t where(std::uint64_t address, unsigned level) const {
    const std::uint64_t input = address & ((std::uint64_t{1} << (64 - size_)) - 1);
    const std::uint64_t index = input >> granule_.shift(level);
    const std::uint64_t entries =
        level == first_level() ? ~std::uint64_t{0} : (1U << (granule_.bits - 3)) - 1;
    return table(level) + 8 * (index & entries);
  }
  /// A leaf at a level, without what a table or page has in bit 1.
  [[nodiscard]] static std::uint64_t leaf(unsigned level, std::uint64_t bits) {
    return bits | kValidBit | (level == 3 ? kTableBit : 0);
  }
  /// Maps `address` at a level, with tables above it that have `table_bits`.
  void map(std::uint64_t address, unsigned level, std::uint64_t bits,
           std::uint64_t table_bits = 0) const {
    for (unsigned above = first_level(); above < level; ++above) {
      system_.put(where(address, above), table(above + 1) | kValidBit | kTableBit | table_bits);
    }
    system_.put(where(address, level), leaf(level, bits));
  }

 private:
  System& system_;
  Granule granule_;
  unsigned size_;
};

}  // namespace vpmu::machine::arm64::test
