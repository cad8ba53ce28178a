// SPDX-License-Identifier: MIT
//
// Filters in files. What is in a file is told from its bytes, whatever it is called:
//
//   image  the ioctl's structure, little-endian: header and entries
//   hex    the same as hexadecimal digits; white space does not matter
//   json   {"action": "allow", "flags": ..., "fixed_counter_bitmap": ..., "events": [...]}
//   policy TOML (policy.hpp), which is compiled
//   ranges JSON or TOML with `ranges`, for AArch64 guests (range_filter.hpp)
//
// No valid image begins with a printable character: its first four bytes are 0 or 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/compiler.hpp"
#include "policy/policy.hpp"
#include "policy/range_filter.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/virt/x86/filter_image.hpp"

namespace vpmu::policy {

enum class FilterFormat : std::uint8_t { kImage, kHex, kJson, kC };
/// "bin", "hex", "json", "c"; none for anything else.
std::optional<FilterFormat> filter_format(std::string_view name);

/// What a file of that format contains. `comment` (lines; may be empty) goes where the format has
/// comments or a field for one.
std::string format_filter(const virt::x86::FilterImage& image, FilterFormat format,
                          std::string_view comment);

/// What is in a file: the structure's bytes, which nobody has checked yet, or a policy.
struct FilterFile {
  std::string name;              ///< as errors call it
  std::vector<std::byte> bytes;  ///< header and entries; of a policy, of what it was compiled to
  std::optional<Policy> policy;
  std::optional<CompiledFilter> compiled;  ///< with `policy`
  std::optional<RangeFilter> ranges{};     ///< for AArch64 guests; nothing else then
  bool only_x86 = false;                   ///< it says so itself
};

/// Reads a file. An error is one line with the file, the place and the remedy. An image that is too
/// short is no error here.
Result<FilterFile> read_filter_file(const std::string& path);
/// The same of what is in memory already.
Result<FilterFile> parse_filter_file(std::span<const std::byte> content, std::string_view name);

/// The valid image in it, for guests of that vendor. An error names file, entry, what is wrong, the
/// errno that KVM would give and the remedy.
Result<virt::x86::FilterImage> valid_image(const FilterFile& file, silicon::x86::Vendor vendor);

/// What a refusal means, without the name of the file: "entry 3 (0x00100000000000c0) has reserved
/// bits set (mask 0x0010000000000000), EINVAL; ...".
std::string describe(virt::x86::FilterRefusal refusal, std::span<const std::byte> bytes,
                     silicon::x86::Vendor vendor);

/// What an entry says: "include event 0xd0, umask & 0x7c == 0x00".
std::string describe(const virt::x86::MaskedEvent& event);

}  // namespace vpmu::policy
