// SPDX-License-Identifier: MIT
#include "machine/devices/gic_bank.hpp"

#include "machine/cannot_hold.hpp"

namespace vpmu::machine {

using Kind = GicBankAccess::Kind;

namespace {
constexpr std::uint64_t kGroupOffset = 0x80, kPriorityOffset = 0x400, kPriorityEnd = 0x800,
                        kConfigureOffset = 0xc00, kConfigureEnd = 0xd00;
constexpr unsigned kConfiguredByOne = 16;  // interrupts of one ICFGR: two bits each, 1 is the edge
}  // namespace

GicBankAccess GicBankAccess::decode(std::uint64_t offset, unsigned bytes) {
  const auto at = static_cast<unsigned>(offset);
  if (offset >= kPriorityOffset && offset < kPriorityEnd) {
    const bool fits = bytes == 1 || (bytes == 4 && offset % 4 == 0);
    if (!fits) return {};
    return {Kind::kPriority, at - static_cast<unsigned>(kPriorityOffset), bytes};
  }
  if (bytes != 4 || offset % 4 != 0) return {};
  if (offset >= kGroupOffset && offset < kPriorityOffset) {
    return {static_cast<Kind>(at / 0x80 - 1), at % 0x80 / 4 * 32, bytes};
  }
  if (offset >= kConfigureOffset && offset < kConfigureEnd) {
    return {Kind::kConfigure, at % 0x100 / 4 * kConfiguredByOne, bytes};
  }
  return {};
}

void GicBank::set_line(unsigned number, bool is_high) {
  const std::uint32_t bit = 1U << number;
  if (is_high && (high & bit) == 0) latched |= bit & edge;
  high = is_high ? high | bit : high & ~bit;
}

void GicBank::acknowledge(unsigned number) {
  latched &= ~(1U << number);
  active |= 1U << number;
}

std::uint32_t GicBank::read(const GicBankAccess& access) const {
  const unsigned first = access.intid % 32;
  std::uint32_t value = 0;
  switch (access.kind) {
    case Kind::kGroup: return group1;
    case Kind::kSetEnable:
    case Kind::kClearEnable: return enabled;
    case Kind::kSetPending:
    case Kind::kClearPending: return pending();
    case Kind::kSetActive:
    case Kind::kClearActive: return active;
    case Kind::kPriority:
      for (unsigned i = 0; i < access.bytes; ++i) {
        value |= std::uint32_t{priority[first + i]} << (8 * i);
      }
      return value;
    case Kind::kConfigure:
      for (unsigned i = 0; i < kConfiguredByOne; ++i)
        value |= (edge >> (first + i) & 1) << (2 * i + 1);
      return value;
    case Kind::kNone: break;
  }
  return 0;
}

void GicBank::write(const GicBankAccess& access, std::uint32_t value) {
  const unsigned first = access.intid % 32;
  switch (access.kind) {
    case Kind::kGroup: group1 = value; break;
    case Kind::kSetEnable: enabled |= value; break;
    case Kind::kClearEnable: enabled &= ~value; break;
    case Kind::kSetPending: latched |= value; break;
    case Kind::kClearPending: latched &= ~value; break;
    case Kind::kSetActive: active |= value; break;
    case Kind::kClearActive: active &= ~value; break;
    case Kind::kPriority:
      for (unsigned i = 0; i < access.bytes; ++i) {
        priority[first + i] = static_cast<std::uint8_t>(value >> (8 * i)) & gic::kPriorityBits;
      }
      break;
    case Kind::kConfigure:
      for (unsigned i = 0; i < kConfiguredByOne; ++i) {
        const std::uint32_t bit = 1U << (first + i);
        edge = (value >> (2 * i + 1) & 1) != 0 ? edge | bit : edge & ~bit;
      }
      break;
    case Kind::kNone: break;
  }
}

Result<void> GicBank::check(std::uint32_t always_edge) const {
  if ((edge & always_edge) != always_edge) return cannot_hold("ICFGR", edge);
  if ((high & always_edge) != 0) return cannot_hold("lines", high);
  for (const std::uint8_t each : priority) {
    if ((each & ~gic::kPriorityBits) != 0) return cannot_hold("priority", each);
  }
  return {};
}

}  // namespace vpmu::machine
