// SPDX-License-Identifier: MIT
#include "machine/boot/image_segments.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace vpmu::machine::boot {

Result<Image> image_of_segments(const Elf& elf, const std::string& path) {
  if (elf.segments.empty()) {
    return fail(
        fmt::format("guest image '{}': has no loadable segment; link it as an executable", path));
  }
  Image image;
  for (const ElfSegment& segment : elf.segments) {
    image.segments.push_back({segment.physical_address, segment.memory_size, segment.content});
  }
  return image;
}

std::optional<std::uint64_t> physical_entry(const Elf& elf) {
  for (const ElfSegment& segment : elf.segments) {
    const std::uint64_t offset = elf.entry - segment.virtual_address;
    if (elf.entry >= segment.virtual_address && offset < segment.memory_size) {
      return segment.physical_address + offset;
    }
  }
  return std::nullopt;
}

Result<Image> with_segments_in_order(Image image, const std::string& path) {
  std::ranges::sort(image.segments, {}, &LoadSegment::address);
  const LoadSegment* previous = nullptr;
  bool entry_inside = false;
  for (const LoadSegment& segment : image.segments) {
    if (segment.address + segment.memory_size < segment.address) {
      return fail(
          fmt::format("guest image '{}': a segment of {:#x} bytes at {:#x} does not fit the "
                      "address space; link it at lower addresses",
                      path, segment.memory_size, segment.address));
    }
    if (previous != nullptr && segment.address < previous->address + previous->memory_size) {
      return fail(
          fmt::format("guest image '{}': segments at {:#x} and {:#x} overlap; mend the "
                      "linker script",
                      path, previous->address, segment.address));
    }
    entry_inside |= image.entry - segment.address < segment.memory_size;
    previous = &segment;
  }
  if (!entry_inside) return bad_entry(image, "in none of its segments", path);
  return image;
}

tl::unexpected<Error> no_entry(const Elf& elf, const std::string& path) {
  return fail(
      fmt::format("guest image '{}': its entry point {:#x} is in none of its segments; "
                  "give the linker an entry symbol (-e, ENTRY)",
                  path, elf.entry));
}

tl::unexpected<Error> bad_entry(const Image& image, const char* what, const std::string& path) {
  return fail(fmt::format("guest image '{}': its entry point {:#x} is {}; mend the linker script",
                          path, image.entry, what));
}

}  // namespace vpmu::machine::boot
