// SPDX-License-Identifier: MIT
//
// Records of the Statistical Profiling Extension, Arm ARM D18.1 and D18.2: how the unit writes
// them. Packets come in the order of the reference pseudocode: contexts, counters and addresses
// ascending, data source, operation type, events, and Timestamp or End. What a class of operations
// does not have is left out: only branches have a target, and only loads and stores have a
// translation latency, addresses of data and a data source.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "vpmu/silicon/arm64/spe_operation.hpp"

namespace vpmu::silicon::arm64 {

/// First bytes of packets.
namespace spe_packet {
inline constexpr std::uint8_t kPadding = 0x00, kEnd = 0x01, kTimestamp = 0x71;
inline constexpr std::uint8_t kEvents = 0x42;      ///< + log2 of its payload's bytes << 4
inline constexpr std::uint8_t kDataSource = 0x43;  ///< the same
inline constexpr std::uint8_t kContext = 0x64;     ///< + 0: EL1, 1: EL2
inline constexpr std::uint8_t kCounter = 0x98;     ///< + index below 8
inline constexpr std::uint8_t kAddress = 0xb0;     ///< + index below 8
inline constexpr std::uint8_t kExtended = 0x20;    ///< + index >> 3, in front of such a header

enum Counter : std::uint8_t { kTotalLatency = 0, kIssueLatency = 1, kTranslationLatency = 2 };
enum Address : std::uint8_t { kPc = 0, kTarget = 1, kVirtual = 2, kPhysical = 3, kPrevious = 4 };

/// Byte 7 of PC and target addresses: non-secure.
inline constexpr std::uint8_t kNonSecure = 0x80;
inline constexpr unsigned kLevelShift = 5;
}  // namespace spe_packet

/// What a record is to have, after all controls and filters.
struct SpeRecordOptions {
  bool context_el1 = false;
  std::optional<std::uint32_t> context_el2{};
  bool physical_address = false;
  bool data_source = false;
  std::optional<std::uint64_t> timestamp{};  ///< none: an End packet
  unsigned counter_bits = 12;                ///< latencies saturate there: 12 or 16
  unsigned align = 0;                        ///< log2: padded to that
};

class SpeRecord {
 public:
  /// Of any record that encode() makes before padding: two contexts, three counters, PC and two
  /// addresses of data, data source, operation type, 64 bits of events, timestamp.
  static constexpr std::size_t kLongest = 2 * 5 + 3 * 3 + 3 * 9 + 2 + 2 + 9 + 9;

  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return {bytes_.data(), size_}; }

 private:
  friend SpeRecord encode(const SpeOperation& operation, const SpeRecordOptions& options);
  std::array<std::uint8_t, 2048> bytes_;
  std::size_t size_ = 0;
};

/// The record of an operation, padded. `options.align` <= 11. Events take 1, 2, 4 or 8 bytes: as
/// few as hold those that there are, but at least 2 for loads and stores.
SpeRecord encode(const SpeOperation& operation, const SpeRecordOptions& options);

}  // namespace vpmu::silicon::arm64
