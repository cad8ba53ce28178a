// SPDX-License-Identifier: MIT
#include "property/arm64_pmu_operations.hpp"

#include <array>
#include <vector>

#include <fmt/format.h>

namespace vpmu::property {

namespace {

using Kind = Arm64PmuOperation::Kind;

constexpr std::uint32_t encode(unsigned op1, unsigned crn, unsigned crm, unsigned op2) {
  return 3u << 14 | op1 << 11 | crn << 7 | crm << 3 | op2;
}

std::vector<std::uint32_t> make_registers() {
  std::vector<std::uint32_t> all{encode(0, 9, 14, 1),  encode(0, 9, 14, 2), encode(0, 9, 14, 6),
                                 encode(3, 9, 14, 0),  encode(3, 9, 14, 3), encode(3, 14, 15, 7),
                                 encode(3, 14, 11, 7), encode(3, 9, 14, 1), encode(3, 14, 2, 0)};
  for (unsigned op2 = 0; op2 < 8; ++op2) all.push_back(encode(3, 9, 12, op2));
  for (unsigned op2 = 0; op2 < 3; ++op2) all.push_back(encode(3, 9, 13, op2));
  for (const unsigned n : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 8u, 30u}) {
    all.push_back(encode(3, 14, 8 + n / 8, n % 8));
    all.push_back(encode(3, 14, 12 + n / 8, n % 8));
  }
  return all;
}

/// PMEVTYPER: events that count, that do not, that the PMU makes; filters now and then.
std::uint64_t draw_type(Choices& choices) {
  constexpr std::uint16_t kEvents[] = {0x08, 0x08, 0x11, 0x66, 0x00,  0x1e,   0x1e,  0x1d,
                                       0x1b, 0x70, 0x09, 0x19, 0x3f0, 0x4008, 0xffff};
  std::uint64_t type = choices.of(kEvents);
  if (choices.chance(40)) type |= 1u << 30;
  if (choices.chance(40)) type |= std::uint64_t{1} << 31;
  if (choices.chance(10)) type |= choices.draw(64);
  return type;
}

/// Counters: often a little before an overflow.
std::uint64_t draw_count(Choices& choices) {
  constexpr std::uint64_t kEnds[] = {0x1'0000'0000, 0x1'0000'0000, 0, 0x7'0000'0000};
  if (choices.chance(20)) return choices.draw(64);
  return choices.of(kEnds) - choices.below(40);
}

std::uint64_t draw_bits(Choices& choices) {
  std::uint64_t bits = choices.draw(8) & 0x7f;
  if (choices.chance(128)) bits |= std::uint64_t{1} << 31;
  if (choices.chance(8)) bits |= choices.draw(64);
  return bits;
}

std::uint64_t draw_value(Choices& choices, std::uint32_t which) {
  const unsigned crn = which >> 7 & 0xf;
  const unsigned crm = which >> 3 & 0xf;
  const unsigned op2 = which & 7;
  if (crn == 14) return crm < 12 ? draw_count(choices) : draw_type(choices);
  if (crm == 13) return op2 == 1 ? draw_type(choices) : draw_count(choices);
  if (crm == 12 && op2 == 0) {
    // Mostly on, seldom resetting.
    const std::uint64_t value = choices.draw(8) | (choices.chance(200) ? 1u : 0u);
    return choices.chance(200) ? value & ~std::uint64_t{6} : value;
  }
  if (crm == 12 && op2 == 5) return choices.chance(30) ? 31 : choices.below(8);
  return draw_bits(choices);
}

}  // namespace

std::span<const std::uint32_t> arm64_pmu_registers() {
  static const std::vector<std::uint32_t> kRegisters = make_registers();
  return kRegisters;
}

std::span<const Arm64PmuSetup> arm64_pmu_setups() {
  static const std::vector<Arm64PmuSetup> kSetups = [] {
    std::vector<Arm64PmuSetup> setups;
    for (const unsigned version : {1u, 4u, 5u, 6u}) {
      for (const unsigned counters : {6u, 5u, 1u, 0u}) {
        for (const bool aarch32 : {false, true}) {
          setups.push_back({fmt::format("PMUVer {}, {} counters{}", version, counters,
                                        aarch32 ? ", AArch32" : ""),
                            version, counters, aarch32});
        }
      }
    }
    return setups;
  }();
  return kSetups;
}

Arm64Counts counts_of(const Arm64PmuOperation& operation) {
  return {.instructions = 1,
          .cycles = 1 + static_cast<unsigned>(operation.value & 7),
          .loads = static_cast<unsigned>(operation.value >> 3 & 3)};
}

Arm64PmuOperation draw_operation(Choices& choices, const Arm64PmuSetup&) {
  const auto registers = arm64_pmu_registers();
  const std::uint32_t which =
      registers[choices.below(static_cast<std::uint32_t>(registers.size()))];
  const unsigned kind = choices.below(100);
  if (kind < 15) return {.kind = Kind::kRead, .flag = choices.chance(60), .where = which};
  if (kind < 60) {
    return {Kind::kWrite, choices.chance(40), which, draw_value(choices, which)};
  }
  if (kind < 62) return {.kind = Kind::kHostRead, .where = which};
  if (kind < 65) return {Kind::kHostWrite, false, which, draw_value(choices, which)};
  if (kind < 92) {
    return {Kind::kRetire, choices.chance(100), 1 + choices.below(30), choices.draw(8)};
  }
  if (kind < 95) return {.kind = Kind::kScheduledIn};
  if (kind < 97) {
    return {.kind = Kind::kGate, .flag = choices.chance(128), .value = choices.draw(2)};
  }
  if (kind < 99) return {.kind = Kind::kRestore, .flag = choices.chance(128)};
  return {.kind = choices.chance(64) ? Kind::kReset : Kind::kScheduledIn};
}

std::string describe(const Arm64PmuOperation& operation) {
  const char* const level = operation.flag ? " at EL0" : "";
  switch (operation.kind) {
    case Kind::kRead: return fmt::format("mrs {:#x}{}", operation.where, level);
    case Kind::kWrite:
      return fmt::format("msr {:#x} = {:#x}{}", operation.where, operation.value, level);
    case Kind::kHostRead: return fmt::format("host read {:#x}", operation.where);
    case Kind::kHostWrite:
      return fmt::format("host write {:#x} = {:#x}", operation.where, operation.value);
    case Kind::kRetire:
      return fmt::format("retire {} of {:#x}{}", operation.where, operation.value, level);
    case Kind::kScheduledIn: return "scheduled in";
    case Kind::kReset: return "reset";
    case Kind::kGate:
      return fmt::format("gate {}{}", operation.value, operation.flag ? ", set anew" : "");
    case Kind::kRestore: return operation.flag ? "restore behind an instruction" : "restore";
  }
  return {};
}

}  // namespace vpmu::property
