// SPDX-License-Identifier: MIT
//
// Arm semihosting (HLT #0xF000), as much as bare-metal guests need: to write to the console and to
// end the run. Operations that are not listed here give -1, as they would without a debugger's
// file system.
//
// SYS_EXIT and SYS_EXIT_EXTENDED of a 64-bit guest point to two 64-bit words, the reason and a
// subcode. ADP_Stopped_ApplicationExit ends the run as a write of the subcode to the exit device
// does; any other reason, or a block that cannot be read, as a write of 1.
#pragma once

#include <cstdint>
#include <optional>

#include "machine/byte_sink.hpp"
#include "machine/devices/machine_control.hpp"

namespace vpmu::machine {

/// The memory of the vCPU that calls, at its own virtual addresses.
class SemihostingMemory {
 public:
  /// The byte at `address` as the caller could read it; nothing if it could not.
  virtual std::optional<std::uint8_t> peek_byte(std::uint64_t address) = 0;

 protected:
  ~SemihostingMemory() = default;
};

class Semihosting {
 public:
  enum Operation : std::uint32_t {
    kWriteCharacter = 0x03,  ///< SYS_WRITEC: the parameter points to the byte
    kWriteString = 0x04,     ///< SYS_WRITE0: the parameter points to a string that ends with 0
    kExit = 0x18,
    kExitExtended = 0x20,
  };
  static constexpr std::uint64_t kApplicationExit = 0x20026;
  /// Longer strings are cut off, so that no call takes long.
  static constexpr unsigned kLongestString = 64 * 1024;

  Semihosting(MachineControl& control, ByteSink& console) : control_{control}, console_{console} {}

  /// W0 and X1 of the call; what X0 is afterwards.
  std::uint64_t call(std::uint32_t operation, std::uint64_t parameter, SemihostingMemory& memory);

 private:
  void write_string(std::uint64_t address, SemihostingMemory& memory);

  MachineControl& control_;
  ByteSink& console_;
};

}  // namespace vpmu::machine
