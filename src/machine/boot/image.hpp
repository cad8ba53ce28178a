// SPDX-License-Identifier: MIT
//
// What a guest image says about itself, before any of it is in memory: how it wants to be started,
// where its parts go, where it begins. Parsing trusts no field of the file and changes nothing, so
// it is also what the image fuzzer runs.
//
// An image is taken as, in this order: multiboot 1 (a header in the first 8 KiB), PVH (the ELF note
// PHYS32_ENTRY), freestanding ELF64. docs/abi/boot.md describes what each of them finds on entry.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/boot/bytes.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::boot {

/// How an image is started; the last two on arm64.
enum class Protocol : std::uint8_t { kMultiboot, kPvh, kFreestanding, kLinux };

/// "multiboot", "pvh", "elf64" or "linux".
const char* name(Protocol protocol);

/// A part of the image: `content`, then zeroes up to `memory_size` bytes, at a physical address.
struct LoadSegment {
  std::uint64_t address = 0;
  std::uint64_t memory_size = 0;
  Bytes content;  ///< into the file that was parsed
};

struct Image {
  Protocol protocol = Protocol::kMultiboot;
  std::uint64_t entry = 0;            ///< physical; lies in one of the segments
  std::vector<LoadSegment> segments;  ///< by address, not empty, no two overlap

  /// One past the last byte of the last segment.
  [[nodiscard]] std::uint64_t end() const {
    return segments.back().address + segments.back().memory_size;
  }
};

/// An image for x86: its entry lies below 4 GiB. `file` must outlive the result; `path` names it in
/// errors.
Result<Image> parse_image(Bytes file, const std::string& path);

}  // namespace vpmu::machine::boot
