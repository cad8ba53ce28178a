// SPDX-License-Identifier: MIT
//
// What all vCPUs of a PC share: memory, time, buses and devices, wired up. Where each device is and
// which interrupt line it has is said by its own header.
#pragma once

#include <cstdint>

#include "machine/bus.hpp"
#include "machine/clock.hpp"
#include "machine/code_pages.hpp"
#include "machine/devices/apic_bus.hpp"
#include "machine/devices/exit_port.hpp"
#include "machine/devices/fw_cfg.hpp"
#include "machine/devices/interrupt_router.hpp"
#include "machine/devices/io_apic.hpp"
#include "machine/devices/keyboard_controller.hpp"
#include "machine/devices/machine_control.hpp"
#include "machine/devices/pic8259.hpp"
#include "machine/devices/pit8254.hpp"
#include "machine/devices/power_ports.hpp"
#include "machine/devices/rtc.hpp"
#include "machine/devices/test_lines.hpp"
#include "machine/devices/uart16550.hpp"
#include "machine/guest_memory.hpp"
#include "vpmu/silicon/memory_model.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::machine {

/// Everything of a board but its memory. TestLines, the router and the exit port have no state.
struct BoardState {
  std::uint64_t now = 0;  ///< machine time in cycles
  ApicBus::State apic_bus;
  Pic8259::State pic;
  IoApic::State io_apic;
  Pit8254::State pit;
  Rtc::State rtc;
  Uart16550::State com1;
  FwCfg::State fw_cfg;
  PowerPorts::State power_ports;
  KeyboardController::State keyboard;
  friend bool operator==(const BoardState&, const BoardState&) = default;
};

struct Board {
  /// `control` and `console` must outlive the board.
  Board(GuestMemory ram, const silicon::x86::CpuModel& model, unsigned vcpus,
        MachineControl& control, ByteSink& console);
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  [[nodiscard]] BoardState save() const;
  /// After all local APICs are on the bus.
  Result<void> restore(const BoardState& state);

  GuestMemory memory;
  CodePages code_pages;
  silicon::LruSets last_level_cache;
  Clock clock;
  Bus bus;
  ApicBus apic_bus;
  Pic8259 pic;
  IoApic io_apic;
  InterruptRouter router;
  Pit8254 pit;
  Rtc rtc;
  Uart16550 com1;
  FwCfg fw_cfg;
  ExitPort exit_port;
  PowerPorts power_ports;
  KeyboardController keyboard;
  TestLines test_lines;
};

}  // namespace vpmu::machine
