// SPDX-License-Identifier: MIT
//
// What the CPU tells of an operation that has been sampled: everything that a record of the
// Statistical Profiling Extension may say. Which of it is said, controls and filters decide.
#pragma once

#include <cstdint>
#include <optional>

namespace vpmu::silicon::arm64 {

/// Operation type packets: their header, and its payload as section 2.6 of the Arm ARM's D18.2
/// composes it.
struct SpeOperationType {
  enum class Class : std::uint8_t { kOther = 0x48, kLoadStore = 0x49, kBranch = 0x4a };

  Class of = Class::kOther;
  std::uint8_t payload = 0;

  friend bool operator==(const SpeOperationType&, const SpeOperationType&) = default;
};

/// Bits of events packets.
enum SpeEvent : std::uint64_t {
  kSpeException = 1 << 0,
  kSpeRetired = 1 << 1,
  kSpeL1dAccess = 1 << 2,
  kSpeL1dRefill = 1 << 3,
  kSpeTlbAccess = 1 << 4,
  kSpeTlbWalk = 1 << 5,
  kSpeNotTaken = 1 << 6,
  kSpeMispredicted = 1 << 7,
  kSpeLlcAccess = 1 << 8,
  kSpeLlcMiss = 1 << 9,
  kSpeRemoteAccess = 1 << 10,
  kSpeMisaligned = 1 << 11,
};

/// Data sources, as Neoverse cores number them.
enum class SpeDataSource : std::uint8_t {
  kL1d = 0x0,
  kL2 = 0x8,
  kPeerCore = 0x9,
  kLocalCluster = 0xa,
  kSystemCache = 0xb,
  kPeerCluster = 0xc,
  kRemote = 0xd,
  kDram = 0xe,
};

struct SpeOperation {
  /// A place in code, and at which exception level (0 to 2).
  struct Place {
    std::uint64_t address = 0;
    std::uint8_t level = 0;
    friend bool operator==(const Place&, const Place&) = default;
  };

  Place pc{};
  SpeOperationType type{};
  std::uint64_t events = kSpeRetired;
  std::optional<Place> target{};  ///< of a branch or exception return that was taken

  bool loads = false;  ///< atomics that return a value are both
  bool stores = false;
  bool has_address = false;
  std::uint64_t virtual_address = 0;
  std::uint64_t physical_address = 0;     ///< intermediate: never the host's
  std::optional<SpeDataSource> source{};  ///< of loads

  // In cycles; not yet saturated.
  std::uint32_t total_latency = 1;
  std::uint32_t issue_latency = 0;
  std::uint32_t translation_latency = 0;  ///< of memory accesses

  std::uint32_t context_el1 = 0;  ///< CONTEXTIDR_EL1
  /// The generic counters at that time: CNTVCT_EL0, CNTPCT_EL0.
  std::uint64_t virtual_count = 0;
  std::uint64_t physical_count = 0;

  friend bool operator==(const SpeOperation&, const SpeOperation&) = default;
};

}  // namespace vpmu::silicon::arm64
