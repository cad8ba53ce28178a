// SPDX-License-Identifier: MIT
#include "property/lbr_drawing.hpp"

#include <fmt/format.h>

#include <array>

namespace vpmu::property {
namespace {

using silicon::Privilege;
using silicon::x86::BranchType;
using silicon::x86::LbrModel;
using silicon::x86::TakenBranch;

constexpr std::uint64_t bit(unsigned number) {
  return std::uint64_t{1} << number;
}

/// Ends of ranges, other families' registers, and ones beside which there are others.
constexpr std::uint32_t kStrange[] = {0x1c7,  0x1c8,  0x1c9,  0x1ca,  0x1db,  0x1de,  0x40,
                                      0x60,   0x67,   0x67f,  0x680,  0x690,  0x6a0,  0x6bf,
                                      0x6c0,  0x6d0,  0x6e0,  0xdbf,  0xdc0,  0xde0,  0x14cd,
                                      0x14ce, 0x14cf, 0x14d0, 0x14ff, 0x1500, 0x1508, 0x1510,
                                      0x1520, 0x1600, 0x1620, 0x1200, 0x1220, 0x0,    0xc0000680};

/// Names a branch's fields in what draw_branch() gives.
struct DrawnBranch {
  BranchType type;
  Privilege ends_in;
  bool mispredicted, aborted, to_next;
  unsigned to, pause;
};

constexpr std::array kTypes = {
    BranchType::kConditional,  BranchType::kConditional, BranchType::kIndirectJump,
    BranchType::kDirectJump,   BranchType::kDirectCall,  BranchType::kDirectCall,
    BranchType::kDirectCall,   BranchType::kDirectCall,  BranchType::kIndirectCall,
    BranchType::kIndirectCall, BranchType::kReturn,      BranchType::kReturn,
    BranchType::kReturn,       BranchType::kReturn,      BranchType::kOther,
    BranchType::kOther};

DrawnBranch decode(std::uint32_t drawn) {
  const auto take = [&](unsigned bits) {
    const unsigned value = drawn & ((1u << bits) - 1);
    drawn >>= bits;
    return value;
  };
  DrawnBranch branch{};
  branch.type = kTypes[take(4)];
  branch.ends_in = take(1) != 0 ? Privilege::kUser : Privilege::kKernel;
  branch.mispredicted = take(1) != 0;
  branch.aborted = take(2) == 0 && branch.type == BranchType::kOther;
  branch.to_next = take(3) == 0;
  branch.to = take(16);
  branch.pause = take(5);
  return branch;
}

std::uint64_t draw_select_value(Choices& choices, const LbrModel& model) {
  if (choices.chance(8)) return choices.draw(64);
  if (!model.architectural()) {
    // Everything, mostly.
    constexpr std::uint64_t kUsual[] = {0, 0, 0, 1, 2, 0x3c4, 0x3c5, 0x3c6, 0x204, 0x1ff, 0x0fc};
    return choices.chance(192) ? choices.of(kUsual) : choices.draw(11);
  }
  constexpr std::uint64_t kUsual[] = {0x7f0007, 0x7f0007, 0x7f0005, 0x7f0003, 0x38000f, 0x38000d,
                                      0x38000f, 0x7f0006, 0x7f0001, 0x01000f, 0};
  if (choices.chance(192)) return choices.of(kUsual);
  return 1 | choices.draw(4) | choices.draw(8) << 16;
}

std::uint64_t draw_address(Choices& choices) {
  const std::uint64_t offset = choices.draw(16);
  switch (choices.below(8)) {
    case 0: return 0;
    case 1: return 0xffff'ffff'8000'0000 + offset;
    case 2: return 0x0000'7fff'0000'0000 + offset;
    case 3: return 0xffff'8000'0000'0000 + offset;
    case 4: return 0x0000'8000'0000'0000 + offset;  // not canonical
    case 5: return choices.draw(64) | bit(47);      // hardly ever
    case 6: return 0x1f00'0000'0000'0000 * choices.below(2) + offset;
    default: return 0x40'0000 + offset;
  }
}

/// With flags as the formats have them in FROM.
std::uint64_t draw_from(Choices& choices) {
  std::uint64_t value = draw_address(choices);
  if (choices.chance(96)) value ^= choices.draw(3) << 61;
  if (choices.chance(8)) value ^= bit(static_cast<unsigned>(choices.draw(6)));
  return value;
}

std::uint64_t draw_info(Choices& choices) {
  return choices.chance(128) ? choices.draw(64) : choices.draw(16) | choices.draw(8) << 56;
}

bool within(std::uint32_t msr, MsrIndex first, const LbrModel& model) {
  return msr - raw(first) < model.depth;
}

}  // namespace

std::uint32_t draw_lbr_msr(Choices& choices, const LbrModel& model) {
  const unsigned choice = choices.below(32);
  if (choice == 0) return choices.of(kStrange);
  if (choice < 6) return model.architectural() ? 0x14ce : 0x1c8;
  if (choice < 9) return model.architectural() ? 0x14cf : 0x1c9;
  // Beyond the last one, now and then; the first ones often, so that something happens there.
  const unsigned beyond = choices.chance(8) ? 1 : 0;
  const unsigned number = choices.below(choices.chance(96) ? 4 : model.depth + beyond);
  switch (choices.below(model.has_info() ? 3 : 2)) {
    case 0: return raw(model.from) + number;
    case 1: return raw(model.to) + number;
    default: return raw(model.info) + number;
  }
}

std::uint64_t draw_lbr_value(Choices& choices, const LbrModel& model, std::uint32_t msr) {
  if (msr == 0x1c8 || msr == 0x14ce) return draw_select_value(choices, model);
  if (msr == 0x1c9) return choices.chance(16) ? choices.draw(64) : choices.below(model.depth);
  if (msr == 0x14cf) return choices.chance(32) ? choices.draw(7) : 8u * (1 + choices.below(5));
  if (within(msr, model.from, model)) return draw_from(choices);
  if (within(msr, model.to, model)) return draw_address(choices);
  return draw_info(choices);
}

std::uint32_t draw_branch(Choices& choices) {
  return static_cast<std::uint32_t>(choices.draw(32));
}

std::uint64_t cycles_before(std::uint32_t drawn) {
  const unsigned pause = decode(drawn).pause;
  // Around what INFO has room for, now and then.
  return pause < 28 ? pause : 0xfffdu + pause - 28;
}

TakenBranch branch_of(std::uint32_t drawn, std::uint8_t mark, std::uint32_t place,
                      std::uint64_t cycle) {
  constexpr std::uint64_t kTargets = 0x8000'0000;
  const DrawnBranch branch = decode(drawn);
  const bool kernel = branch.ends_in == Privilege::kKernel;
  const std::uint64_t base =
      (kernel ? 0xffff'ff00'0000'0000 : 0x0000'7f00'0000'0000) | std::uint64_t{mark} << 32;
  const std::uint64_t from = base + (std::uint64_t{place} & 0xff'ffff) * 16 + 0x1000;
  const std::uint64_t next = from + 5;
  return {.from = from,
          .to = branch.to_next ? next : base + kTargets + branch.to * 16,
          .next = next,
          .cycle = cycle,
          .type = branch.type,
          .ends_in = branch.ends_in,
          .mispredicted = branch.mispredicted,
          .aborted = branch.aborted};
}

std::string describe_branch(std::uint32_t drawn) {
  constexpr std::array kNames = {"conditional branch", "indirect jump", "direct jump",
                                 "indirect call",      "direct call",   "return"};
  const DrawnBranch branch = decode(drawn);
  const auto type = static_cast<std::size_t>(branch.type);
  return fmt::format("{} to {}{}{}{} ({:#x})", type < kNames.size() ? kNames[type] : "far branch",
                     branch.ends_in == Privilege::kKernel ? "kernel" : "user",
                     branch.to_next ? ", to the next instruction" : "",
                     branch.mispredicted ? ", mispredicted" : "", branch.aborted ? ", aborted" : "",
                     drawn);
}

}  // namespace vpmu::property
