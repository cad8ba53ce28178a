// SPDX-License-Identifier: MIT
#include "machine/devices/io_apic.hpp"

#include "machine/cannot_hold.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint64_t kIndexOffset = 0x00, kDataOffset = 0x10, kEoiOffset = 0x40;
constexpr std::uint8_t kIdIndex = 0, kVersionIndex = 1, kArbitrationIndex = 2, kEntryIndex = 0x10;
constexpr std::uint32_t kVersion = 0x20 | (IoApic::kPins - 1) << 16;
}  // namespace

IoApic::IoApic(ApicBus& bus) : bus_{bus} {
  bus.set_eoi_listener(this);
  reset();
}

void IoApic::reset() {
  const std::uint32_t lines = state_.high;
  state_ = State{};
  state_.high = lines;
  for (Redirection& entry : state_.entry) entry.set(Redirection::kMask, 1);
}

void IoApic::set_pin(unsigned pin, bool high) {
  if (pin >= kPins || is_high(pin) == high) return;
  state_.high ^= 1U << pin;
  if (!high) return;
  const Redirection entry = state_.entry[pin];
  if (entry.get(Redirection::kMask) != 0) return;
  if (entry.get(Redirection::kLevel) != 0) {
    drive_level(pin);
  } else {
    send(pin);
  }
}

void IoApic::drive_level(unsigned pin) {
  const Redirection entry = state_.entry[pin];
  if (is_high(pin) && entry.get(Redirection::kLevel) != 0 && entry.get(Redirection::kMask) == 0 &&
      entry.get(Redirection::kRemoteIrr) == 0) {
    send(pin);
  }
}

void IoApic::send(unsigned pin) {
  const Redirection entry = state_.entry[pin];
  InterruptMessage message;
  message.mode = static_cast<DeliveryMode>(entry.get(Redirection::kDeliveryMode));
  const bool has_level =
      message.mode == DeliveryMode::kFixed || message.mode == DeliveryMode::kLowestPriority;
  message.vector = static_cast<std::uint8_t>(entry.get(Redirection::kVector));
  message.logical = entry.get(Redirection::kLogical) != 0;
  message.destination = static_cast<std::uint32_t>(entry.get(Redirection::kDestination));
  message.level_triggered = has_level && entry.get(Redirection::kLevel) != 0;
  // Only what somebody accepted will see an EOI.
  if (bus_.deliver(message) && message.level_triggered) {
    state_.entry[pin].set(Redirection::kRemoteIrr, 1);
  }
}

void IoApic::on_eoi(std::uint8_t vector) {
  for (unsigned pin = 0; pin < kPins; ++pin) {
    Redirection& entry = state_.entry[pin];
    if (entry.get(Redirection::kRemoteIrr) == 0 || entry.get(Redirection::kVector) != vector) {
      continue;
    }
    entry.set(Redirection::kRemoteIrr, 0);
    drive_level(pin);
  }
}

std::uint32_t IoApic::read_register() const {
  switch (state_.index) {
    case kIdIndex:
    case kArbitrationIndex: return std::uint32_t{state_.id} << 24;
    case kVersionIndex: return kVersion;
    default: break;
  }
  const unsigned pin = (state_.index - kEntryIndex) / 2U;
  if (state_.index < kEntryIndex || pin >= kPins) return 0;
  return static_cast<std::uint32_t>(state_.entry[pin].raw >> (state_.index % 2 * 32));
}

void IoApic::write_register(std::uint32_t value) {
  if (state_.index == kIdIndex) {
    state_.id = static_cast<std::uint8_t>(value >> 24 & 0xf);
    return;
  }
  const unsigned pin = (state_.index - kEntryIndex) / 2U;
  if (state_.index < kEntryIndex || pin >= kPins) return;
  Redirection& entry = state_.entry[pin];
  const unsigned shift = state_.index % 2 * 32;
  const std::uint64_t writable = Redirection::kWritable & std::uint64_t{0xffffffff} << shift;
  entry.raw = (entry.raw & ~writable) | (std::uint64_t{value} << shift & writable);
  if (entry.get(Redirection::kLevel) == 0) entry.set(Redirection::kRemoteIrr, 0);
  drive_level(pin);
}

std::uint64_t IoApic::read_mmio(std::uint64_t offset, unsigned bytes) {
  const std::uint64_t ones = ~std::uint64_t{0} >> (64 - 8 * bytes);
  switch (offset) {
    case kIndexOffset: return state_.index;
    case kDataOffset: return read_register() & ones;
    default: return 0;
  }
}

void IoApic::write_mmio(std::uint64_t offset, unsigned /*bytes*/, std::uint64_t value) {
  switch (offset) {
    case kIndexOffset: state_.index = static_cast<std::uint8_t>(value); break;
    case kDataOffset: write_register(static_cast<std::uint32_t>(value)); break;
    case kEoiOffset: on_eoi(static_cast<std::uint8_t>(value)); break;
    default: break;
  }
}

Result<void> IoApic::restore(const State& state) {
  constexpr std::uint64_t kEntryBits = Redirection::kWritable | mask_of(Redirection::kRemoteIrr);
  if (state.id > 0xf) return cannot_hold("ID", state.id);
  if (state.high >> kPins != 0) return cannot_hold("lines", state.high);
  for (const Redirection& entry : state.entry) {
    if ((entry.raw & ~kEntryBits) != 0) return cannot_hold("redirection entry", entry.raw);
  }
  state_ = state;
  return {};
}

}  // namespace vpmu::machine
