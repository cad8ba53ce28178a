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

std::size_t whole_records(std::span<const std::uint8_t> bytes) {
  std::size_t whole = 0;
  bool in_record = false;
  for (std::size_t at = 0; const auto packet = packet_at(bytes.subspan(at));) {
    at += packet->size;
    in_record = packet->kind == PacketKind::kPadding
                    ? in_record
                    : packet->kind != PacketKind::kEnd && packet->kind != PacketKind::kTimestamp;
    if (!in_record) whole = at;
  }
  return whole;
}

}  // namespace vpmu::profile::spe
