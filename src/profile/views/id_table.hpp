// SPDX-License-Identifier: MIT
//
// A hash table of numbers that were given away in order: what they number lies elsewhere, in a
// vector of its owner's. Twelve bytes for each, and no allocation for each. The secret in the hash
// differs from run to run, so that no file can be made to collide; nothing else depends on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace vpmu::profile {

/// Of this process; any bits.
std::uint64_t hash_secret();

/// Both halves of the product of two 64-bit numbers, folded.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// A hash of numbers, one at a time.
class Hash {
 public:
  Hash() : state_{hash_secret()} {}
  Hash& add(std::uint64_t value) {
    state_ = mix(state_ ^ value, 0x9e37'79b9'7f4a'7c15) + value;
    return *this;
  }
  Hash& add(std::string_view text);
  [[nodiscard]] std::uint64_t value() const { return mix(state_, 0xd6e8'feb8'6659'fd93); }

 private:
  std::uint64_t state_;
};

class IdTable {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  /// The number for which `equal(number)` holds, of those with this hash; otherwise `next` is
  /// noted. Second: whether it was.
  template <class Equal>
  std::pair<std::uint32_t, bool> find_or_add(std::uint64_t hash, std::uint32_t next,
                                             const Equal& equal) {
    if ((used_ + 1) * 4 > slots_.size() * 3) grow();
    const auto tag = static_cast<std::uint32_t>(hash >> 32);
    for (std::size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[at];
      if (slot.id == kNone) {
        slot = {tag, static_cast<std::uint32_t>(hash), next};
        ++used_;
        return {next, true};
      }
      if (slot.tag == tag && equal(slot.id)) return {slot.id, false};
    }
  }

 private:
  struct Slot {
    std::uint32_t tag = 0;   ///< high half of the hash
    std::uint32_t home = 0;  ///< low half
    std::uint32_t id = kNone;
  };
  void grow();

  std::vector<Slot> slots_;
  std::size_t used_ = 0;
};

}  // namespace vpmu::profile
