// SPDX-License-Identifier: MIT
//
// A serial port as what is typed reaches it.
#pragma once

#include <cstdint>

namespace vpmu::machine {

class ByteReceiver {
 public:
  /// There is room for a byte.
  [[nodiscard]] virtual bool can_receive() const = 0;
  /// A byte comes in. If there is no room it is lost and the guest sees an overrun.
  virtual void receive(std::uint8_t byte) = 0;

 protected:
  ~ByteReceiver() = default;
};

}  // namespace vpmu::machine
