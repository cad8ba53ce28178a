// SPDX-License-Identifier: MIT
#include "machine/devices/exit_port.hpp"

namespace vpmu::machine {

std::uint32_t ExitPort::read_port(std::uint16_t /*port*/, unsigned /*bytes*/) {
  return 0;
}

void ExitPort::write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) {
  if (port != kPort) return;
  control_.exit(value & (~0U >> (32 - 8 * bytes)));
}

}  // namespace vpmu::machine
