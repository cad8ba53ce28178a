// SPDX-License-Identifier: MIT
//
// Registers as types. A register is one integer in a struct; its fields are constants with the bit
// numbers as manuals print them (high, low), checked when compiled:
//
//   struct EventSelect : Register<std::uint64_t> {
//     static constexpr Field<7, 0> kEvent{};
//     static constexpr Field<22> kEn{};
//   };
//   EventSelect select{value};
//   if (select.get(EventSelect::kEn)) ...
//   select.set(EventSelect::kEvent, 0xc0);
#pragma once

#include <cstdint>

namespace vpmu {

/// The bits `High` down to `Low` of a register, both inclusive.
template <unsigned High, unsigned Low = High>
struct Field {
  static_assert(High >= Low && High < 64, "a field is named high bit first, within 64 bits");
  static constexpr unsigned kLow = Low;
  static constexpr unsigned kWidth = High - Low + 1;
  static constexpr std::uint64_t kMax = kWidth == 64 ? ~0ULL : (1ULL << (kWidth % 64)) - 1;
  static constexpr std::uint64_t kMask = kMax << Low;
};

/// The union of the bits of several fields.
template <class... Fields>
constexpr std::uint64_t mask_of(Fields...) {
  return (std::uint64_t{0} | ... | Fields::kMask);
}

/// True if no two of the fields share a bit: for static_assert beside a register's definition.
template <class... Fields>
constexpr bool disjoint(Fields...) {
  return (std::uint64_t{0} + ... + Fields::kMask) == (std::uint64_t{0} | ... | Fields::kMask);
}

/// Base of a register type: the raw value and access to it by field.
template <class Integer>
struct Register {
  Integer raw = 0;

  template <unsigned High, unsigned Low>
  [[nodiscard]] constexpr Integer get(Field<High, Low>) const {
    using F = Field<High, Low>;
    return static_cast<Integer>((raw & F::kMask) >> F::kLow);
  }

  /// Bits of `value` that do not fit the field are dropped.
  template <unsigned High, unsigned Low>
  constexpr void set(Field<High, Low>, std::uint64_t value) {
    using F = Field<High, Low>;
    raw = static_cast<Integer>((raw & ~F::kMask) | ((value << F::kLow) & F::kMask));
  }

  friend constexpr bool operator==(Register, Register) = default;
};

}  // namespace vpmu
