// SPDX-License-Identifier: MIT
#include "machine/devices/interrupt_router.hpp"

#include "machine/devices/local_apic.hpp"

namespace vpmu::machine {

namespace {
constexpr unsigned kTimerLine = 0, kTimerPin = 2, kIsaLines = 16;
}

InterruptRouter::InterruptRouter(Pic8259& pic, IoApic& io_apic) : pic_{pic}, io_apic_{io_apic} {
  pic.connect(this);
}

void InterruptRouter::set_line(unsigned line, bool high) {
  if (line < kIsaLines) pic_.set_irq(line, high);
  io_apic_.set_pin(line == kTimerLine ? kTimerPin : line, high);
}

void InterruptRouter::set_pic_output(bool high) {
  if (lint0_ != nullptr) lint0_->set_lint(0, high);
}

}  // namespace vpmu::machine
