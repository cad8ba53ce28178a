// SPDX-License-Identifier: MIT
#include "machine/devices/exit_device.hpp"

namespace vpmu::machine {

std::uint64_t ExitDevice::read_mmio(std::uint64_t /*offset*/, unsigned /*bytes*/) {
  return 0;
}

void ExitDevice::write_mmio(std::uint64_t offset, unsigned bytes, std::uint64_t value) {
  if (offset != 0) return;
  control_.exit(static_cast<std::uint32_t>(value & (~std::uint64_t{0} >> (64 - 8 * bytes))));
}

}  // namespace vpmu::machine
