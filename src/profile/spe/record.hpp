// SPDX-License-Identifier: MIT
//
// A record of SPE as it was decoded: what its packets said, and which were there.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "vpmu/silicon/arm64/spe_operation.hpp"
#include "vpmu/silicon/arm64/spe_record.hpp"

namespace vpmu::profile::spe {

/// Of an address payload; above are the exception level, the security state, tags.
inline constexpr std::uint64_t kAddressMask = (std::uint64_t{1} << 56) - 1;

struct Record {
  /// Addresses are bits 0 to 4, by index; counters 8 to 10; contexts 16 and 17.
  enum Part : std::uint32_t {
    kPc = 1 << 0,
    kTarget = 1 << 1,
    kVirtual = 1 << 2,
    kPhysical = 1 << 3,
    kPreviousTarget = 1 << 4,
    kTotalLatency = 1 << 8,
    kIssueLatency = 1 << 9,
    kTranslationLatency = 1 << 10,
    kContextEl1 = 1 << 16,
    kContextEl2 = 1 << 17,
    kDataSource = 1 << 18,
    kOperation = 1 << 19,
    kEvents = 1 << 20,
    kTimestamp = 1 << 21,
  };
  static constexpr unsigned kFirstLatency = 8, kFirstContext = 16;
  static constexpr std::size_t kAddresses = 5, kLatencies = 3, kContexts = 2;

  std::uint32_t parts = 0;
  std::uint16_t source = 0;
  silicon::arm64::SpeOperationType operation;
  std::array<std::uint64_t, kAddresses> address{};  ///< payloads, by index
  std::array<std::uint16_t, kLatencies> latency{};  ///< cycles, by counter index
  std::array<std::uint32_t, kContexts> context{};   ///< CONTEXTIDR_EL1, CONTEXTIDR_EL2
  std::uint64_t events = 0;
  std::uint64_t timestamp = 0;  ///< ticks of the generic counter

  [[nodiscard]] bool has(std::uint32_t wanted) const { return (parts & wanted) == wanted; }
  [[nodiscard]] bool is_load_or_store() const {
    return has(kOperation) && operation.of == silicon::arm64::SpeOperationType::Class::kLoadStore;
  }
  /// Atomics that return a value are loads.
  [[nodiscard]] bool is_load() const { return is_load_or_store() && (operation.payload & 1) == 0; }
  [[nodiscard]] bool is_store() const { return is_load_or_store() && (operation.payload & 1) != 0; }
  [[nodiscard]] bool is_branch() const {
    return has(kOperation) && operation.of == silicon::arm64::SpeOperationType::Class::kBranch;
  }

  friend bool operator==(const Record&, const Record&) = default;
};

/// A place in code: an address as a pointer has it, sign-extended from bit 55, and the level.
struct CodePlace {
  std::uint64_t address = 0;
  unsigned level = 0;
};
CodePlace code_place(std::uint64_t payload);

/// A data virtual address without its tag, sign-extended from bit 55.
std::uint64_t data_address(std::uint64_t payload);

/// In the words of `perf report -D` 6.1: "LD GP-REG", "B COND".
std::string operation_text(const silicon::arm64::SpeOperationType& operation);

/// As Neoverse cores number them, up to 0xf: "L1", "DRAM". Empty: there is none of that number.
std::string_view data_source_name(unsigned source);
inline constexpr unsigned kDataSources = 16;

}  // namespace vpmu::profile::spe
