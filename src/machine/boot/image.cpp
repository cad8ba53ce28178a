// SPDX-License-Identifier: MIT
#include "machine/boot/image.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "machine/boot/elf.hpp"
#include "machine/boot/image_segments.hpp"
#include "machine/boot/multiboot_header.hpp"

namespace vpmu::machine::boot {

namespace {
constexpr std::uint64_t kFourGiB = std::uint64_t{1} << 32;

/// Something that is no ELF file and has no multiboot header: what is it, and what to do?
tl::unexpected<Error> unknown_format(Bytes file, const std::string& path) {
  if (field<std::uint32_t>(file, 0x202) == 0x53726448 /* HdrS */) {
    return fail(
        fmt::format("guest image '{}': a Linux bzImage is not supported yet; give the "
                    "kernel's vmlinux, which starts through PVH",
                    path));
  }
  if (field<std::uint32_t>(file, 0x38) == 0x644d5241 /* ARM\x64 */) {
    return fail(
        fmt::format("guest image '{}': is an arm64 kernel Image, this machine is x86-64; "
                    "build it for x86-64",
                    path));
  }
  const auto starts_with = [&](std::initializer_list<std::uint8_t> magic) {
    return file.size() >= magic.size() && std::equal(magic.begin(), magic.end(), file.begin());
  };
  if (starts_with({0x1f, 0x8b}) || starts_with({0x28, 0xb5, 0x2f, 0xfd}) ||
      starts_with({0xfd, '7', 'z', 'X', 'Z'})) {
    return fail(fmt::format("guest image '{}': is compressed; unpack it first", path));
  }
  return fail(
      fmt::format("guest image '{}': neither an ELF file, a multiboot image nor an arm64 Linux "
                  "Image; give an ELF executable for x86-64, i386 or AArch64",
                  path));
}

/// Where the image goes by its multiboot address fields rather than by ELF headers.
Result<Image> image_from_addresses(Bytes file, const MultibootHeader& header,
                                   const std::string& path) {
  const auto bad = [&](const char* why) {
    return fail(
        fmt::format("guest image '{}': its multiboot header's addresses are wrong ({}); "
                    "mend the header or clear its flag 16",
                    path, why));
  };
  if (header.header_address < header.load_address) return bad("header before load address");
  const std::uint64_t before_header = header.header_address - header.load_address;
  if (before_header > header.offset) return bad("load address before the file's first byte");
  const std::uint64_t offset = header.offset - before_header;
  std::uint64_t length = file.size() - offset;
  if (header.load_end_address != 0) {
    if (header.load_end_address < header.load_address) return bad("load end before load address");
    const std::uint64_t wanted = header.load_end_address - header.load_address;
    if (wanted > length) {
      return fail(
          fmt::format("guest image '{}': is truncated, its multiboot header loads {} bytes "
                      "but {} are there; build or copy it again",
                      path, wanted, length));
    }
    length = wanted;
  }
  std::uint64_t memory_size = length;
  if (header.bss_end_address != 0) {
    if (header.bss_end_address < header.load_address + length)
      return bad("BSS end before its start");
    memory_size = header.bss_end_address - header.load_address;
  }
  if (memory_size == 0) return bad("nothing to load");
  Image image;
  image.protocol = Protocol::kMultiboot;
  image.entry = header.entry_address;
  image.segments.push_back({header.load_address, memory_size, file.subspan(offset, length)});
  return image;
}

Result<Image> image_from_elf(const Elf& elf, bool multiboot, const std::string& path) {
  auto loaded = image_of_segments(elf, path);
  if (!loaded) return tl::unexpected(loaded.error());
  Image image = std::move(*loaded);
  if (!multiboot && elf.pvh_entry) {
    image.protocol = Protocol::kPvh;
    image.entry = *elf.pvh_entry;
    return image;
  }
  const auto entry = physical_entry(elf);
  if (!entry) return no_entry(elf, path);
  image.entry = *entry;
  if (multiboot) {
    image.protocol = Protocol::kMultiboot;
    return image;
  }
  if (!elf.is_64) {
    return fail(
        fmt::format("guest image '{}': a 32-bit ELF file needs a multiboot header in its "
                    "first 8 KiB or a PVH note; add one, or build it for x86-64",
                    path));
  }
  if (*entry != elf.entry) {
    return fail(
        fmt::format("guest image '{}': is linked to run at {:#x} but to be loaded at {:#x}; "
                    "link it at its physical address, or give it a multiboot header or a "
                    "PVH note",
                    path, elf.entry, *entry));
  }
  image.protocol = Protocol::kFreestanding;
  return image;
}

/// What Image promises, and that the entry can be reached without paging.
Result<Image> checked(Image image, const std::string& path) {
  auto ordered = with_segments_in_order(std::move(image), path);
  if (ordered && ordered->entry >= kFourGiB) return bad_entry(*ordered, "not below 4 GiB", path);
  return ordered;
}
}  // namespace

const char* name(Protocol protocol) {
  switch (protocol) {
    case Protocol::kMultiboot: return "multiboot";
    case Protocol::kPvh: return "pvh";
    case Protocol::kLinux: return "linux";
    case Protocol::kFreestanding: break;
  }
  return "elf64";
}

Result<Image> parse_image(Bytes file, const std::string& path) {
  const auto multiboot = find_multiboot_header(file);
  if (multiboot && (multiboot->flags & MultibootHeader::kUnknownRequirements) != 0) {
    return fail(
        fmt::format("guest image '{}': its multiboot header requires flags {:#x}, which "
                    "are not known; clear them",
                    path, multiboot->flags & MultibootHeader::kUnknownRequirements));
  }
  const auto check = [&path](Image image) { return checked(std::move(image), path); };
  if (multiboot && (multiboot->flags & MultibootHeader::kAddresses) != 0) {
    return image_from_addresses(file, *multiboot, path).and_then(check);
  }
  if (!looks_like_elf(file)) return unknown_format(file, path);
  const auto elf = parse_elf(file, path);
  if (!elf) return tl::unexpected(elf.error());
  return image_from_elf(*elf, multiboot.has_value(), path).and_then(check);
}

}  // namespace vpmu::machine::boot
