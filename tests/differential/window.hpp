// SPDX-License-Identifier: MIT
//
// The linear addresses that test code lives in and works on: the same natively and in the guest.
// They lie below 2 GiB, so that absolute, RIP-relative and 32-bit addresses reach them.
//
//   guard | data (read/write) | guard | read-only | guard | code | guard
//
// Guard pages are mapped on neither side: an access raises a page fault.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vpmu::differential {

inline constexpr std::uint64_t kPage = 4096;
inline constexpr std::uint64_t kWindowBegin = 0x2000'0000;
inline constexpr std::uint64_t kData = kWindowBegin + 2 * kPage;
inline constexpr std::size_t kDataBytes = 3 * kPage;
inline constexpr std::uint64_t kDataEnd = kData + kDataBytes;
inline constexpr std::uint64_t kReadOnly = kDataEnd + 2 * kPage;
inline constexpr std::size_t kReadOnlyBytes = kPage;
inline constexpr std::uint64_t kReadOnlyEnd = kReadOnly + kReadOnlyBytes;
inline constexpr std::uint64_t kCode = kReadOnlyEnd + 2 * kPage;
inline constexpr std::size_t kCodeBytes = 2 * kPage;
inline constexpr std::uint64_t kCodeEnd = kCode + kCodeBytes;
inline constexpr std::uint64_t kWindowEnd = kCodeEnd + 2 * kPage;

/// Code pages hold this but for the case's own bytes, so that every way out of the code ends in a
/// breakpoint trap, on both sides.
inline constexpr std::uint8_t kBreakpointByte = 0xcc;

}  // namespace vpmu::differential
