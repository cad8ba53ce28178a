// SPDX-License-Identifier: MIT
//
// What a local APIC does to its CPU other than offering it interrupts. One per vCPU, implemented by
// the machine. Calls may come while another vCPU of the machine runs.
#pragma once

#include <cstdint>

namespace vpmu::machine {

class CpuSignals {
 public:
  virtual void nmi() = 0;
  /// The APIC's own registers are reset already.
  virtual void init() = 0;
  virtual void sipi(std::uint8_t vector) = 0;
  /// LocalApic::interrupt_waiting() may have become true.
  virtual void wake() = 0;

 protected:
  ~CpuSignals() = default;
};

/// Who supplies the vector of an ExtINT: the 8259.
class ExtIntSource {
 public:
  /// Interrupt acknowledge cycle.
  virtual std::uint8_t acknowledge() = 0;

 protected:
  ~ExtIntSource() = default;
};

}  // namespace vpmu::machine
