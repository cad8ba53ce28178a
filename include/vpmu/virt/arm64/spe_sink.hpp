// SPDX-License-Identifier: MIT
//
// What a virtual SPE needs of the machine around it: where the buffer management interrupt goes, a
// level, of which the machine makes a private peripheral interrupt; and the guest's buffer in
// memory that the unit can write to without a stage 2 fault.
#pragma once

#include <cstdint>

namespace vpmu::virt::arm64 {

/// Whether a unit may have the guest's buffer, or what the guest finds in PMBSR_EL1 instead.
enum class SpeBufferAnswer : std::uint8_t {
  kReady,
  kTooLarge,     ///< BSC 4: a smaller one would do
  kUnavailable,  ///< an external abort: 0x90060010
};

class SpeSink {
 public:
  /// The interrupt of this number, a PPI of this vCPU's, is SPE's from now on. False: it belongs to
  /// another device.
  virtual bool own_interrupt(unsigned irq) = 0;

  /// The buffer management interrupt is now asserted, or no longer. Told of changes only, outside
  /// of the guest.
  virtual void set_buffer_line(bool asserted) = 0;

  /// The guest is about to be entered with its buffer enabled, from `start` up to `limit`,
  /// addresses of its own that may be anything. Whoever pins buffers rather than all memory does it
  /// here. At each entry: the same buffer again is to cost next to nothing.
  virtual SpeBufferAnswer prepare_buffer(std::uint64_t /*start*/, std::uint64_t /*limit*/) {
    return SpeBufferAnswer::kReady;
  }
  /// It is about to be entered without a buffer.
  virtual void release_buffer() {}

 protected:
  ~SpeSink() = default;
};

}  // namespace vpmu::virt::arm64
