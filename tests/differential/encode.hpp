// SPDX-License-Identifier: MIT
//
// Random instances of a form, as bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "forms.hpp"
#include "random.hpp"

namespace vpmu::differential {

struct Bytes {
  std::array<std::uint8_t, 15> at{};
  std::size_t size = 0;

  void add(std::uint8_t byte) {
    if (size < at.size()) at[size] = byte;
    ++size;
  }
  [[nodiscard]] bool fits() const { return size <= at.size(); }
  [[nodiscard]] std::span<const std::uint8_t> span() const { return {at.data(), size}; }
};

/// Random registers, addressing, immediates and harmless prefixes, in the encoding of the form.
/// May turn out not to be legal.
Bytes random_bytes(Random& random, const Form& form);

/// The same instruction as the Zydis encoder would write it: `bytes` is replaced if it can.
void encode_again(const Decoded& decoded, Bytes& bytes);

/// Changes a bit, a byte, or inserts a prefix. Anything may come of it.
void mutate(Random& random, Bytes& bytes);

}  // namespace vpmu::differential
