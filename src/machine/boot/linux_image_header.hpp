// SPDX-License-Identifier: MIT
//
// The first 64 bytes of an arm64 Linux kernel `Image`, by which a boot loader knows where it goes:
// the kernel's documentation, "Booting AArch64 Linux", section 4.
#pragma once

#include <cstdint>
#include <optional>

#include "machine/boot/bytes.hpp"

namespace vpmu::machine::boot {

struct LinuxImageHeader {
  static constexpr std::uint64_t kBytes = 64;
  static constexpr std::uint64_t kMagicOffset = 56;
  static constexpr std::uint32_t kMagic = 0x644d5241;  ///< "ARM\x64"
  /// The image lies at `text_offset` from a multiple of this.
  static constexpr std::uint64_t kAlignment = std::uint64_t{2} << 20;

  std::uint64_t text_offset = 0;
  std::uint64_t image_size = 0;  ///< in memory, from the image's start; 0: the header does not say
  std::uint64_t flags = 0;

  [[nodiscard]] bool big_endian() const { return (flags & 1) != 0; }
  /// Of the kernel's pages; 0: the header does not say.
  [[nodiscard]] std::uint64_t page_bytes() const {
    const std::uint64_t size = flags >> 1 & 3;
    return size == 0 ? 0 : std::uint64_t{1} << (10 + 2 * size);
  }
  /// Whether the kernel can lie anywhere, rather than as close as possible to the start of RAM.
  [[nodiscard]] bool anywhere() const { return (flags >> 3 & 1) != 0; }

  static bool is_at_start_of(Bytes file) {
    return field<std::uint32_t>(file, kMagicOffset) == kMagic;
  }

  /// Nothing if the file is not an Image, or is shorter than the header.
  static std::optional<LinuxImageHeader> read(Bytes file) {
    constexpr std::uint64_t kTextOffset = 8, kImageSize = 16, kFlags = 24;
    if (!is_at_start_of(file) || file.size() < kBytes) return std::nullopt;
    LinuxImageHeader header;
    header.text_offset = *field<std::uint64_t>(file, kTextOffset);
    header.image_size = *field<std::uint64_t>(file, kImageSize);
    header.flags = *field<std::uint64_t>(file, kFlags);
    // Kernels before 3.17 say 0 here, and their text offset is in whatever byte order.
    if (header.image_size == 0) header.text_offset = 0x80000;
    return header;
  }
};

}  // namespace vpmu::machine::boot
