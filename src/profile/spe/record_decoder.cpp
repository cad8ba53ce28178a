// SPDX-License-Identifier: MIT
#include "profile/spe/record_decoder.hpp"

#include <algorithm>

#include "vpmu/base/ensure.hpp"

namespace vpmu::profile::spe {

std::size_t RecordDecoder::padding(std::span<const std::uint8_t> bytes) {
  const auto end =
      std::find_if(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte != 0; });
  return static_cast<std::size_t>(end - bytes.begin());
}

void RecordDecoder::keep(std::span<const std::uint8_t> bytes) {
  ensure(bytes.size() < carry_.size());
  std::copy(bytes.begin(), bytes.end(), carry_.begin());
  carried_ = bytes.size();
}

WholeRecords whole_records(std::span<const std::uint8_t> bytes) {
  WholeRecords whole;
  bool in_record = false;
  for (std::size_t at = 0; const auto packet = packet_at(bytes.subspan(at));) {
    at += packet->size;
    if (packet->kind == PacketKind::kTimestamp) {
      whole.first_timestamp = std::min(whole.first_timestamp, packet->payload);
      whole.last_timestamp = std::max(whole.last_timestamp, packet->payload);
    }
    if (packet->kind == PacketKind::kTimestamp || packet->kind == PacketKind::kEnd) {
      ++whole.records;
      in_record = false;
    } else if (packet->kind != PacketKind::kPadding) {
      in_record = true;
    }
    if (!in_record) whole.bytes = at;
  }
  return whole;
}

}  // namespace vpmu::profile::spe
