// SPDX-License-Identifier: MIT
//
// Numbers and texts out of a piece of a file, in turn. What lies beyond its end is 0 or empty, and
// makes ok() false from then on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace vpmu::profile::perf_data {

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::uint8_t> bytes) : bytes_{bytes} {}

  template <class T>
  T take() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    const auto from = take_bytes(sizeof(T));
    if (from.size() == sizeof(T)) std::memcpy(&value, from.data(), sizeof(T));
    return value;
  }
  /// Empty if there are fewer.
  std::span<const std::uint8_t> take_bytes(std::uint64_t count) {
    if (count > bytes_.size()) {
      ok_ = false;
      bytes_ = {};
    }
    const auto taken = bytes_.first(std::min<std::uint64_t>(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }
  /// Of at most `most` bytes, up to its NUL if it has one; all of the bytes are taken.
  std::string_view take_text(std::uint64_t most) {
    const auto from = take_bytes(most);
    const std::string_view text{reinterpret_cast<const char*>(from.data()), from.size()};
    return text.substr(0, text.find('\0'));
  }
  [[nodiscard]] std::size_t left() const { return bytes_.size(); }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::span<const std::uint8_t> bytes_;
  bool ok_ = true;
};

}  // namespace vpmu::profile::perf_data
