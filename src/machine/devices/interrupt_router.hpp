// SPDX-License-Identifier: MIT
//
// The wiring of a PC: interrupt lines go to the 8259s and to the I/O APIC, the timer's line 0 to
// pin 2 of the latter; the 8259's output goes to LINT0 of the boot CPU.
#pragma once

#include "machine/devices/interrupt_lines.hpp"
#include "machine/devices/io_apic.hpp"
#include "machine/devices/pic8259.hpp"

namespace vpmu::machine {

class LocalApic;

class InterruptRouter final : public InterruptLines, public PicOutput {
 public:
  /// Connects itself to the output of `pic`.
  InterruptRouter(Pic8259& pic, IoApic& io_apic);

  /// The local APIC of the boot CPU. It is created after the router: the 8259 is its ExtINT source.
  void connect_lint0(LocalApic* apic) { lint0_ = apic; }

  void set_line(unsigned line, bool high) override;
  void set_pic_output(bool high) override;

 private:
  Pic8259& pic_;
  IoApic& io_apic_;
  LocalApic* lint0_ = nullptr;
};

}  // namespace vpmu::machine
