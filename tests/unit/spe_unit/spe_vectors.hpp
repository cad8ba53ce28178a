// SPDX-License-Identifier: MIT
//
// The operations of the hand-composed records, of which the decoder's tests have the bytes. Two are
// for decoders only, since no operation has what they say: V14 counters and addresses of indices
// above 7 and a previous branch target, V15 an allocation tag.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "unit/profile/spe/vectors.hpp"
#include "vpmu/silicon/arm64/spe_operation.hpp"
#include "vpmu/silicon/arm64/spe_record.hpp"

namespace vpmu::silicon::arm64 {

struct SpeVector {
  const char* name;
  SpeOperation operation;
  SpeRecordOptions options;
};

/// Its record, without padding.
inline std::vector<std::uint8_t> bytes_of(const SpeVector& vector) {
  for (const profile::spe::Vector& each : profile::spe::kVectors) {
    if (std::string_view{each.name} == vector.name) return profile::spe::bytes_of(each.hex);
  }
  return {};
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
      {"V01", {.pc = kAt(0x40'0580), .total_latency = 5, .issue_latency = 3}, kBare},
      {"V02",
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
       {.pc = kAt(0xaaaa'b1c2'0600),
        .type = {Class::kBranch, 0x01},
        .events = kSpeRetired | kSpeMispredicted,
        .target = kAt(0xaaaa'b1c2'0640),
        .total_latency = 7,
        .issue_latency = 2},
       kTimed(0x1'2345'6810)},
      {"V05",
       {.pc = kAt(0xaaaa'b1c2'0604),
        .type = {Class::kBranch, 0x01},
        .events = kSpeRetired | kSpeNotTaken,
        .total_latency = 3,
        .issue_latency = 1},
       kBare},
      {"V06",
       {.pc = kAt(0xffff'8000'0801'1c40, 1),
        .type = {Class::kBranch, 0x02},
        .target = kAt(0xaaaa'b1c2'0700),
        .total_latency = 28,
        .issue_latency = 8},
       kTimed(0x1'2345'6820)},
      {"V07",
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
       {.pc = kAt(0x40'0b10),
        .type = {Class::kOther, 0x4e},
        .events = kSpeRetired | 1 << 18,
        .total_latency = 6,
        .issue_latency = 2},
       kTimed(4)},
      {"V11",
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
       {.pc = kAt(0x40'0c04),
        .type = {Class::kOther, 0x01},
        .events = kSpeRetired | kSpeNotTaken,
        .total_latency = 2,
        .issue_latency = 1},
       kBare},
      {"V16",
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
       {.pc = kAt(0x40'0d20), .events = kSpeRetired | 1 << 12 | std::uint64_t{1} << 48},
       kBare},
      {"V18",
       {.pc = kAt(0x40'0d24),
        .type = {Class::kBranch, 0x0a},
        .target = kAt(0x40'0e00),
        .total_latency = 4,
        .issue_latency = 1},
       kTimed(7)},
  });
}();

}  // namespace vpmu::silicon::arm64
