// SPDX-License-Identifier: MIT
//
// The other end of the machine's serial port.
#pragma once

#include <cstdint>
#include <optional>

#include "machine/byte_sink.hpp"

namespace vpmu::machine {

class Console : public ByteSink {
 public:
  /// The next byte that was typed, if there is one; never blocks.
  virtual std::optional<std::uint8_t> next_input() = 0;
  /// All vCPUs are halted, and only input can wake them: waits for some, up to a tenth of a second.
  /// False: there will be none.
  virtual bool wait_for_input() = 0;
  /// Output is to be seen now.
  virtual void flush() = 0;

 protected:
  ~Console() = default;
};

}  // namespace vpmu::machine
