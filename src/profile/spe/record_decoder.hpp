// SPDX-License-Identifier: MIT
//
// Records out of a trace that comes in pieces, cut anywhere. Bytes may be anything: what is no
// packet is passed over and counted. Memory: one record and one packet, whatever comes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "profile/spe/packet.hpp"
#include "profile/spe/record.hpp"

namespace vpmu::profile::spe {

struct DecoderTotals {
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
  std::uint64_t reserved_packets = 0;  ///< passed over by their size, fillers among them
  std::uint64_t bad_bytes = 0;         ///< bytes that begin no packet
  /// Packets at the end that no End or Timestamp follows, or a part of one.
  bool cut_short = false;
  friend bool operator==(const DecoderTotals&, const DecoderTotals&) = default;
};

class RecordDecoder {
 public:
  /// Calls `on_record(record)` for each record that ends in `bytes`; it is valid during the call.
  /// A packet that says something again takes the place of the one before.
  template <class OnRecord>
  void decode(std::span<const std::uint8_t> bytes, OnRecord&& on_record) {
    totals_.bytes += bytes.size();
    while (carried_ != 0 && !bytes.empty()) {
      carry_[carried_++] = bytes.front();
      bytes = bytes.subspan(1);
      if (const auto packet = packet_at(std::span{carry_}.first(carried_))) {
        carried_ = 0;
        take(*packet, on_record);
      }
    }
    while (!bytes.empty()) {
      if (!in_record_ && bytes.front() == 0) {
        bytes = bytes.subspan(padding(bytes));
        continue;
      }
      const auto packet = packet_at(bytes);
      if (!packet) {
        keep(bytes);
        return;
      }
      take(*packet, on_record);
      bytes = bytes.subspan(packet->size);
    }
  }

  /// Once, behind the last piece.
  const DecoderTotals& finish() {
    totals_.cut_short = in_record_ || carried_ != 0;
    return totals_;
  }
  [[nodiscard]] const DecoderTotals& totals() const { return totals_; }

 private:
  /// How many bytes of padding there are in front.
  static std::size_t padding(std::span<const std::uint8_t> bytes);
  void keep(std::span<const std::uint8_t> bytes);

  template <class OnRecord>
  void take(const Packet& packet, OnRecord& on_record) {
    if (packet.kind == PacketKind::kPadding) return;
    if (packet.kind == PacketKind::kReserved || packet.kind == PacketKind::kFiller) {
      ++totals_.reserved_packets;
      return;
    }
    if (packet.kind == PacketKind::kBad) {
      ++totals_.bad_bytes;
      return;
    }
    add(packet);
    if (packet.kind != PacketKind::kEnd && packet.kind != PacketKind::kTimestamp) return;
    if (record_.parts != 0) {
      ++totals_.records;
      on_record(static_cast<const Record&>(record_));
    }
    record_ = Record{};
    in_record_ = false;
  }
  void add(const Packet& packet) {
    using silicon::arm64::SpeOperationType;
    constexpr unsigned kOperationClasses = 3;
    in_record_ = true;
    Record& record = record_;
    const unsigned index = packet.index;
    switch (packet.kind) {
      case PacketKind::kAddress:
        if (index >= Record::kAddresses) return;
        record.address[index] = packet.payload;
        record.parts |= 1u << index;
        return;
      case PacketKind::kCounter:
        if (index >= Record::kLatencies) return;
        record.latency[index] = static_cast<std::uint16_t>(packet.payload);
        record.parts |= 1u << (Record::kFirstLatency + index);
        return;
      case PacketKind::kContext:
        if (index >= Record::kContexts) {
          ++totals_.reserved_packets;
          return;
        }
        record.context[index] = static_cast<std::uint32_t>(packet.payload);
        record.parts |= 1u << (Record::kFirstContext + index);
        return;
      case PacketKind::kOperation:
        if (index >= kOperationClasses) {
          ++totals_.reserved_packets;
          return;
        }
        record.operation = {static_cast<SpeOperationType::Class>(0x48 + index),
                            static_cast<std::uint8_t>(packet.payload)};
        record.parts |= Record::kOperation;
        return;
      case PacketKind::kDataSource:
        record.source = static_cast<std::uint16_t>(packet.payload);
        record.parts |= Record::kDataSource;
        return;
      case PacketKind::kEvents:
        record.events = packet.payload;
        record.parts |= Record::kEvents;
        return;
      case PacketKind::kTimestamp:
        record.timestamp = packet.payload;
        record.parts |= Record::kTimestamp;
        return;
      default: return;
    }
  }

  Record record_;
  bool in_record_ = false;
  std::size_t carried_ = 0;
  std::array<std::uint8_t, kLongestPacket> carry_{};
  DecoderTotals totals_;
};

/// What of a trace's beginning is whole records: where it may be cut.
struct WholeRecords {
  std::size_t bytes = 0;  ///< with the padding behind the last; 0: none ends
  std::uint64_t records = 0;
  std::uint64_t first_timestamp =
      ~std::uint64_t{0};  ///< the lowest; above the last if there is none
  std::uint64_t last_timestamp = 0;
};
WholeRecords whole_records(std::span<const std::uint8_t> bytes);

}  // namespace vpmu::profile::spe
