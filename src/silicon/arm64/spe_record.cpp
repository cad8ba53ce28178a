// SPDX-License-Identifier: MIT
#include "vpmu/silicon/arm64/spe_record.hpp"

#include <algorithm>
#include <bit>

#include "vpmu/base/ensure.hpp"

namespace vpmu::silicon::arm64 {

namespace {

/// Puts packets behind each other.
class Packets {
 public:
  explicit Packets(std::uint8_t* at) : at_{at} {}
  [[nodiscard]] std::uint8_t* end() const { return at_; }

  void add(std::uint8_t header) { *at_++ = header; }
  /// The low `bytes` bytes of `payload`, least significant first.
  void add(std::uint8_t header, std::uint64_t payload, unsigned bytes) {
    *at_++ = header;
    for (unsigned n = 0; n < bytes; ++n) *at_++ = static_cast<std::uint8_t>(payload >> 8 * n);
  }

 private:
  std::uint8_t* at_;
};

constexpr std::uint64_t kAddressBits = (std::uint64_t{1} << 56) - 1;

/// An address with byte 7 in place of its own.
constexpr std::uint64_t with_byte7(std::uint64_t address, unsigned byte7) {
  return (address & kAddressBits) | std::uint64_t{byte7} << 56;
}

std::uint64_t code_address(const SpeOperation::Place& place) {
  return with_byte7(place.address,
                    spe_packet::kNonSecure | unsigned{place.level} << spe_packet::kLevelShift);
}

void add_contexts(Packets& packets, const SpeOperation& operation,
                  const SpeRecordOptions& options) {
  if (options.context_el1) packets.add(spe_packet::kContext, operation.context_el1, 4);
  if (options.context_el2) packets.add(spe_packet::kContext + 1, *options.context_el2, 4);
}

bool accesses_memory(const SpeOperation& operation) {
  return operation.type.of == SpeOperationType::Class::kLoadStore;
}

void add_counters(Packets& packets, const SpeOperation& operation, unsigned counter_bits) {
  using namespace spe_packet;
  const std::uint32_t most = (std::uint32_t{1} << counter_bits) - 1;
  packets.add(kCounter + kTotalLatency, std::min(operation.total_latency, most), 2);
  packets.add(kCounter + kIssueLatency, std::min(operation.issue_latency, most), 2);
  if (accesses_memory(operation)) {
    packets.add(kCounter + kTranslationLatency, std::min(operation.translation_latency, most), 2);
  }
}

void add_addresses(Packets& packets, const SpeOperation& operation,
                   const SpeRecordOptions& options) {
  using namespace spe_packet;
  packets.add(kAddress + kPc, code_address(operation.pc), 8);
  if (operation.type.of == SpeOperationType::Class::kBranch && operation.target) {
    packets.add(kAddress + kTarget, code_address(*operation.target), 8);
  }
  if (!accesses_memory(operation) || !operation.has_address) return;
  packets.add(kAddress + kVirtual, operation.virtual_address, 8);
  if (options.physical_address) {
    packets.add(kAddress + kPhysical, with_byte7(operation.physical_address, kNonSecure), 8);
  }
}

void add_events(Packets& packets, const SpeOperation& operation) {
  // What memory has to say goes up to bit 11.
  const unsigned least = accesses_memory(operation) ? 16 : 8;
  const unsigned needed = std::max<unsigned>(std::bit_width(operation.events), least);
  const unsigned log2_bytes = std::bit_width(needed - 1) - 3;
  packets.add(static_cast<std::uint8_t>(spe_packet::kEvents | log2_bytes << 4), operation.events,
              1U << log2_bytes);
}

}  // namespace

SpeRecord encode(const SpeOperation& operation, const SpeRecordOptions& options) {
  ensure(options.align <= 11 && options.counter_bits <= 16);
  SpeRecord record;
  Packets packets{record.bytes_.data()};
  add_contexts(packets, operation, options);
  add_counters(packets, operation, options.counter_bits);
  add_addresses(packets, operation, options);
  if (options.data_source && accesses_memory(operation) && operation.loads && operation.source) {
    packets.add(spe_packet::kDataSource, static_cast<std::uint8_t>(*operation.source), 1);
  }
  packets.add(static_cast<std::uint8_t>(operation.type.of), operation.type.payload, 1);
  add_events(packets, operation);
  if (options.timestamp) {
    packets.add(spe_packet::kTimestamp, *options.timestamp, 8);
  } else {
    packets.add(spe_packet::kEnd);
  }
  const std::size_t unpadded = packets.end() - record.bytes_.data();
  const std::size_t mask = (std::size_t{1} << options.align) - 1;
  record.size_ = (unpadded + mask) & ~mask;
  std::fill(packets.end(), record.bytes_.data() + record.size_, spe_packet::kPadding);
  return record;
}

}  // namespace vpmu::silicon::arm64
