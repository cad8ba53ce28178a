// SPDX-License-Identifier: MIT
//
// Number spaces that must not be mixed up. Each is a type of its own; `raw()` gives the integer.
#pragma once

#include <cstdint>
#include <type_traits>

namespace vpmu {

enum class MsrIndex : std::uint32_t {};
enum class GuestPhysical : std::uint64_t {};
enum class GuestVirtual : std::uint64_t {};
/// Guest core clock cycles: differences of machine time as well as points in it (0: power-on).
enum class Cycles : std::uint64_t {};

template <class Number>
constexpr std::underlying_type_t<Number> raw(Number number) {
  return static_cast<std::underlying_type_t<Number>>(number);
}

}  // namespace vpmu
