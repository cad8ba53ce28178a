// SPDX-License-Identifier: MIT
//
// Any bytes as a trace of SPE: every packet has a size and a text, no byte beyond the end is looked
// at, and in whatever pieces they come, the records are the same. The first byte says how long the
// pieces are.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "messages.hpp"
#include "profile/spe/record_decoder.hpp"

namespace {
using namespace vpmu::profile::spe;
using vpmu::fuzz::check;
using Bytes = std::span<const std::uint8_t>;

void look_at_packets(Bytes bytes) {
  while (const auto packet = packet_at(bytes)) {
    check(packet->size != 0 && packet->size <= kLongestPacket, "a packet of no size", "");
    const std::string text = packet_text(*packet);
    check(!text.empty() && text.size() < 200, "a packet's text", text);
    bytes = bytes.subspan(packet->size);
  }
  check(bytes.size() < kLongestPacket, "no packet where there is room for one", "");
}

struct Decoded {
  std::vector<Record> records;
  DecoderTotals totals;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded decode(Bytes bytes, std::size_t piece) {
  Decoded decoded;
  RecordDecoder decoder;
  while (!bytes.empty()) {
    const Bytes some = bytes.first(std::min(piece, bytes.size()));
    // Of its own, so that reading beyond it is seen.
    const std::vector<std::uint8_t> copy(some.begin(), some.end());
    decoder.decode(copy, [&](const Record& record) { decoded.records.push_back(record); });
    bytes = bytes.subspan(some.size());
  }
  decoded.totals = decoder.finish();
  return decoded;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes bytes{data + 1, size - 1};
  look_at_packets(bytes);
  const Decoded whole = decode(bytes, std::max<std::size_t>(bytes.size(), 1));
  check(whole == decode(bytes, 1u + data[0]), "other records in pieces", "");
  check(whole.totals.records == whole.records.size(), "a record that was not counted", "");
  check(whole.totals.bytes == bytes.size(), "a byte that was not counted", "");
  const std::size_t cut = whole_records(bytes).bytes;
  check(cut <= bytes.size(), "more whole records than bytes", "");
  check(!decode(bytes.first(cut), 64).totals.cut_short, "a cut within a record", "");
  return 0;
}
