// SPDX-License-Identifier: MIT
//
// Packets of SPE records, Arm ARM D18.1 and D18.2, out of bytes that may be anything. A packet's
// first byte says how long it is, so that what nobody knows is passed over.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "vpmu/silicon/arm64/spe_record.hpp"

namespace vpmu::profile::spe {

enum class PacketKind : std::uint8_t {
  kPadding,
  kEnd,
  kTimestamp,
  kEvents,
  kDataSource,
  kContext,    ///< `index` 0: EL1, 1: EL2; others are reserved
  kOperation,  ///< `index` 0: other, 1: load or store, 2: branch; 3 is reserved
  kAddress,
  kCounter,
  kReserved,  ///< of a kind that is not known, passed over by its size
  kFiller,    ///< 20..23 00, not of the architecture: some units filled up buffers so
  kBad,       ///< a byte that begins no packet
};

struct Packet {
  PacketKind kind = PacketKind::kBad;
  std::uint8_t index = 0;
  std::uint8_t size = 0;           ///< bytes, with the header
  std::uint8_t payload_bytes = 0;  ///< 0, 1, 2, 4 or 8
  std::uint64_t payload = 0;
};

/// Extended header and 8 bytes of payload.
inline constexpr std::size_t kLongestPacket = 10;

namespace detail {

/// What a first byte says; of extended headers, the second.
struct Header {
  PacketKind kind = PacketKind::kReserved;
  std::uint8_t index = 0;
  std::uint8_t payload_bytes = 0;
};

constexpr Header header_of(unsigned byte) {
  namespace packet = silicon::arm64::spe_packet;
  constexpr unsigned kSizeMask = 0x30, kIndexMask = 7, kLastWithoutPayload = 0x1f;
  if (byte <= kLastWithoutPayload) {
    return {byte == packet::kPadding ? PacketKind::kPadding
            : byte == packet::kEnd   ? PacketKind::kEnd
                                     : PacketKind::kBad,
            0, 0};
  }
  Header header{PacketKind::kReserved, 0, static_cast<std::uint8_t>(1u << (byte & kSizeMask) / 16)};
  const unsigned sizeless = byte & ~kSizeMask;
  const auto with = [&header](PacketKind kind, unsigned index = 0) {
    header.kind = kind;
    header.index = static_cast<std::uint8_t>(index);
    return header;
  };
  if (byte == packet::kTimestamp) return with(PacketKind::kTimestamp);
  if (sizeless == packet::kEvents) return with(PacketKind::kEvents);
  if (sizeless == packet::kDataSource) return with(PacketKind::kDataSource);
  if ((byte & ~3u) == packet::kContext) return with(PacketKind::kContext, byte & 3);
  if ((byte & ~3u) == 0x48) return with(PacketKind::kOperation, byte & 3);
  if ((byte & ~kIndexMask) == packet::kAddress) return with(PacketKind::kAddress, byte & 7);
  if ((byte & ~kIndexMask) == packet::kCounter) return with(PacketKind::kCounter, byte & 7);
  return header;
}

constexpr std::array<Header, 256> make_headers() {
  std::array<Header, 256> headers;
  for (unsigned byte = 0; byte < headers.size(); ++byte) headers[byte] = header_of(byte);
  return headers;
}
inline constexpr std::array<Header, 256> kHeaders = make_headers();

constexpr bool is_extended(std::uint8_t byte) {
  return (byte & 0xe0) == silicon::arm64::spe_packet::kExtended;
}

/// Of an extended header: addresses and counters have an index above 7, all else is not known.
inline Header extended_header(std::uint8_t first, std::uint8_t second) {
  constexpr std::uint8_t kKnown = 0xfc;
  Header header = second == 0 || is_extended(second) ? Header{} : kHeaders[second];
  const bool known = (first & kKnown) == silicon::arm64::spe_packet::kExtended;
  if (known && second == 0) return {PacketKind::kFiller, 0, 0};
  if (known && (header.kind == PacketKind::kAddress || header.kind == PacketKind::kCounter)) {
    header.index = static_cast<std::uint8_t>(header.index | (first & 3) << 3);
    return header;
  }
  return {PacketKind::kReserved, 0, header.payload_bytes};
}

}  // namespace detail

/// The packet that `bytes` begin with. Nothing: they end within it.
inline std::optional<Packet> packet_at(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return std::nullopt;
  detail::Header header = detail::kHeaders[bytes[0]];
  std::size_t header_bytes = 1;
  if (detail::is_extended(bytes[0])) {
    if (bytes.size() < 2) return std::nullopt;
    header = detail::extended_header(bytes[0], bytes[1]);
    header_bytes = 2;
  }
  const std::size_t size = header_bytes + header.payload_bytes;
  if (bytes.size() < size) return std::nullopt;
  std::uint64_t payload = 0;
  if (bytes.size() >= kLongestPacket) {
    // One load of all sizes; what is too much goes.
    std::memcpy(&payload, bytes.data() + header_bytes, sizeof payload);
    if (header.payload_bytes < sizeof payload) {
      payload &= (std::uint64_t{1} << header.payload_bytes * 8) - 1;
    }
  } else {
    std::memcpy(&payload, bytes.data() + header_bytes, header.payload_bytes);
  }
  return Packet{header.kind, header.index, static_cast<std::uint8_t>(size), header.payload_bytes,
                payload};
}

/// In the words of `perf report -D` 6.1: "LAT 9 TOT", "PC 0x400580 el0 ns=1". Of what is not known,
/// "RESERVED" and its payload.
std::string packet_text(const Packet& packet);

}  // namespace vpmu::profile::spe
