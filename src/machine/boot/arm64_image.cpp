// SPDX-License-Identifier: MIT
#include "machine/boot/arm64_image.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "machine/arm64_map.hpp"
#include "machine/boot/elf.hpp"
#include "machine/boot/image_segments.hpp"
#include "machine/boot/linux_image_header.hpp"

namespace vpmu::machine::boot {

namespace {
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kInstructionBytes = 4;

Result<Image> linux_image(Bytes file, const std::string& path) {
  const auto header = LinuxImageHeader::read(file);
  if (!header) {
    return fail(
        fmt::format("guest image '{}': is truncated, {} bytes do not hold the header of an "
                    "arm64 Linux Image; build or copy it again",
                    path, file.size()));
  }
  if (header->big_endian()) {
    return fail(
        fmt::format("guest image '{}': is a big-endian kernel, this machine is little-endian; "
                    "build it without CONFIG_CPU_BIG_ENDIAN",
                    path));
  }
  if (header->text_offset % kPage != 0 || header->text_offset >= LinuxImageHeader::kAlignment) {
    return fail(
        fmt::format("guest image '{}': its text offset {:#x} is not a multiple of 4 KiB below "
                    "2 MiB; the file is damaged, build or copy it again",
                    path, header->text_offset));
  }
  Image image;
  image.protocol = Protocol::kLinux;
  image.entry = arm64_map::kRam + header->text_offset;
  image.segments.push_back(
      {image.entry, std::max<std::uint64_t>(header->image_size, file.size()), file});
  return with_segments_in_order(std::move(image), path);
}

/// There is no translation on entry, so that the image begins at a physical address: that of
/// e_entry, or e_entry itself if it is none of the image's virtual addresses.
Result<Image> elf_image(Bytes file, const std::string& path) {
  const auto elf = parse_elf(file, path, Architecture::kArm64);
  if (!elf) return tl::unexpected(elf.error());
  if (!elf->is_64) {
    return fail(
        fmt::format("guest image '{}': is a 32-bit ELF file; build it for the 64-bit ABI "
                    "(without -mabi=ilp32)",
                    path));
  }
  auto image = image_of_segments(*elf, path);
  if (!image) return image;
  image->protocol = Protocol::kFreestanding;
  image->entry = physical_entry(*elf).value_or(elf->entry);
  auto ordered = with_segments_in_order(std::move(*image), path);
  if (ordered && ordered->entry % kInstructionBytes != 0) {
    return bad_entry(*ordered, "not a multiple of 4", path);
  }
  return ordered;
}
}  // namespace

Result<Image> parse_arm64_image(Bytes file, const std::string& path) {
  return looks_like_elf(file) ? elf_image(file, path) : linux_image(file, path);
}

}  // namespace vpmu::machine::boot
