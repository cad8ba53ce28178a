// SPDX-License-Identifier: MIT
//
// Makes test cases: picks a form, fills in registers, addressing and immediates at random, and then
// chooses the input registers so that every memory operand lies where it can do no harm: in the
// window, some of them across pages or in guard pages.
#pragma once

#include <cstdint>
#include <vector>

#include "decoded.hpp"
#include "forms.hpp"
#include "random.hpp"
#include "test_case.hpp"

namespace vpmu::differential {

class Generator {
 public:
  explicit Generator(std::vector<FormGroup> groups);

  /// A function of `seed` (and of the forms).
  void make(std::uint64_t seed, TestCase& out) const;

  /// What the read-only page holds.
  [[nodiscard]] std::vector<std::uint8_t> read_only_contents() const;

 private:
  std::vector<FormGroup> groups_;
  std::vector<std::uint8_t> pool_;  ///< random bytes that data pages start from
};

}  // namespace vpmu::differential
