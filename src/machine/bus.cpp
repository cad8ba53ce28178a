// SPDX-License-Identifier: MIT
#include "machine/bus.hpp"

#include <cassert>

namespace vpmu::machine {

namespace {
/// An access must lie within one range: one that runs over its end is nobody's.
template <class Ranges, class Address>
auto* find(Ranges& ranges, Address address, unsigned bytes) {
  for (auto& range : ranges) {
    if (address >= range.first && address - range.first + bytes <= range.length_in_bytes()) {
      return &range;
    }
  }
  return static_cast<decltype(&ranges.front())>(nullptr);
}

constexpr std::uint64_t all_ones(unsigned bytes) {
  return ~std::uint64_t{0} >> (64 - 8 * bytes);
}
}  // namespace

void Bus::add_ports(std::uint16_t first, std::uint32_t count, PortDevice& device) {
  assert(count > 0 && first + count <= 0x10000);
  ports_.push_back({first, count, &device});
}

void Bus::add_mmio(std::uint64_t first, std::uint64_t length, MmioDevice& device) {
  assert(length > 0);
  mmio_.push_back({first, length, &device});
}

std::uint32_t Bus::read_port(std::uint16_t port, unsigned bytes) {
  const auto* range = find(ports_, port, bytes);
  if (range == nullptr) return static_cast<std::uint32_t>(all_ones(bytes));
  return range->device->read_port(port, bytes);
}

void Bus::write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) {
  const auto* range = find(ports_, port, bytes);
  if (range != nullptr) range->device->write_port(port, bytes, value);
}

bool Bus::answers_mmio(std::uint64_t address, unsigned bytes) const {
  return find(mmio_, address, bytes) != nullptr;
}

std::uint64_t Bus::read_mmio(std::uint64_t address, unsigned bytes) {
  const auto* range = find(mmio_, address, bytes);
  if (range == nullptr) return nobody_ & all_ones(bytes);
  return range->device->read_mmio(address - range->first, bytes);
}

void Bus::write_mmio(std::uint64_t address, unsigned bytes, std::uint64_t value) {
  const auto* range = find(mmio_, address, bytes);
  if (range != nullptr) range->device->write_mmio(address - range->first, bytes, value);
}

}  // namespace vpmu::machine
