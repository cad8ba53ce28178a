// SPDX-License-Identifier: MIT
//
// How a guest ends its run through a device. Called in the middle of a guest instruction: the
// machine notes it and stops the CPUs at the next instruction boundary. A device may call again
// before that; the first call counts.
#pragma once

#include <cstdint>

namespace vpmu::machine {

class MachineControl {
 public:
  /// The debug-exit port was written. The exit status of the run is `(code << 1) | 1`.
  virtual void exit(std::uint32_t code) = 0;
  virtual void power_off() = 0;
  virtual void reset() = 0;

 protected:
  ~MachineControl() = default;
};

}  // namespace vpmu::machine
