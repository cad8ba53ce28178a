// SPDX-License-Identifier: MIT
#include "machine/boot/boot_area.hpp"

namespace vpmu::machine::boot {

std::uint64_t BootArea::reserve(std::uint64_t length, std::uint64_t alignment) {
  const std::uint64_t address =
      length <= begin_ ? (begin_ - length) & ~(alignment - 1) : std::uint64_t{0};
  // Pages are not shared with the image.
  if (full_ || address == 0 || (address & ~std::uint64_t{0xfff}) < floor_) {
    full_ = true;
    return 0;
  }
  begin_ = address;
  return address;
}

std::uint64_t BootArea::place(Bytes bytes, std::uint64_t alignment) {
  const std::uint64_t address = reserve(bytes.size(), alignment);
  if (address != 0) memory_.write(address, bytes);
  return address;
}

std::uint64_t BootArea::place(const std::string& text) {
  return place(Bytes{reinterpret_cast<const std::uint8_t*>(text.c_str()), text.size() + 1}, 16);
}

}  // namespace vpmu::machine::boot
