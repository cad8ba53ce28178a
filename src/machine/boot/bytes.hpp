// SPDX-License-Identifier: MIT
//
// Little-endian fields of files and of structures in guest memory, at any alignment. The host is
// little-endian too (it is an x86-64 or arm64 one), so this is memcpy with a bounds check.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

namespace vpmu::machine::boot {

using Bytes = std::span<const std::uint8_t>;

/// True if [offset, offset + length) lies within `size` bytes, for any values.
constexpr bool within(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  return offset <= size && length <= size - offset;
}

/// The field at `offset`, or nothing if it does not lie within `bytes`.
template <class T>
std::optional<T> field(Bytes bytes, std::uint64_t offset) {
  if (!within(offset, sizeof(T), bytes.size())) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

/// Stores `value` at `offset` of a block that is large enough.
template <class T>
void put(std::vector<std::uint8_t>& block, std::size_t offset, T value) {
  std::memcpy(block.data() + offset, &value, sizeof value);
}

}  // namespace vpmu::machine::boot
