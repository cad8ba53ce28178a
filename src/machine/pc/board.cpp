// SPDX-License-Identifier: MIT
#include "machine/pc/board.hpp"

#include <utility>

#include "machine/cannot_hold.hpp"

namespace vpmu::machine {

Board::Board(GuestMemory ram, const silicon::x86::CpuModel& model, unsigned vcpus,
             MachineControl& control, ByteSink& console)
    : memory{std::move(ram)},
      code_pages{memory.size() / 4096},
      last_level_cache{model.memory.llc.sets, model.memory.llc.ways},
      clock{model.hz},
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

BoardState Board::save() const {
  return {.now = clock.now(),
          .apic_bus = apic_bus.save(),
          .pic = pic.save(),
          .io_apic = io_apic.save(),
          .pit = pit.save(),
          .rtc = rtc.save(),
          .com1 = com1.save(),
          .fw_cfg = fw_cfg.save(),
          .power_ports = power_ports.save(),
          .keyboard = keyboard.save()};
}

Result<void> Board::restore(const BoardState& state) {
  // Time and its sums and products with rates must stay within 64 bits.
  if (state.now >> 63 != 0) return cannot_hold("machine time", state.now);
  clock.set_now(state.now);
  fw_cfg.restore(state.fw_cfg);
  keyboard.restore(state.keyboard);
  Result<void> restored;
  const auto restore = [&restored](const char* name, auto& device, const auto& from) {
    if (!restored) return;
    restored = in_part(name, device.restore(from));
  };
  restore("APIC bus", apic_bus, state.apic_bus);
  restore("8259", pic, state.pic);
  restore("I/O APIC", io_apic, state.io_apic);
  restore("8254", pit, state.pit);
  restore("RTC", rtc, state.rtc);
  restore("serial port", com1, state.com1);
  restore("power ports", power_ports, state.power_ports);
  return restored;
}

}  // namespace vpmu::machine
