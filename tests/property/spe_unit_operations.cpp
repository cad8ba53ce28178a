// SPDX-License-Identifier: MIT
//
// Which operations there are, and how they are drawn: mostly such that the unit samples into pages
// that there are, at short intervals.
#include <fmt/format.h>

#include <array>

#include "property/spe_unit_lockstep.hpp"
#include "unit/spe_unit/spe_models.hpp"

namespace vpmu::property {

namespace {

using Kind = SpeUnitOperation::Kind;
using namespace silicon::arm64;

struct Named {
  std::uint8_t which;
  const char* name;
};
constexpr Named kRegisters[] = {
    {0x90, "PMSCR_EL1"},     {0x91, "PMSNEVFR_EL1"}, {0x92, "PMSICR_EL1"},   {0x93, "PMSIRR_EL1"},
    {0x94, "PMSFCR_EL1"},    {0x95, "PMSEVFR_EL1"},  {0x96, "PMSLATFR_EL1"}, {0x97, "PMSIDR_EL1"},
    {0xa0, "PMBLIMITR_EL1"}, {0xa1, "PMBPTR_EL1"},   {0xa3, "PMBSR_EL1"},    {0xa7, "PMBIDR_EL1"},
    {0xa2, "0xa2"},          {0xa4, "0xa4"},         {0xa5, "0xa5"},         {0xa6, "0xa6"}};

constexpr std::uint64_t kTags[] = {0, 0, 0, std::uint64_t{0x5a} << 56, std::uint64_t{0xff} << 56};

std::uint64_t draw_pointer(Choices& choices, const SpeUnitSetup& setup) {
  const unsigned align = setup.model.pmbidr & 0xf;
  std::uint64_t at = SpePages::kBase + choices.below(SpePages::kPages) * SpePages::kPageSize;
  if (choices.chance(128)) at += std::uint64_t{choices.below(4096)} >> align << align;
  if (choices.chance(128)) at |= 0xe00 >> align << align;
  if (choices.chance(8)) at += choices.draw(12);
  return choices.chance(240) ? at : at | choices.of(kTags);
}

std::uint64_t draw_limit(Choices& choices) {
  static constexpr std::uint64_t kModes[] = {1, 1, 1, 1, 1, 1, 0, 5, 3, 0x21};
  std::uint64_t at = SpePages::kBase + choices.below(SpePages::kPages + 2) * SpePages::kPageSize;
  if (choices.chance(8)) at = choices.draw(64);
  if (choices.chance(8)) at |= choices.of(kTags);
  return at | choices.of(kModes);
}

/// A value that does something in that register.
std::uint64_t draw_value(Choices& choices, const SpeUnitSetup& setup, unsigned which) {
  static constexpr std::uint64_t kIntervals[] = {0, 1, 0x100, 0x101, 0x100, 0x101, 0x200, 0x301};
  static constexpr std::uint64_t kCounts[] = {0, 0, 1, 2, 5, 100, 255, 256, 257, 0xffff'ffff};
  static constexpr std::uint64_t kEvents[] = {0, 2, 8, 0x20, 0x40, 0x80, 0x800, 0x28, 0x8ea};
  static constexpr std::uint64_t kLatencies[] = {0, 1, 2, 10, 0xfff, 0x1000};
  static constexpr std::uint64_t kSyndromes[] = {0,        0,        0,          0x1'0000,
                                                 0x2'0000, 0x8'0000, 0x900a'0007};
  if (choices.chance(12)) return choices.draw(64);
  switch (which) {
    case 0x90: return choices.chance(160) ? 3 | choices.draw(8) : choices.draw(8);
    case 0x91:
    case 0x95: return choices.of(kEvents) | choices.of(kEvents);
    case 0x92: {
      const std::uint64_t ecount = choices.chance(96) ? choices.draw(8) : 0;
      return choices.of(kCounts) | ecount << 56;
    }
    case 0x93: return choices.of(kIntervals);
    case 0x94: return choices.draw(4) | choices.draw(3) << 16;
    case 0x96: return choices.of(kLatencies);
    case 0xa0: return draw_limit(choices);
    case 0xa1: return draw_pointer(choices, setup);
    case 0xa3: return choices.of(kSyndromes);
    default: return choices.draw(64);
  }
}

SpeOperation draw_retired(Choices& choices) {
  using Class = SpeOperationType::Class;
  static constexpr Class kClasses[] = {Class::kOther, Class::kBranch, Class::kLoadStore,
                                       Class::kLoadStore};
  static constexpr std::uint32_t kLatencies[] = {0,   1,   2,   9,    10,   256,
                                                 257, 300, 600, 4095, 4096, 70'000};
  static constexpr SpeDataSource kSources[] = {SpeDataSource::kL1d, SpeDataSource::kDram};
  SpeOperation operation;
  operation.pc = {.address = choices.draw(64),
                  .level = static_cast<std::uint8_t>(choices.below(2))};
  if (choices.chance(4)) operation.pc.level = 2;
  operation.type = {choices.of(kClasses), static_cast<std::uint8_t>(choices.draw(8))};
  operation.events = choices.draw(choices.chance(16) ? 64 : 12);
  if (choices.chance(128)) operation.target = {.address = choices.draw(64), .level = 1};
  operation.loads = choices.chance(128);
  operation.stores = choices.chance(128);
  operation.has_address = choices.chance(200);
  operation.virtual_address = choices.draw(64);
  operation.physical_address = choices.draw(64);
  if (choices.chance(128)) operation.source = choices.of(kSources);
  operation.total_latency = choices.of(kLatencies);
  operation.issue_latency = choices.of(kLatencies);
  operation.translation_latency = choices.of(kLatencies);
  operation.context_el1 = static_cast<std::uint32_t>(choices.draw(32));
  operation.virtual_count = choices.draw(64);
  operation.physical_count = choices.draw(64);
  return operation;
}

}  // namespace

std::span<const SpeUnitSetup> spe_unit_setups() {
  static const std::array<SpeUnitSetup, 9> kSetups = {{
      {"SPEv1", kSpeModelV1},
      {"SPEv1p1", kSpeModelV1p1},
      {"SPEv1p2", kSpeModelV1p2},
      {"SPEv1, random within the interval", without_ernd(kSpeModelV1)},
      {"SPEv1p2, counters of 16 bits", with_wide_counters(kSpeModelV1p2)},
      {"SPEv1p1, no alignment", with_align(kSpeModelV1p1, 0)},
      {"SPEv1p2, 2 KiB each", with_align(with_max_size(kSpeModelV1p2, 11), 11)},
      {"SPEv1, 128 bytes in up to 256", with_align(with_max_size(kSpeModelV1, 8), 7)},
      {"SPEv1, no data source, 8 KiB at most", with_max_buffer(without_lds(kSpeModelV1), 2)},
  }};
  return kSetups;
}

SpeUnitOperation draw_operation(Choices& choices, const SpeUnitSetup& setup) {
  const unsigned what = choices.below(64);
  SpeUnitOperation operation{.kind = Kind::kRetire};
  if (what < 30) {
    operation.value = choices.draw(choices.chance(128) ? 10 : 8);
    operation.flag = choices.chance(8);
    operation.operation = draw_retired(choices);
  } else if (what < 46) {
    operation.kind = Kind::kWrite;
    operation.which = choices.of(kRegisters).which;
    operation.value = draw_value(choices, setup, operation.which);
  } else if (what < 54) {
    operation.kind = Kind::kStart;
    operation.value = draw_pointer(choices, setup);
    operation.which = static_cast<std::uint8_t>(choices.below(3));
    operation.flag = choices.chance(160);
  } else if (what < 56) {
    operation.kind = Kind::kRead;
    operation.which = choices.of(kRegisters).which;
  } else if (what < 58) {
    operation.kind = Kind::kOwner;
    operation.value = choices.draw(56);
  } else if (what < 60) {
    operation.kind = Kind::kPage;
    operation.which = static_cast<std::uint8_t>(choices.below(SpePages::kPages));
    operation.value = choices.chance(160) ? 0 : choices.below(5);
  } else if (what < 62) {
    operation.kind = Kind::kMove;
    if (choices.chance(192)) operation.value = choices.draw(64);
  } else if (what < 63 || choices.chance(240)) {
    operation.kind = Kind::kDamaged;
    operation.which = static_cast<std::uint8_t>(choices.draw(8));
    operation.value = choices.draw(6);
  } else {
    operation.kind = Kind::kReset;
  }
  return operation;
}

std::string describe(const SpeUnitOperation& operation) {
  const auto name = [&] {
    for (const Named& each : kRegisters) {
      if (each.which == operation.which) return each.name;
    }
    return "?";
  };
  const SpeOperation& op = operation.operation;
  switch (operation.kind) {
    case Kind::kRead: return fmt::format("mrs {}", name());
    case Kind::kWrite: return fmt::format("msr {} = {:#x}", name(), operation.value);
    case Kind::kStart:
      return fmt::format("start at {:#x}, {} more pages{}", operation.value, operation.which,
                         operation.flag ? ", RND" : "");
    case Kind::kRetire:
      return fmt::format(
          "{} operations at EL{}: class {:#x}, events {:#x}, latencies {} {} {}{}{}{}{}",
          operation.value, op.pc.level, static_cast<unsigned>(op.type.of), op.events,
          op.total_latency, op.issue_latency, op.translation_latency, op.loads ? ", loads" : "",
          op.stores ? ", stores" : "", op.has_address ? ", address" : "",
          operation.flag ? ", dropped" : "");
    case Kind::kOwner: return fmt::format("PMSCR_EL2 = {:#x}", operation.value);
    case Kind::kPage: return fmt::format("page {} becomes {}", operation.which, operation.value);
    case Kind::kMove: return fmt::format("save and restore, generator {:#x}", operation.value);
    case Kind::kDamaged:
      return fmt::format("restore with bit {} of word {} changed", operation.value,
                         operation.which);
    case Kind::kReset: return "reset";
  }
  return "?";
}

}  // namespace vpmu::property
