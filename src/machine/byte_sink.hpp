// SPDX-License-Identifier: MIT
//
// Where a serial port's output goes. Called once per byte, in the middle of a guest instruction:
// implementations buffer rather than block.
#pragma once

#include <cstdint>

namespace vpmu::machine {

class ByteSink {
 public:
  virtual void put(std::uint8_t byte) = 0;

 protected:
  ~ByteSink() = default;
};

}  // namespace vpmu::machine
