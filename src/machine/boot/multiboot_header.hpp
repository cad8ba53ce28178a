// SPDX-License-Identifier: MIT
//
// The header by which an image says that it follows the Multiboot Specification, version 0.6.96,
// section 3.1: magic, flags and checksum, 4-byte aligned, within the first 8192 bytes of the file.
#pragma once

#include <cstdint>
#include <optional>

#include "machine/boot/bytes.hpp"

namespace vpmu::machine::boot {

struct MultibootHeader {
  static constexpr std::uint32_t kPageAlign = 1;        ///< modules on page boundaries
  static constexpr std::uint32_t kMemoryInfo = 1 << 1;  ///< mem_* fields (always given)
  static constexpr std::uint32_t kVideoMode = 1 << 2;   ///< there is no video: ignored
  static constexpr std::uint32_t kAddresses = 1 << 16;  ///< the address fields below are valid
  /// Flags 0 to 15 are requirements: an image that sets another one must not be started.
  static constexpr std::uint32_t kUnknownRequirements =
      0xffff & ~(kPageAlign | kMemoryInfo | kVideoMode);

  std::uint64_t offset = 0;  ///< of the header in the file
  std::uint32_t flags = 0;
  // With kAddresses; physical addresses, 0 in an end: "to the end of the file", "no BSS".
  std::uint32_t header_address = 0;
  std::uint32_t load_address = 0;
  std::uint32_t load_end_address = 0;
  std::uint32_t bss_end_address = 0;
  std::uint32_t entry_address = 0;
};

std::optional<MultibootHeader> find_multiboot_header(Bytes file);

}  // namespace vpmu::machine::boot
