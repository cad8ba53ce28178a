// SPDX-License-Identifier: MIT
#include "machine/boot/multiboot_header.hpp"

#include <algorithm>

namespace vpmu::machine::boot {

namespace {
constexpr std::uint32_t kMagic = 0x1badb002;
constexpr std::uint64_t kSearched = 8192;
constexpr std::uint64_t kShortHeader = 12;
}  // namespace

std::optional<MultibootHeader> find_multiboot_header(Bytes file) {
  const Bytes start = file.first(std::min<std::size_t>(file.size(), kSearched));
  for (std::uint64_t at = 0; within(at, kShortHeader, start.size()); at += 4) {
    if (field<std::uint32_t>(start, at) != kMagic) continue;
    const std::uint32_t flags = *field<std::uint32_t>(start, at + 4);
    const std::uint32_t checksum = *field<std::uint32_t>(start, at + 8);
    if (static_cast<std::uint32_t>(kMagic + flags + checksum) != 0) continue;

    MultibootHeader header;
    header.offset = at;
    header.flags = flags;
    if ((flags & MultibootHeader::kAddresses) != 0) {
      if (!within(at, 32, file.size())) continue;
      header.header_address = *field<std::uint32_t>(file, at + 12);
      header.load_address = *field<std::uint32_t>(file, at + 16);
      header.load_end_address = *field<std::uint32_t>(file, at + 20);
      header.bss_end_address = *field<std::uint32_t>(file, at + 24);
      header.entry_address = *field<std::uint32_t>(file, at + 28);
    }
    return header;
  }
  return std::nullopt;
}

}  // namespace vpmu::machine::boot
