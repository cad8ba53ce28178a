// SPDX-License-Identifier: MIT
//
// An event gate that a test opens and closes by hand, and that knows how often it was asked.
#pragma once

#include <cstdint>
#include <vector>

#include "vpmu/virt/x86/event_gate.hpp"

namespace vpmu::virt::x86 {

class FakeEventGate final : public EventGate {
 public:
  [[nodiscard]] bool admits(silicon::x86::EventSelector event) const override {
    ++questions;
    for (const auto& each : denied) {
      if (each == event) return false;
    }
    return true;
  }
  [[nodiscard]] bool admits_fixed(unsigned k) const override {
    ++questions;
    return (denied_fixed >> k & 1) == 0;
  }

  std::vector<silicon::x86::EventSelector> denied;
  std::uint32_t denied_fixed = 0;
  mutable int questions = 0;
};

}  // namespace vpmu::virt::x86
