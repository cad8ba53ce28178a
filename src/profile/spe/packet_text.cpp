// SPDX-License-Identifier: MIT
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "profile/spe/packet.hpp"
#include "profile/spe/record.hpp"

namespace vpmu::profile::spe {

namespace {

using silicon::arm64::SpeOperationType;

std::string events_text(std::uint64_t events) {
  constexpr std::pair<unsigned, std::string_view> kNames[] = {
      {0, "EXCEPTION-GEN"},     {1, "RETIRED"},        {2, "L1D-ACCESS"},     {3, "L1D-REFILL"},
      {4, "TLB-ACCESS"},        {5, "TLB-REFILL"},     {6, "NOT-TAKEN"},      {7, "MISPRED"},
      {8, "LLC-ACCESS"},        {9, "LLC-REFILL"},     {10, "REMOTE-ACCESS"}, {11, "ALIGNMENT"},
      {17, "SVE-PARTIAL-PRED"}, {18, "SVE-EMPTY-PRED"}};
  std::string text = "EV";
  for (const auto& [bit, name] : kNames) {
    if ((events >> bit & 1) == 0) continue;
    text += ' ';
    text += name;
  }
  return text;
}

std::string address_text(const Packet& packet) {
  namespace spe_packet = silicon::arm64::spe_packet;
  const std::uint64_t payload = packet.payload;
  const std::uint64_t address = payload & kAddressMask;
  switch (packet.index) {
    case spe_packet::kPc:
    case spe_packet::kTarget:
      return fmt::format("{} {:#x} el{} ns={}", packet.index == spe_packet::kPc ? "PC" : "TGT",
                         address, payload >> 61 & 3, payload >> 63);
    case spe_packet::kVirtual: return fmt::format("VA {:#x}", payload);
    case spe_packet::kPhysical:
      return fmt::format("PA {:#x} ns={} ch={} pat={:x}", address, payload >> 63, payload >> 62 & 1,
                         payload >> 56 & 0xf);
    default: return fmt::format("ADDR {:#x} ({})", payload, packet.index);
  }
}

std::string counter_text(const Packet& packet) {
  constexpr std::string_view kNames[] = {" TOT", " ISSUE", " XLAT"};
  return fmt::format("LAT {}{}", packet.payload,
                     packet.index < std::size(kNames) ? kNames[packet.index] : "");
}

}  // namespace

std::string packet_text(const Packet& packet) {
  switch (packet.kind) {
    case PacketKind::kPadding:
    case PacketKind::kFiller: return "PAD";
    case PacketKind::kEnd: return "END";
    case PacketKind::kTimestamp: return fmt::format("TS {}", packet.payload);
    case PacketKind::kEvents: return events_text(packet.payload);
    case PacketKind::kDataSource: return fmt::format("DATA-SOURCE {}", packet.payload);
    case PacketKind::kContext:
      return fmt::format("CONTEXT {:#x} el{}", packet.payload, packet.index + 1);
    case PacketKind::kOperation:
      if (packet.index > 2) {
        return fmt::format("OP-TYPE {:#x} ({})", packet.payload, packet.index);
      }
      return operation_text({static_cast<SpeOperationType::Class>(0x48 + packet.index),
                             static_cast<std::uint8_t>(packet.payload)});
    case PacketKind::kAddress: return address_text(packet);
    case PacketKind::kCounter: return counter_text(packet);
    case PacketKind::kReserved: return fmt::format("RESERVED {:#x}", packet.payload);
    case PacketKind::kBad: break;
  }
  return "Bad packet!";
}

}  // namespace vpmu::profile::spe
