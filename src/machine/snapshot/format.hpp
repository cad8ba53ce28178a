// SPDX-License-Identifier: MIT
//
// The outermost layer of a snapshot (docs/abi/snapshot.md): a line of text with the format's
// version, then records, each behind its length. Snapshots are read as they come, from a pipe too,
// and nothing is allocated because a length field says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vpmu::machine::snapshot {

/// The first line is this, the version in decimal, and a newline.
inline constexpr std::string_view kMagic = "vpmu-snapshot ";

/// What is written, and the only one that is read: goes up with every change of a record's meaning.
inline constexpr std::uint32_t kFormatVersion = 10;

/// The largest record there may be.
inline constexpr std::size_t kLargestRecord = std::size_t{16} << 20;

inline constexpr std::size_t kPageBytes = 4096;
/// RAM goes out in records of at most so many pages.
inline constexpr std::size_t kPagesPerChunk = 64;

/// No guest with more RAM is restored.
inline constexpr std::uint64_t kLargestMemory = std::uint64_t{1} << 40;

}  // namespace vpmu::machine::snapshot
