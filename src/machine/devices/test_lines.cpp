// SPDX-License-Identifier: MIT
#include "machine/devices/test_lines.hpp"

namespace vpmu::machine {

std::uint32_t TestLines::read_port(std::uint16_t /*port*/, unsigned bytes) {
  return ~0U >> (32 - 8 * bytes);
}

void TestLines::write_port(std::uint16_t port, unsigned /*bytes*/, std::uint32_t value) {
  lines_.set_line(static_cast<unsigned>(port - kFirstPort), value != 0);
}

}  // namespace vpmu::machine
