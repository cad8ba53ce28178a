// SPDX-License-Identifier: MIT
//
// EventGate: which events a guest may count. The PMU asks whenever it is about to let a counter
// count, and when the guest asks which events there are; it never remembers an answer. SW_INCR and
// CHAIN, which the PMU makes itself, are counted without asking.
//
// Called on the thread that runs the vCPU; must not allocate, lock or call back.
#pragma once

#include <cstdint>

namespace vpmu::virt::arm64 {

class EventGate {
 public:
  /// Whether a counter may count this event; the cycle counter's is CPU_CYCLES.
  [[nodiscard]] virtual bool admits(std::uint16_t event) const = 0;

 protected:
  ~EventGate() = default;
};

}  // namespace vpmu::virt::arm64
