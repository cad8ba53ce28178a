// SPDX-License-Identifier: MIT
//
// Why a filter is refused, in words, with what to do about it.
#include <cerrno>

#include <fmt/format.h>

#include "policy/filter_file.hpp"

namespace vpmu::policy {

namespace {
using silicon::x86::Vendor;
using virt::x86::FilterEntry;
using virt::x86::FilterError;
using virt::x86::FilterImage;
using virt::x86::FilterRefusal;
using Bytes = std::span<const std::byte>;

/// A little-endian number; what is not there is 0.
std::uint64_t number(Bytes bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size && at + i < bytes.size(); ++i) {
    value |= static_cast<std::uint64_t>(bytes[at + i]) << (8 * i);
  }
  return value;
}

std::string entries_missing(Bytes bytes) {
  const std::uint64_t count = number(bytes, FilterImage::kCountAt, 4);
  const std::size_t there = bytes.size() - FilterImage::kHeaderBytes;
  return fmt::format(
      "the header says {} entries, {} bytes, but only {} bytes follow it, EFAULT; "
      "copy the whole file, or set the number of entries (bytes 4 to 7) to {}",
      count, 8 * count, there, there / 8);
}

std::string reserved_bits(std::uint32_t entry, Bytes bytes, Vendor vendor) {
  const std::uint64_t raw = number(bytes, FilterImage::kHeaderBytes + std::size_t{8} * entry, 8);
  const std::uint64_t wrong = raw & ~FilterEntry::valid(vendor);
  const bool only_amd = (raw & ~FilterEntry::kValidAmd) == 0;
  return fmt::format("entry {} ({:#018x}) has reserved bits set (mask {:#018x}), EINVAL; {}", entry,
                     raw, wrong,
                     only_amd ? "event selects of 12 bits are for AMD guests: clear bits 35 to 32"
                              : "clear them: an entry has the event select in bits 7 to 0, match "
                                "in 15 to 8, exclude in 55 and mask in 63 to 56");
}
}  // namespace

std::string describe(FilterRefusal refusal, Bytes bytes, Vendor vendor) {
  switch (refusal.error) {
    case FilterError::kHeaderUnreadable:
      return fmt::format(
          "has {} bytes, fewer than the {} of the header, EFAULT; copy the whole file",
          bytes.size(), FilterImage::kHeaderBytes);
    case FilterError::kAction:
      return fmt::format("the action (bytes 0 to 3) is {}, EINVAL; make it 0 (allow) or 1 (deny)",
                         number(bytes, FilterImage::kActionAt, 4));
    case FilterError::kFlags:
      return fmt::format(
          "the flags (bytes 12 to 15) are {:#x}, EINVAL; make them 1 (masked events) "
          "or 0 (legacy entries)",
          number(bytes, FilterImage::kFlagsAt, 4));
    case FilterError::kTooManyEntries:
      return fmt::format(
          "has {} entries, more than {}, E2BIG; write it as a policy, of which "
          "`vpmu filter build` makes the fewest entries",
          number(bytes, FilterImage::kCountAt, 4), FilterImage::kMaxEntries);
    case FilterError::kNoMemory: return "there is no memory for it, ENOMEM; free some";
    case FilterError::kEntriesUnreadable: return entries_missing(bytes);
    case FilterError::kReservedBits: return reserved_bits(refusal.entry, bytes, vendor);
  }
  return {};
}

}  // namespace vpmu::policy
