// SPDX-License-Identifier: MIT
#include "property/operations.hpp"

#include <fmt/format.h>

namespace vpmu::property {
namespace {

using Kind = Operation::Kind;

constexpr std::uint64_t bit(unsigned number) {
  return std::uint64_t{1} << number;
}

std::uint32_t draw_counter(Choices& choices, unsigned counters) {
  // Beyond the last one, now and then.
  return choices.below(counters + 1 + (choices.chance(16) ? 4 : 0));
}

constexpr std::uint32_t kIntelGlobals[] = {0x38d, 0x38f, 0x38f, 0x38e, 0x390, 0x391,
                                           0x392, 0x345, 0x1a0, 0x1d9, 0x1d9};
constexpr std::uint32_t kAmdGlobals[] = {0xc0000300, 0xc0000301, 0xc0000301, 0xc0000302,
                                         0xc0000303, 0x345,      0x1a0,      0x1d9};
/// First numbers of ranges whose neighbours are to be tried too.
constexpr std::uint32_t kNeighbourhoods[] = {
    0xc0,  0xc8,  0x185, 0x18d, 0x19f, 0x1c8, 0x1d8,      0x308,      0x30c,      0x329,
    0x344, 0x38c, 0x391, 0x3f0, 0x4c0, 0x4c8, 0x5ff,      0x680,      0x10,       0x1b,
    0x80,  0x834, 0x00,  0xc7,  0x6c0, 0xdc0, 0xc00002ff, 0xc000ffff, 0xc00101ff, 0xc001020b};

enum class Register : std::uint8_t { kSelect, kCounter, kOther };

struct Place {
  std::uint32_t msr;
  Register what;
};

Place draw_msr(Choices& choices, const Setup& setup) {
  const unsigned n = setup.config.gp_counters, m = setup.config.fixed_counters;
  const unsigned choice = choices.below(16);
  if (choice == 15) return {choices.of(kNeighbourhoods) + choices.below(4), Register::kOther};
  if (choice >= 10) {
    return {setup.intel() ? choices.of(kIntelGlobals) : choices.of(kAmdGlobals), Register::kOther};
  }
  const bool select = choice < 5;
  const Register what = select ? Register::kSelect : Register::kCounter;
  if (!setup.intel()) {
    if (setup.config.core_extension && choices.chance(192)) {
      return {0xc0010200 + 2 * draw_counter(choices, n) + (select ? 0 : 1), what};
    }
    return {0xc0010000 + draw_counter(choices, 3) + (select ? 0 : 4), what};
  }
  if (select) return {0x186 + draw_counter(choices, n), what};
  switch (choices.below(3)) {
    case 0: return {0xc1 + draw_counter(choices, n), what};
    case 1: return {0x4c1 + draw_counter(choices, n), what};
    default: return {0x309 + draw_counter(choices, m), what};
  }
}

std::uint64_t draw_event(Choices& choices, const Setup& setup) {
  constexpr std::uint16_t kNobodyKnows[] = {0x0000, 0xffff, 0x55c0, 0x01c4, 0x2e4f, 0x0100, 0x0300};
  const auto& events = setup.silicon->events;
  if (choices.chance(24) || events.empty()) return choices.of(kNobodyKnows);
  const auto& row = events[choices.below(static_cast<std::uint32_t>(events.size()))];
  return (row.selector.event & std::uint64_t{0xff}) |
         static_cast<std::uint64_t>(row.selector.event >> 8 & 0xf) << 32 |
         std::uint64_t{row.selector.unit_mask} << 8;
}

std::uint64_t draw_select(Choices& choices, const Setup& setup) {
  std::uint64_t value = draw_event(choices, setup);
  if (choices.chance(224)) value |= bit(22);
  value |= choices.draw(2) << 16;
  if (choices.chance(144)) value |= bit(20);
  if (choices.chance(40)) {
    value |= choices.draw(2) << 24;             // CMASK
    if (choices.chance(128)) value |= bit(23);  // INV
    if (choices.chance(128)) value |= bit(18);  // EDGE
  }
  if (choices.chance(24)) {
    constexpr unsigned kSome[] = {19, 21, 26, 32, 33, 34, 35, 40};
    value |= bit(choices.of(kSome));
  }
  if (!setup.intel()) value |= choices.draw(2) << 40;
  if (choices.chance(8)) value ^= bit(static_cast<unsigned>(choices.draw(6)));
  return value;
}

/// Mostly a few counts before an overflow, of that width or another.
std::uint64_t draw_counter_value(Choices& choices, const Setup& setup) {
  const unsigned choice = choices.below(16);
  const auto width = choice < 8 ? setup.config.gp_width : setup.config.fixed_width;
  const std::uint64_t turn = width == 0 || width > 63 ? 0 : bit(width);
  if (choice < 11) return turn - choices.below(64);
  // Sign-extended by the legacy alias to the same.
  if (choice < 14) return (turn - choices.below(64)) & 0xffffffff;
  if (choice == 14) return choices.below(2) ? 0x7ffffff0 + choices.below(32) : choices.draw(5);
  return choices.draw(64);
}

std::uint64_t draw_mask(Choices& choices, const Setup& setup) {
  const std::uint64_t all =
      (bit(setup.config.gp_counters) - 1) | (bit(setup.config.fixed_counters) - 1) << 32;
  switch (choices.below(8)) {
    case 0: return all;
    case 1: return 0;
    case 2: return bit(static_cast<unsigned>(choices.draw(6)));
    case 3: return (all & choices.draw(64)) ^ bit(static_cast<unsigned>(choices.draw(6)));
    case 4: return choices.draw(4) << 59 | bit(58);
    default: return all & (choices.draw(16) | choices.draw(16) << 32);
  }
}

std::uint64_t draw_other_value(Choices& choices, const Setup& setup, std::uint32_t msr) {
  if (choices.chance(8)) return choices.draw(64);
  switch (msr) {
    case 0x38d: {
      std::uint64_t value = choices.draw(16);
      if (choices.chance(208)) value &= bit(4 * setup.config.fixed_counters) - 1;
      if (choices.chance(208)) value &= 0xbbbb;
      return value;
    }
    case 0x38f:
    case 0xc0000301:
      // Mostly on: a PMU that counts nothing shows nothing.
      return choices.chance(96) ? (bit(setup.config.gp_counters) - 1) |
                                      (bit(setup.config.fixed_counters) - 1) << 32
                                : draw_mask(choices, setup);
    case 0x1a0: return (bit(0) | bit(11) | bit(12)) ^ bit(choices.below(16));
    case 0x1d9: {
      const std::uint64_t lbrs = choices.chance(96) ? choices.draw(1) | choices.draw(1) << 11 : 0;
      return lbrs | (choices.chance(128) ? bit(12) : bit(choices.below(17)) & ~bit(16));
    }
    case 0x345: {
      const std::uint64_t all = setup.config.perf_capabilities;
      if (choices.chance(64)) return all & ~std::uint64_t{0x3f};  // without LBRs
      return all ^ (choices.chance(64) ? bit(choices.below(16)) : 0);
    }
    default: return draw_mask(choices, setup);
  }
}

std::uint64_t draw_value(Choices& choices, const Setup& setup, Place place) {
  switch (place.what) {
    case Register::kSelect: return draw_select(choices, setup);
    case Register::kCounter: return draw_counter_value(choices, setup);
    case Register::kOther: return draw_other_value(choices, setup, place.msr);
  }
  return 0;
}

std::uint32_t draw_rdpmc_index(Choices& choices, const Setup& setup) {
  constexpr std::uint32_t kTypes[] = {0, 0, 0, 0x40000000, 0x40000000, 0x20000000, 0x80000000};
  constexpr std::uint32_t kOdd[] = {0x10000, 0x10001, 0x10002, 64, 0xffff, 0x40000040, 0xc0000000};
  if (choices.chance(16)) return choices.of(kOdd);
  if (choices.chance(4)) return static_cast<std::uint32_t>(choices.draw(32));
  const std::uint32_t type = choices.of(kTypes);
  return type | draw_counter(choices, type == 0x40000000 ? setup.config.fixed_counters
                                                         : setup.config.gp_counters);
}

Kind draw_kind(Choices& choices) {
  const unsigned n = static_cast<unsigned>(choices.draw(8));
  if (n < 72) return Kind::kWriteMsr;
  if (n < 98) return Kind::kReadMsr;
  if (n < 188) return Kind::kRetire;
  if (n < 210) return Kind::kRdpmc;
  if (n < 222) return Kind::kHostWriteMsr;
  if (n < 226) return Kind::kHostReadMsr;
  if (n < 236) return Kind::kEmulated;
  if (n < 241) return Kind::kScheduledIn;
  if (n < 242) return Kind::kReset;
  if (n < 246) return Kind::kSvm;
  if (n < 250) return Kind::kGate;
  if (n < 253) return Kind::kLvtpc;
  return Kind::kRestore;
}

}  // namespace

Operation draw_operation(Choices& choices, const Setup& setup) {
  Operation operation{.kind = draw_kind(choices)};
  switch (operation.kind) {
    case Kind::kReadMsr:
    case Kind::kHostReadMsr: operation.where = draw_msr(choices, setup).msr; break;
    case Kind::kWriteMsr:
    case Kind::kHostWriteMsr: {
      const Place place = draw_msr(choices, setup);
      operation.where = place.msr;
      operation.value = draw_value(choices, setup, place);
      break;
    }
    case Kind::kRdpmc:
      operation.where = draw_rdpmc_index(choices, setup);
      operation.flag = !choices.chance(16);
      break;
    case Kind::kRetire:
      operation.where = 1 + choices.below(choices.chance(32) ? 32 : 4);
      operation.value = choices.draw(16);
      operation.flag = choices.chance(96);
      break;
    case Kind::kEmulated:
      operation.where = choices.below(2);
      operation.flag = choices.chance(96);
      break;
    case Kind::kSvm: operation.where = choices.below(4); break;
    case Kind::kGate:
      operation.value = choices.chance(96) ? 0 : choices.draw(16);
      operation.flag = choices.chance(128);
      break;
    case Kind::kLvtpc: operation.where = choices.below(3); break;
    case Kind::kRestore:
      operation.value = choices.draw(16);
      operation.flag = choices.chance(128);
      break;
    case Kind::kScheduledIn:
    case Kind::kReset: break;
  }
  return operation;
}

std::string describe(const Operation& operation) {
  const auto [kind, flag, where, value] = operation;
  const char* const privilege = flag ? "user" : "kernel";
  switch (kind) {
    case Kind::kReadMsr: return fmt::format("rdmsr {:#x}", where);
    case Kind::kWriteMsr: return fmt::format("wrmsr {:#x} = {:#x}", where, value);
    case Kind::kHostReadMsr: return fmt::format("host reads {:#x}", where);
    case Kind::kHostWriteMsr: return fmt::format("host writes {:#x} = {:#x}", where, value);
    case Kind::kRdpmc: return fmt::format("rdpmc {:#x}{}", where, flag ? "" : " (may not)");
    case Kind::kRetire:
      return fmt::format("{} {} instructions of pattern {:#x}", where, privilege, value);
    case Kind::kEmulated:
      return fmt::format("emulated {} at {}", where != 0 ? "branch" : "instruction", privilege);
    case Kind::kScheduledIn: return "scheduled in";
    case Kind::kReset: return "reset";
    case Kind::kSvm:
      return fmt::format("EFER.SVME = {}, guest mode = {}", where & 1, where >> 1 & 1);
    case Kind::kGate: return fmt::format("{}gate {:#x}", flag ? "new " : "", value);
    case Kind::kLvtpc: return fmt::format("LVTPC answers {}", where);
    case Kind::kRestore:
      return flag ? fmt::format("saved and restored behind an instruction of pattern {:#x}", value)
                  : "saved and restored";
  }
  return {};
}

}  // namespace vpmu::property
