// SPDX-License-Identifier: MIT
#include "machine/arm64_board/board.hpp"

#include <utility>

#include "machine/cannot_hold.hpp"

namespace vpmu::machine::arm64 {

Board::Board(GuestMemory ram, const silicon::arm64::CpuModel& model, unsigned vcpus,
             const BoardControl& control, ByteSink& console)
    : memory{std::move(ram)},
      cluster{memory, vcpus},
      last_level_cache{model.memory.llc.sets, model.memory.llc.ways},
      clock{model.hz},
      pl011{Pl011::kIntid, distributor, console},
      exit_device{*control.machine},
      psci{*control.power, *control.machine},
      semihosting{*control.machine, console} {
  distributor.add_to(bus);
  pl011.add_to(bus);
  exit_device.add_to(bus);
}

BoardState Board::save() const {
  return {.now = clock.now(), .distributor = distributor.save(), .pl011 = pl011.save()};
}

Result<void> Board::restore(const BoardState& state) {
  // Time and its sums and products with rates must stay within 64 bits.
  if (state.now >> 63 != 0) return cannot_hold("machine time", state.now);
  clock.set_now(state.now);
  return in_part("GIC distributor", distributor.restore(state.distributor)).and_then([&] {
    return in_part("PL011", pl011.restore(state.pl011));
  });
}

}  // namespace vpmu::machine::arm64
