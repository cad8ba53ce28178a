// SPDX-License-Identifier: MIT
#include "property/pv_perf_operations.hpp"

#include <fmt/format.h>

#include "property/pv_perf_world.hpp"
#include "vpmu/silicon/x86/event_table.hpp"

namespace vpmu::property {
namespace {

using Kind = PvPerfOperation::Kind;
using Open = PvPerfOpen;

constexpr std::uint64_t bit(unsigned number) {
  return std::uint64_t{1} << number;
}

std::uint32_t draw_event(Choices& choices, const PvPerfSetup& setup) {
  // Beyond the last one, now and then.
  if (choices.chance(4)) return choices.below(256);
  return choices.below(setup.config.events + (choices.chance(16) ? 1 : 0));
}

std::uint64_t draw_raw_code(Choices& choices, const PvPerfSetup& setup) {
  const auto& events = setup.hosts[choices.below(2)]->events;
  const auto& row = events[choices.below(static_cast<std::uint32_t>(events.size()))];
  std::uint64_t code = row.selector.event | std::uint64_t{row.selector.unit_mask} << 12;
  if (choices.chance(24)) code |= choices.draw(10) << 20;
  return choices.chance(16) ? code ^ bit(choices.below(32)) : code;
}

std::uint64_t draw_code(Choices& choices, const PvPerfSetup& setup, std::uint64_t type) {
  switch (type) {
    case 0: return choices.chance(160) ? choices.below(2) : choices.below(10);
    case 1: return choices.below(7) | choices.below(3) << 8 | choices.below(2) << 16;
    case 2: return draw_raw_code(choices, setup);
    default: return choices.below(4);
  }
}

std::uint64_t draw_type(Choices& choices) {
  constexpr std::uint8_t kTypes[] = {0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 0, 0, 0, 0, 4};
  return choices.of(kTypes);
}

std::uint64_t draw_evtsel(Choices& choices, const PvPerfSetup& setup) {
  const std::uint64_t type = draw_type(choices);
  std::uint64_t value = type | draw_code(choices, setup, type) << 8;
  value |= (choices.chance(160) ? 3 : choices.draw(2)) << 40;
  if (choices.chance(232)) value |= bit(42);
  if (choices.chance(176)) value |= bit(43);
  return choices.chance(8) ? value ^ bit(choices.below(64)) : value;
}

/// Mostly a few counts before an overflow.
std::uint64_t draw_count(Choices& choices, const PvPerfSetup& setup) {
  const unsigned width = setup.config.width;
  const std::uint64_t turn = width == 64 ? 0 : bit(width);
  const unsigned choice = choices.below(16);
  if (choice < 12) return turn - 1 - choices.below(48);
  if (choice < 14) return choices.draw(8);
  if (choice == 14) return turn;
  return choices.draw(64);
}

std::uint64_t draw_period(Choices& choices, const PvPerfSetup& setup) {
  const unsigned choice = choices.below(16);
  if (choice < 8) return choices.below(64);
  if (choice < 12) return 0;
  if (choice < 15) return setup.config.minimum_period + choices.below(3);
  return draw_count(choices, setup);
}

std::uint64_t draw_mask(Choices& choices, const PvPerfSetup& setup) {
  const std::uint64_t all = bit(setup.config.events) - 1;
  switch (choices.below(8)) {
    case 0:
    case 1: return all;
    case 2: return 0;
    case 3: return bit(choices.below(64));
    case 4: return bit(choices.below(setup.config.events));
    default: return all & choices.draw(32);
  }
}

std::uint64_t draw_page(Choices& choices) {
  return std::uint64_t{choices.below(PvPerfWorld::kPages)} * PvPerfWorld::kPageBytes;
}

std::uint64_t draw_area(Choices& choices) {
  std::uint64_t value = draw_page(choices) | (choices.chance(216) ? 1 : 0);
  if (choices.chance(16)) value ^= bit(choices.below(64));
  return value;
}

std::uint64_t draw_batch(Choices& choices, const PvPerfSetup& setup) {
  constexpr std::uint8_t kOperations[] = {1, 2, 6, 6, 6, 8, 9, 4, 12, 3};
  const std::uint64_t operations = choices.chance(24) ? choices.draw(4) : choices.of(kOperations);
  const std::uint64_t value = operations << 32 | (draw_mask(choices, setup) & 0xffffffff);
  return choices.chance(8) ? value ^ bit(choices.below(64)) : value;
}

/// Of a structure: aligned, in a page, in RAM, mostly.
std::uint64_t draw_address(Choices& choices) {
  if (choices.chance(6)) return choices.draw(64);
  const std::uint64_t page = draw_page(choices);
  const unsigned choice = choices.below(16);
  if (choice < 12) return page + std::uint64_t{32} * choices.below(128);
  if (choice < 14) return page + 4096 - std::uint64_t{8} * choices.below(9);
  if (choice == 14) return page + choices.below(4096);
  return PvPerfWorld::kBytes - std::uint64_t{8} * choices.below(8);
}

void draw_write(Choices& choices, const PvPerfSetup& setup, PvPerfOperation& operation) {
  const unsigned choice = choices.below(32);
  const auto bank = [&](std::uint32_t offset) {
    return 0x100 + 8 * draw_event(choices, setup) + offset;
  };
  if (choice < 7) {
    operation.where = bank(0);
    operation.value = draw_evtsel(choices, setup);
  } else if (choice < 11) {
    operation.where = bank(1);
    operation.value = draw_count(choices, setup);
  } else if (choice < 14) {
    operation.where = bank(2);
    operation.value = draw_period(choices, setup);
  } else if (choice < 15) {
    operation.where = bank(3 + choices.below(5));
    operation.value = choices.draw(64);
  } else if (choice < 20) {
    operation.where = 2;
    operation.value = draw_mask(choices, setup);
  } else if (choice < 24) {
    operation.where = 4 + (choices.chance(48) ? 1 : 0);
    operation.value = draw_mask(choices, setup) | (choices.chance(64) ? bit(62) : 0);
  } else if (choice < 25) {
    operation.where = 6;
    operation.value = choices.chance(192) ? 0 : choices.draw(16);
  } else if (choice < 27) {
    operation.where = 1;
    operation.value = draw_area(choices);
  } else if (choice < 31) {
    operation.where = 7;
    operation.value = draw_batch(choices, setup);
  } else {
    operation.where = choices.below(0x204);
    operation.value = choices.draw(64);
  }
}

void draw_command(Choices& choices, const PvPerfSetup& setup, PvPerfOperation& operation) {
  operation.where = choices.below(setup.config.events);
  operation.words[0] = draw_evtsel(choices, setup);
  operation.words[1] = draw_count(choices, setup);
  operation.words[2] = draw_period(choices, setup);
  operation.words[3] = choices.chance(160) ? 7 : choices.draw(3);
  if (choices.chance(6)) operation.words[3] |= bit(choices.below(64));
}

void draw_call(Choices& choices, const PvPerfSetup& setup, PvPerfOperation& operation) {
  operation.words[0] = choices.chance(250) ? 0x5650 : choices.draw(64);
  operation.words[1] = choices.chance(240) ? 2 + choices.below(4) : choices.draw(3);
  operation.words[2] = draw_event(choices, setup);
  operation.flag = choices.chance(224);
  operation.value = choices.chance(4);
  // Which only long mode sees.
  if (choices.chance(24)) operation.words[choices.below(4)] |= bit(32 + choices.below(32));
}

void draw_open(Choices& choices, const PvPerfSetup& setup, PvPerfOperation& operation) {
  operation.where = static_cast<std::uint32_t>(draw_address(choices));
  operation.value = draw_address(choices);
  operation.words[Open::kEvent] = draw_address(choices);
  operation.words[Open::kId] = draw_event(choices, setup);
  operation.words[Open::kType] = draw_type(choices);
  operation.words[Open::kConfig] = draw_code(choices, setup, operation.words[Open::kType]);
  operation.words[Open::kPeriod] = draw_period(choices, setup);
  operation.words[Open::kReadFormat] = choices.draw(2);
  operation.words[Open::kFlags] = choices.chance(160) ? 4 : choices.draw(3);
  operation.flag = choices.chance(240);
  if (choices.chance(24)) operation.words[choices.below(8)] ^= bit(choices.below(64));
}

Kind draw_kind(Choices& choices) {
  const unsigned n = static_cast<unsigned>(choices.draw(8));
  if (n < 72) return Kind::kWriteMsr;
  if (n < 84) return Kind::kReadMsr;
  if (n < 90) return Kind::kRdpmc;
  if (n < 104) return Kind::kCommand;
  if (n < 124) return Kind::kCall;
  if (n < 138) return Kind::kOpen;
  if (n < 142) return Kind::kPoke;
  if (n < 144) return Kind::kPage;
  if (n < 147) return Kind::kScribble;
  if (n < 204) return Kind::kRetire;
  if (n < 210) return Kind::kSoftware;
  if (n < 224) return Kind::kTime;
  if (n < 230) return Kind::kMove;
  if (n < 235) return Kind::kHost;
  if (n < 238) return Kind::kRefuse;
  if (n < 242) return Kind::kGate;
  if (n < 250) return Kind::kLvtpc;
  if (n < 251) return Kind::kReset;
  return Kind::kRestore;
}

}  // namespace

PvPerfOperation draw_operation(Choices& choices, const PvPerfSetup& setup) {
  PvPerfOperation operation{.kind = draw_kind(choices)};
  switch (operation.kind) {
    case Kind::kReadMsr:
      operation.where =
          choices.chance(64) ? choices.below(0x204) : 0x100 + 8 * draw_event(choices, setup) + 1;
      break;
    case Kind::kWriteMsr: draw_write(choices, setup, operation); break;
    case Kind::kRdpmc:
      operation.where = (choices.chance(192) ? 0x56500000 : 0) + draw_event(choices, setup);
      operation.flag = !choices.chance(32);
      operation.value = choices.draw(1);
      break;
    case Kind::kCommand: draw_command(choices, setup, operation); break;
    case Kind::kCall: draw_call(choices, setup, operation); break;
    case Kind::kOpen: draw_open(choices, setup, operation); break;
    case Kind::kPoke:
      operation.where = static_cast<std::uint32_t>(draw_page(choices)) +
                        8 * choices.below(choices.chance(128) ? 16 : 512);
      operation.value = choices.draw(64);
      break;
    case Kind::kPage:
      operation.where = choices.below(PvPerfWorld::kPages);
      operation.value = choices.chance(160) ? 0 : choices.below(3);
      break;
    case Kind::kScribble: operation.value = choices.chance(96) ? choices.draw(64) : 0; break;
    case Kind::kRetire:
      operation.where = 1 + choices.below(choices.chance(32) ? 32 : 4);
      operation.value = choices.draw(16);
      operation.flag = choices.chance(96);
      break;
    case Kind::kSoftware:
      operation.where = choices.below(4);
      operation.value = choices.chance(32) ? choices.draw(12) : 1 + choices.below(3);
      operation.flag = choices.chance(128);
      break;
    case Kind::kTime:
      operation.value = choices.chance(8) ? 1'000'000'000 + choices.draw(30) : choices.draw(21);
      operation.flag = choices.chance(128);
      break;
    case Kind::kMove:
      operation.where = choices.below(2);
      operation.value = choices.draw(20);
      break;
    case Kind::kHost:
      operation.where = choices.below(2);
      operation.value = choices.below(9);
      break;
    case Kind::kRefuse: operation.value = choices.chance(160) ? 0 : choices.below(6); break;
    case Kind::kGate:
      operation.value = choices.draw(2);
      operation.flag = choices.draw(1) != 0;
      break;
    case Kind::kLvtpc: operation.value = choices.chance(208) ? 0 : choices.below(3); break;
    case Kind::kReset: break;
    case Kind::kRestore:
      operation.where = choices.below(2);
      operation.value = choices.draw(16);
      operation.flag = choices.chance(96);
      break;
  }
  return operation;
}

std::string describe(const PvPerfOperation& operation) {
  const auto& words = operation.words;
  switch (operation.kind) {
    case Kind::kReadMsr: return fmt::format("rdmsr base + {:#x}", operation.where);
    case Kind::kWriteMsr:
      return fmt::format("wrmsr base + {:#x} = {:#x}", operation.where, operation.value);
    case Kind::kRdpmc:
      return fmt::format("rdpmc {:#x}{}{}", operation.where, operation.flag ? "" : " as user",
                         operation.value != 0 ? ", has a PMU" : "");
    case Kind::kCommand:
      return fmt::format("command {}: evtsel {:#x}, count {:#x}, period {:#x}, flags {:#x}",
                         operation.where, words[0], words[1], words[2], words[3]);
    case Kind::kCall:
      return fmt::format("call {:#x} ({:#x}, {:#x}, {:#x}), {} bits{}", words[0], words[1],
                         words[2], words[3], operation.flag ? 64 : 32,
                         operation.value != 0 ? " as user" : "");
    case Kind::kOpen:
      return fmt::format(
          "open, param at {:#x}, attr at {:#x}, event at {:#x}, id {:#x}, type {:#x}, config "
          "{:#x}, period {:#x}, read_format {:#x}, flags {:#x}, reserved {:#x}",
          operation.where, operation.value, words[Open::kEvent], words[Open::kId],
          words[Open::kType], words[Open::kConfig], words[Open::kPeriod], words[Open::kReadFormat],
          words[Open::kFlags], words[Open::kReserved]);
    case Kind::kPoke: return fmt::format("[{:#x}] = {:#x}", operation.where, operation.value);
    case Kind::kPage: return fmt::format("page {} is kind {}", operation.where, operation.value);
    case Kind::kScribble: return fmt::format("others scribble {:#x}", operation.value);
    case Kind::kRetire:
      return fmt::format("{} {} instructions of {:#x}", operation.where,
                         operation.flag ? "user" : "kernel", operation.value);
    case Kind::kSoftware:
      return fmt::format("software event {} {} times, {}", operation.where, operation.value,
                         operation.flag ? "user" : "kernel");
    case Kind::kTime:
      return fmt::format("{} ns pass{}", operation.value, operation.flag ? " in one piece" : "");
    case Kind::kMove: return fmt::format("to CPU {} in {} ns", operation.where, operation.value);
    case Kind::kHost:
      return fmt::format("the host has {} counters of CPU {}", operation.value, operation.where);
    case Kind::kRefuse: return fmt::format("the host refuses with {}", operation.value);
    case Kind::kGate:
      return fmt::format("{} gate, key {}", operation.flag ? "another" : "same", operation.value);
    case Kind::kLvtpc: return fmt::format("LVTPC is {}", operation.value);
    case Kind::kReset: return "reset";
    case Kind::kRestore:
      if (operation.flag) return "migrate, register by register";
      if (operation.value % 2 == 0) return fmt::format("migrate to host {}", operation.where);
      return fmt::format("migrate to host {} behind an instruction of {:#x}", operation.where,
                         operation.value);
  }
  return {};
}

}  // namespace vpmu::property
