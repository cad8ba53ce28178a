// SPDX-License-Identifier: MIT
#include "machine/pc/board.hpp"

#include <utility>

namespace vpmu::machine {

Board::Board(GuestMemory ram, std::uint64_t hz, unsigned vcpus, MachineControl& control,
             ByteSink& console)
    : memory{std::move(ram)},
      code_pages{memory.size() / 4096},
      clock{hz},
      io_apic{apic_bus},
      router{pic, io_apic},
      pit{clock, router},
      rtc{{memory.low_size(), memory.high_size(), vcpus}, clock, router},
      com1{Uart16550::kCom1, Uart16550::kCom1Line, router, console},
      fw_cfg{static_cast<std::uint16_t>(vcpus)},
      exit_port{control},
      power_ports{control},
      keyboard{control},
      test_lines{router} {
  pic.add_to(bus);
  pit.add_to(bus);
  rtc.add_to(bus);
  com1.add_to(bus);
  fw_cfg.add_to(bus);
  exit_port.add_to(bus);
  power_ports.add_to(bus);
  keyboard.add_to(bus);
  test_lines.add_to(bus);
  bus.add_mmio(IoApic::kDefaultAddress, IoApic::kLength, io_apic);
}

}  // namespace vpmu::machine
