// SPDX-License-Identifier: MIT
//
// Bytes of records and sections that are put together piece by piece, little-endian.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace vpmu::profile::perf_data {

static_assert(std::endian::native == std::endian::little,
              "perf.data is written as it is in memory");

class Bytes {
 public:
  template <class T>
  Bytes& add(const T& value) {
    static_assert(std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  Bytes& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  /// With its NUL, and more of them up to a multiple of `align` from the text's beginning.
  Bytes& text(std::string_view text, std::size_t align) {
    const std::size_t padded = (text.size() / align + 1) * align;
    bytes_ += text;
    bytes_.append(padded - text.size(), '\0');
    return *this;
  }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace vpmu::profile::perf_data
