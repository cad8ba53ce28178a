// SPDX-License-Identifier: MIT
//
// Which operations there are, and how they are drawn: of few interrupts, so that they meet.
#include <fmt/format.h>

#include <array>

#include "property/gic_lockstep.hpp"

namespace vpmu::property {

namespace {
using Kind = GicOperation::Kind;
namespace icc = machine::icc;

/// Of every kind, at the ends of their registers, and some that do not exist.
constexpr unsigned kHotIntids[] = {0, 1, 7, 15, 16, 27, 30, 31, 32, 33, 34, 47, 63, 64, 200, 287};
constexpr unsigned kOddIntids[] = {288, 320, 1019, 1020, 1023};
constexpr unsigned kPriorities[] = {0x00, 0x08, 0x40, 0x48, 0x78, 0x80,
                                    0x88, 0xa0, 0xb8, 0xf0, 0xf8, 0xff};

unsigned draw_intid(Choices& choices) {
  return choices.chance(8) ? choices.of(kOddIntids) : choices.of(kHotIntids);
}

/// An access to one interrupt's bit in a banked register of the frame that has it.
void draw_banked(Choices& choices, GicOperation& operation, unsigned intid) {
  const unsigned kind = choices.below(10);
  if (kind < 7) {
    operation.where = 0x80 * (kind + 1) + intid / 32 * 4;
    operation.value = choices.chance(224) ? std::uint64_t{1} << intid % 32 : choices.draw(32);
  } else if (kind < 9) {
    operation.bytes = choices.chance(192) ? 1 : 4;
    operation.where = 0x400 + (operation.bytes == 1 ? intid : intid / 4 * 4);
    operation.value = choices.of(kPriorities) * 0x01010101U;
  } else {
    operation.where = 0xc00 + intid / 16 * 4;
    operation.value = choices.draw(32);
  }
}

void draw_memory_access(Choices& choices, const GicSetup& setup, GicOperation& operation) {
  static constexpr std::uint8_t kSizes[] = {1, 2, 4, 8};
  const unsigned intid = draw_intid(choices);
  const bool shared = intid >= 32;
  const bool reads = choices.chance(48);
  operation.kind = shared ? (reads ? Kind::kReadDistributor : Kind::kWriteDistributor)
                          : (reads ? Kind::kReadRedistributor : Kind::kWriteRedistributor);
  const unsigned what = choices.below(16);
  if (what < 12) {
    draw_banked(choices, operation, intid);
  } else if (what == 12) {
    operation.where = shared ? 0x0 : 0x14;
    operation.value = choices.chance(192) ? (shared ? 3 : 0) : choices.draw(8);
    if (!shared) return;  // not in the SGI frame
  } else if (what == 13 && shared) {
    operation.where = 0x6000 + 8 * intid;
    operation.value = choices.chance(240) ? choices.below(setup.vcpus) : choices.draw(64);
    operation.bytes = choices.chance(128) ? 8 : 4;
  } else {
    operation.bytes = choices.of(kSizes);
    operation.where =
        static_cast<std::uint32_t>(choices.draw(16)) / operation.bytes * operation.bytes;
    operation.value = choices.draw(64);
  }
  if (!shared && what != 14) operation.where += 0x1'0000;
}

std::uint64_t draw_value(Choices& choices, GicRegister which) {
  switch (which) {
    case GicRegister::kPmr:
      return choices.chance(128) ? 0xff : std::uint64_t{choices.of(kPriorities)};
    case GicRegister::kEoir0:
    case GicRegister::kEoir1:
    case GicRegister::kDir: return draw_intid(choices);
    case GicRegister::kSgi1r:
    case GicRegister::kAsgi1r:
    case GicRegister::kSgi0r: {
      const std::uint64_t intid = choices.of(kHotIntids) % 16;
      const std::uint64_t strange = choices.chance(16) ? choices.draw(64) : 0;
      return choices.draw(8) | intid << 24 | std::uint64_t{choices.chance(32)} << 40 | strange;
    }
    case GicRegister::kAp0r0:
    case GicRegister::kAp1r0: return choices.chance(128) ? 0 : choices.draw(32) & choices.draw(32);
    case GicRegister::kIgrpen0:
    case GicRegister::kIgrpen1: return choices.chance(224) ? 1 : 0;
    default: return choices.chance(240) ? choices.draw(3) : choices.draw(64);
  }
}

GicRegister draw_register(Choices& choices) {
  return static_cast<GicRegister>(choices.below(kGicRegisters));
}
}  // namespace

std::span<const GicSetup> gic_setups() {
  static const std::array<GicSetup, 4> kSetups = {{{"1 vCPU", 1, false},
                                                   {"2 vCPUs", 2, false},
                                                   {"8 vCPUs", 8, false},
                                                   {"3 vCPUs from reset", 3, true}}};
  return kSetups;
}

icc::SystemRegister encoding_of(GicRegister which) {
  static constexpr icc::SystemRegister kEncodings[kGicRegisters] = {
      icc::kPmr,    icc::kIar0, icc::kEoir0, icc::kHppir0, icc::kBpr0,    icc::kAp0r0,  icc::kAp1r0,
      icc::kDir,    icc::kRpr,  icc::kSgi1r, icc::kAsgi1r, icc::kSgi0r,   icc::kIar1,   icc::kEoir1,
      icc::kHppir1, icc::kBpr1, icc::kCtlr,  icc::kSre,    icc::kIgrpen0, icc::kIgrpen1};
  return kEncodings[static_cast<unsigned>(which)];
}

GicOperation draw_operation(Choices& choices, const GicSetup& setup) {
  static constexpr GicRegister kEnds[] = {GicRegister::kEoir1, GicRegister::kEoir1,
                                          GicRegister::kEoir0, GicRegister::kDir};
  GicOperation operation{.kind = Kind::kMove};
  operation.vcpu = static_cast<std::uint8_t>(choices.below(setup.vcpus));
  const unsigned what = choices.below(256);
  if (what < 90) {
    draw_memory_access(choices, setup, operation);
  } else if (what < 130) {
    operation.kind = Kind::kLine;
    operation.where = draw_intid(choices);
    operation.flag = choices.chance(128);
  } else if (what < 170) {
    operation.kind = Kind::kReadRegister;
    operation.where =
        static_cast<std::uint32_t>(choices.chance(160) ? GicRegister::kIar1 : GicRegister::kIar0);
  } else if (what < 200) {
    operation.kind = Kind::kEnd;
    operation.where = static_cast<std::uint32_t>(choices.of(kEnds));
  } else if (what < 252) {
    const GicRegister which = draw_register(choices);
    operation.kind = choices.chance(96) ? Kind::kReadRegister : Kind::kWriteRegister;
    operation.where = static_cast<std::uint32_t>(which);
    operation.value = draw_value(choices, which);
    operation.flag = choices.chance(8);
  } else {
    operation.flag = choices.chance(128);
  }
  return operation;
}

std::string describe(const GicOperation& operation) {
  const unsigned vcpu = operation.vcpu, bytes = operation.bytes;
  const std::uint32_t where = operation.where;
  switch (operation.kind) {
    case Kind::kReadDistributor: return fmt::format("GICD {:#x} ({} bytes)", where, bytes);
    case Kind::kWriteDistributor:
      return fmt::format("GICD {:#x} ({} bytes) = {:#x}", where, bytes, operation.value);
    case Kind::kReadRedistributor:
      return fmt::format("GICR{} {:#x} ({} bytes)", vcpu, where, bytes);
    case Kind::kWriteRedistributor:
      return fmt::format("GICR{} {:#x} ({} bytes) = {:#x}", vcpu, where, bytes, operation.value);
    case Kind::kReadRegister:
      return fmt::format("ICC{} register {}{}", vcpu, where, operation.flag ? " at EL0" : "");
    case Kind::kWriteRegister:
      return fmt::format("ICC{} register {}{} = {:#x}", vcpu, where,
                         operation.flag ? " at EL0" : "", operation.value);
    case Kind::kEnd: return fmt::format("ICC{} register {} = what was taken last", vcpu, where);
    case Kind::kLine: return fmt::format("line {} of {} = {}", where, vcpu, operation.flag);
    case Kind::kMove: return operation.flag ? "move, the distributor last" : "move";
  }
  return {};
}

}  // namespace vpmu::property
