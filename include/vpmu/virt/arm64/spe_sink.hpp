// SPDX-License-Identifier: MIT
//
// Where the buffer management interrupt of a virtual SPE goes: a level, of which the machine makes
// a private peripheral interrupt.
#pragma once

namespace vpmu::virt::arm64 {

class SpeSink {
 public:
  /// The interrupt of this number, a PPI of this vCPU's, is SPE's from now on. False: it belongs to
  /// another device.
  virtual bool own_interrupt(unsigned irq) = 0;

  /// The buffer management interrupt is now asserted, or no longer. Told of changes only, outside
  /// of the guest.
  virtual void set_buffer_line(bool asserted) = 0;

 protected:
  ~SpeSink() = default;
};

}  // namespace vpmu::virt::arm64
