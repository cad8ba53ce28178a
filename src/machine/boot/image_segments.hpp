// SPDX-License-Identifier: MIT
//
// Where the parts of an ELF image go, and where it begins: the same for every architecture. `path`
// names the file in errors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "machine/boot/elf.hpp"
#include "machine/boot/image.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::boot {

/// An image of the file's segments, in their order, at their physical addresses.
Result<Image> image_of_segments(const Elf& elf, const std::string& path);

/// The physical address of the virtual address e_entry; nothing if it is in no segment.
std::optional<std::uint64_t> physical_entry(const Elf& elf);

/// What Image promises: order, no overlap, an entry that is part of it.
Result<Image> with_segments_in_order(Image image, const std::string& path);

/// The errors of an entry point that is in no segment of a file, and of one that is `what`.
tl::unexpected<Error> no_entry(const Elf& elf, const std::string& path);
tl::unexpected<Error> bad_entry(const Image& image, const char* what, const std::string& path);

}  // namespace vpmu::machine::boot
