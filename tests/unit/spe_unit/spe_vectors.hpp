// SPDX-License-Identifier: MIT
//
// Records composed by hand from the packet tables of the Arm ARM's D18.2, and what they say. Those
// of what the unit has not are for decoders only: V14 has counters and addresses of indices above 7
// and a previous branch target, V15 an allocation tag.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "vpmu/silicon/arm64/spe_operation.hpp"
#include "vpmu/silicon/arm64/spe_record.hpp"

namespace vpmu::silicon::arm64 {

struct SpeVector {
  const char* name;
  std::string_view hex;  ///< without padding
  SpeOperation operation;
  SpeRecordOptions options;
};

inline std::vector<std::uint8_t> from_hex(std::string_view hex) {
  constexpr auto kDigit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::vector<std::uint8_t> bytes;
  for (std::size_t at = 0; at < hex.size(); at += 3) {
    bytes.push_back(static_cast<std::uint8_t>(kDigit(hex[at]) << 4 | kDigit(hex[at + 1])));
  }
  return bytes;
}

/// Those that an operation can say.
inline const auto kSpeVectors = [] {
  using Class = SpeOperationType::Class;
  constexpr auto kLd = Class::kLoadStore;
  constexpr std::uint64_t kHit = kSpeRetired | kSpeL1dAccess | kSpeTlbAccess;
  constexpr auto kAt = [](std::uint64_t address, std::uint8_t level = 0) {
    return SpeOperation::Place{.address = address, .level = level};
  };
  const SpeRecordOptions kBare{};
  const auto kTimed = [](std::uint64_t time) { return SpeRecordOptions{.timestamp = time}; };
  return std::to_array<SpeVector>({
      {"V01",
       "98 05 00 99 03 00 b0 80 05 40 00 00 00 00 80 48 00 42 02 01",
       {.pc = kAt(0x40'0580), .total_latency = 5, .issue_latency = 3},
       kBare},
      {"V02",
       "64 d2 04 00 00 98 09 00 99 04 00 9a 01 00 b0 f4 05 c2 b1 aa aa 00 80 b2 78 56 34 d2 ff ff "
       "00 00 b3 78 46 23 81 00 00 00 80 43 00 49 00 52 16 00 71 89 67 45 23 01 00 00 00",
       {.pc = kAt(0xaaaa'b1c2'05f4),
        .type = {kLd, 0x00},
        .events = kHit,
        .loads = true,
        .has_address = true,
        .virtual_address = 0xffff'd234'5678,
        .physical_address = 0x8123'4678,
        .source = SpeDataSource::kL1d,
        .total_latency = 9,
        .issue_latency = 4,
        .translation_latency = 1,
        .context_el1 = 1234},
       {.context_el1 = true,
        .physical_address = true,
        .data_source = true,
        .timestamp = 0x1'2345'6789}},
      {"V03",
       "64 00 00 00 00 98 2a 00 99 11 00 9a 15 00 b0 5c 34 12 08 00 80 ff a0 b2 78 56 34 12 00 00 "
       "ff ff 49 01 52 3e 00 71 00 68 45 23 01 00 00 00",
       {.pc = kAt(0xffff'8000'0812'345c, 1),
        .type = {kLd, 0x01},
        .events = kHit | kSpeL1dRefill | kSpeTlbWalk,
        .stores = true,
        .has_address = true,
        .virtual_address = 0xffff'0000'1234'5678,
        .total_latency = 42,
        .issue_latency = 17,
        .translation_latency = 21},
       {.context_el1 = true, .timestamp = 0x1'2345'6800}},
      {"V04",
       "98 07 00 99 02 00 b0 00 06 c2 b1 aa aa 00 80 b1 40 06 c2 b1 aa aa 00 80 4a 01 42 82 71 10 "
       "68 45 23 01 00 00 00",
       {.pc = kAt(0xaaaa'b1c2'0600),
        .type = {Class::kBranch, 0x01},
        .events = kSpeRetired | kSpeMispredicted,
        .target = kAt(0xaaaa'b1c2'0640),
        .total_latency = 7,
        .issue_latency = 2},
       kTimed(0x1'2345'6810)},
      {"V05",
       "98 03 00 99 01 00 b0 04 06 c2 b1 aa aa 00 80 4a 01 42 42 01",
       {.pc = kAt(0xaaaa'b1c2'0604),
        .type = {Class::kBranch, 0x01},
        .events = kSpeRetired | kSpeNotTaken,
        .total_latency = 3,
        .issue_latency = 1},
       kBare},
      {"V06",
       "98 1c 00 99 08 00 b0 40 1c 01 08 00 80 ff a0 b1 00 07 c2 b1 aa aa 00 80 4a 02 42 02 71 20 "
       "68 45 23 01 00 00 00",
       {.pc = kAt(0xffff'8000'0801'1c40, 1),
        .type = {Class::kBranch, 0x02},
        .target = kAt(0xaaaa'b1c2'0700),
        .total_latency = 28,
        .issue_latency = 8},
       kTimed(0x1'2345'6820)},
      {"V07",
       "98 20 00 99 10 00 9a 02 00 b0 10 0a 40 00 00 00 00 80 b2 00 50 00 00 00 00 00 00 49 16 52 "
       "16 00 71 01 00 00 00 00 00 00 00",
       {.pc = kAt(0x40'0a10),
        .type = {kLd, 0x16},
        .events = kHit,
        .loads = true,
        .stores = true,
        .has_address = true,
        .virtual_address = 0x5000,
        .total_latency = 32,
        .issue_latency = 16,
        .translation_latency = 2},
       kTimed(1)},
      {"V08",
       "98 12 00 99 06 00 9a 01 00 b0 20 0a 40 00 00 00 00 80 b2 08 50 00 00 00 00 00 00 49 1b 52 "
       "16 00 71 02 00 00 00 00 00 00 00",
       {.pc = kAt(0x40'0a20),
        .type = {kLd, 0x1b},
        .events = kHit,
        .stores = true,
        .has_address = true,
        .virtual_address = 0x5008,
        .total_latency = 18,
        .issue_latency = 6,
        .translation_latency = 1},
       kTimed(2)},
      {"V09",
       "98 80 00 99 30 00 9a 08 00 b0 00 0b 40 00 00 00 00 80 b2 00 10 00 00 00 7f 00 00 43 0e 49 "
       "bc 62 1e 03 02 00 71 03 00 00 00 00 00 00 00",
       {.pc = kAt(0x40'0b00),
        .type = {kLd, 0xbc},
        .events = kHit | kSpeL1dRefill | kSpeLlcAccess | kSpeLlcMiss | 1 << 17,
        .loads = true,
        .has_address = true,
        .virtual_address = 0x7f00'0000'1000,
        .source = SpeDataSource::kDram,
        .total_latency = 128,
        .issue_latency = 48,
        .translation_latency = 8},
       {.data_source = true, .timestamp = 3}},
      {"V10",
       "98 06 00 99 02 00 b0 10 0b 40 00 00 00 00 80 48 4e 62 02 00 04 00 71 04 00 00 00 00 00 00 "
       "00",
       {.pc = kAt(0x40'0b10),
        .type = {Class::kOther, 0x4e},
        .events = kSpeRetired | 1 << 18,
        .total_latency = 6,
        .issue_latency = 2},
       kTimed(4)},
      {"V11",
       "98 bc 02 99 20 00 9a 00 00 b0 00 08 c2 b1 aa aa 00 80 b2 00 10 00 90 ff ff 00 00 b3 00 10 "
       "90 00 20 00 00 80 43 0d 49 00 52 1e 07 71 30 68 45 23 01 00 00 00",
       {.pc = kAt(0xaaaa'b1c2'0800),
        .type = {kLd, 0x00},
        .events = kHit | kSpeL1dRefill | kSpeLlcAccess | kSpeLlcMiss | kSpeRemoteAccess,
        .loads = true,
        .has_address = true,
        .virtual_address = 0xffff'9000'1000,
        .physical_address = 0x20'0090'1000,
        .source = SpeDataSource::kRemote,
        .total_latency = 700,
        .issue_latency = 32},
       {.physical_address = true, .data_source = true, .timestamp = 0x1'2345'6830}},
      {"V12",
       "98 ff 0f 99 ff 0f 9a ff 0f b0 00 0c 40 00 00 00 00 80 b2 00 00 ad de 00 00 00 00 49 00 52 "
       "33 00 01",
       {.pc = kAt(0x40'0c00),
        .type = {kLd, 0x00},
        .events = kSpeException | kSpeRetired | kSpeTlbAccess | kSpeTlbWalk,
        .loads = true,
        .has_address = true,
        .virtual_address = 0xdead'0000,
        .total_latency = 4096,
        .issue_latency = 5000,
        .translation_latency = 0xffff'ffff},
       kBare},
      {"V13",
       "98 02 00 99 01 00 b0 04 0c 40 00 00 00 00 80 48 01 42 42 01",
       {.pc = kAt(0x40'0c04),
        .type = {Class::kOther, 0x01},
        .events = kSpeRetired | kSpeNotTaken,
        .total_latency = 2,
        .issue_latency = 1},
       kBare},
      {"V16",
       "64 11 01 00 00 65 22 02 00 00 98 0b 00 99 05 00 9a 01 00 b0 10 0d 40 00 00 00 00 80 b2 00 "
       "60 00 00 00 00 00 00 49 05 52 16 00 71 06 00 00 00 00 00 00 00",
       {.pc = kAt(0x40'0d10),
        .type = {kLd, 0x05},
        .events = kHit,
        .stores = true,
        .has_address = true,
        .virtual_address = 0x6000,
        .total_latency = 11,
        .issue_latency = 5,
        .translation_latency = 1,
        .context_el1 = 0x111},
       {.context_el1 = true, .context_el2 = 0x222, .timestamp = 6}},
      {"V17",
       "98 01 00 99 00 00 b0 20 0d 40 00 00 00 00 80 48 00 72 02 10 00 00 00 00 01 00 01",
       {.pc = kAt(0x40'0d20), .events = kSpeRetired | 1 << 12 | std::uint64_t{1} << 48},
       kBare},
      {"V18",
       "98 04 00 99 01 00 b0 24 0d 40 00 00 00 00 80 b1 00 0e 40 00 00 00 00 80 4a 0a 42 02 71 07 "
       "00 00 00 00 00 00 00",
       {.pc = kAt(0x40'0d24),
        .type = {Class::kBranch, 0x0a},
        .target = kAt(0x40'0e00),
        .total_latency = 4,
        .issue_latency = 1},
       kTimed(7)},
  });
}();

}  // namespace vpmu::silicon::arm64
