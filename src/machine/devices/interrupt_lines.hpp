// SPDX-License-Identifier: MIT
//
// The interrupt wires of the machine as its devices see them: a numbered line that is high or low.
// On a PC lines 0..15 are the ISA interrupts, 16..23 exist on the I/O APIC only; on an Arm board a
// line's number is its INTID. Setting a line to the level it has is allowed and changes nothing.
#pragma once

namespace vpmu::machine {

class InterruptLines {
 public:
  virtual void set_line(unsigned line, bool high) = 0;

 protected:
  ~InterruptLines() = default;
};

}  // namespace vpmu::machine
