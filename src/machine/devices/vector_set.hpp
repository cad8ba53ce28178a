// SPDX-License-Identifier: MIT
//
// A set of interrupt vectors, as the 256-bit registers of the local APIC (ISR, TMR, IRR) hold it.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace vpmu::machine {

class VectorSet {
 public:
  void insert(std::uint8_t vector) { words_[vector / 64] |= bit(vector); }
  void erase(std::uint8_t vector) { words_[vector / 64] &= ~bit(vector); }
  [[nodiscard]] bool contains(std::uint8_t vector) const {
    return (words_[vector / 64] & bit(vector)) != 0;
  }

  /// The highest vector of the set, that is the most important one; -1 if it is empty.
  [[nodiscard]] int highest() const {
    for (int i = 3; i >= 0; --i) {
      const std::uint64_t word = words_[static_cast<std::size_t>(i)];
      if (word != 0) return i * 64 + 63 - std::countl_zero(word);
    }
    return -1;
  }

  /// The `index`th (0..7) of the eight 32-bit registers that show the set to the guest.
  [[nodiscard]] std::uint32_t word(unsigned index) const {
    return static_cast<std::uint32_t>(words_[index / 2 % 4] >> (index % 2 * 32));
  }

  /// All of it, lowest vectors first: for save and restore.
  [[nodiscard]] const std::array<std::uint64_t, 4>& words() const { return words_; }
  [[nodiscard]] std::array<std::uint64_t, 4>& words() { return words_; }

  friend bool operator==(const VectorSet&, const VectorSet&) = default;

 private:
  static constexpr std::uint64_t bit(std::uint8_t vector) {
    return std::uint64_t{1} << (vector % 64);
  }

  std::array<std::uint64_t, 4> words_{};
};

}  // namespace vpmu::machine
