// SPDX-License-Identifier: MIT
#include "property/spe_unit_lockstep.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "property/answers.hpp"

namespace vpmu::property {

using Kind = SpeUnitOperation::Kind;
using Outcome = ReferenceSpeUnit::Outcome;
using namespace silicon::arm64;

namespace {

SystemRegister register_of(unsigned which) {
  return system_register(3, 0, 9, which >> 4, which & 0xf);
}

/// The words of a state that a fault can hit.
std::uint64_t& word(SpeUnitState& state, unsigned which) {
  std::uint64_t* const words[] = {&state.pmscr,
                                  &state.pmsnevfr,
                                  &state.pmsicr,
                                  &state.pmsirr,
                                  &state.pmsfcr,
                                  &state.pmsevfr,
                                  &state.pmslatfr,
                                  &state.pmblimitr,
                                  &state.pmbsr,
                                  &state.random,
                                  &state.in_flight,
                                  &state.statistics.population,
                                  &state.statistics.feed,
                                  &state.statistics.filtrate,
                                  &state.statistics.collisions,
                                  &state.statistics.records,
                                  &state.statistics.misprogrammed,
                                  &state.statistics.lost};
  return *words[which % std::size(words)];
}

std::optional<std::string> differ(const char* what, std::uint64_t is, std::uint64_t expected) {
  if (is == expected) return {};
  return fmt::format("{}: {:#x}, expected {:#x}", what, is, expected);
}

}  // namespace

SpeUnitLockstep::SpeUnitLockstep(const Setup& setup)
    : setup_{setup},
      unit_{std::make_unique<SpeUnit>(setup.model, 1, pages_)},
      reference_{setup.model, unit_->save().random} {}

std::optional<std::string> SpeUnitLockstep::step(const Operation& operation) {
  std::optional<std::string> difference;
  switch (operation.kind) {
    case Kind::kRead:
    case Kind::kWrite: difference = access(operation); break;
    case Kind::kStart: difference = start(operation); break;
    case Kind::kRetire: difference = retire(operation); break;
    case Kind::kOwner:
      unit_->set_owner({.pmscr_el2 = operation.value,
                        .contextidr_el2 = static_cast<std::uint32_t>(operation.value >> 16),
                        .cntpoff_el2 = operation.value >> 8});
      reference_.pmscr_el2 = operation.value;
      reference_.contextidr_el2 = operation.value >> 16 & 0xffff'ffff;
      reference_.cntpoff_el2 = operation.value >> 8;
      break;
    case Kind::kPage:
      pages_.set(operation.which, SpePages::Page{static_cast<std::uint8_t>(operation.value)});
      reference_.pages.set(operation.which,
                           SpePages::Page{static_cast<std::uint8_t>(operation.value)});
      break;
    case Kind::kMove: difference = move(operation.value); break;
    case Kind::kDamaged: difference = restore_damaged(operation); break;
    case Kind::kReset:
      unit_->reset();
      reference_.reset();
      break;
  }
  return difference ? difference : compare_outside();
}

std::optional<std::string> SpeUnitLockstep::access(const Operation& operation) {
  const SystemRegister which = register_of(operation.which);
  if (operation.kind == Kind::kRead) {
    return compare(describe(operation), unit_->read(which), reference_.read(operation.which));
  }
  const Access written = unit_->write(which, operation.value);
  if (which == reg::PMBPTR_EL1) first_ = operation.value;
  return compare(describe(operation), written, reference_.write(operation.which, operation.value));
}

std::optional<std::string> SpeUnitLockstep::start(const Operation& operation) {
  const std::uint64_t limit = (operation.value | 0xfff) + 1 + operation.which * 0x1000;
  const std::uint64_t control = reference_.read(0x90).value();
  for (const auto& [which, value] : {std::pair<std::uint8_t, std::uint64_t>{0xa3, 0},
                                     {0xa1, operation.value},
                                     {0xa0, limit | 1},
                                     {0x93, operation.flag ? 0x101 : 0x100},
                                     {0x90, control | 3}}) {
    auto difference = access({.kind = Kind::kWrite, .which = which, .value = value});
    if (difference) return difference;
  }
  return {};
}

/// As the CPU does it: what is not selected at once, what is on its own.
std::optional<std::string> SpeUnitLockstep::retire(const Operation& operation) {
  std::uint64_t left = operation.value;
  while (left != 0) {
    if (!unit_->profiles(operation.operation.pc.level)) return retire_unselected(operation, 1);
    std::uint64_t next = 0;
    if (auto difference = look_ahead(next)) return difference;
    const std::uint64_t free = std::min(next - 1, left);
    unit_->pass(free);
    if (auto difference = retire_unselected(operation, free)) return difference;
    left -= free;
    if (left == 0) break;
    if (auto difference = retire_selected(operation)) return difference;
    --left;
  }
  return {};
}

std::optional<std::string> SpeUnitLockstep::retire_unselected(const Operation& operation,
                                                              std::uint64_t count) {
  for (std::uint64_t n = 0; n < count; ++n) {
    if (reference_.retire(operation.operation, true) == Outcome::kSelected) {
      return fmt::format("operation {} of {} is selected", n + 1, count);
    }
  }
  return {};
}

std::optional<std::string> SpeUnitLockstep::retire_selected(const Operation& operation) {
  const SpeUnitState before = unit_->save();
  pages_.writes.clear();
  reference_.pages.writes.clear();
  if (operation.flag) {
    unit_->drop();
  } else {
    unit_->sample(operation.operation);
  }
  if (reference_.retire(operation.operation, !operation.flag) != Outcome::kSelected) {
    return "an operation is selected that must not be";
  }
  return check_write(before);
}

std::optional<std::string> SpeUnitLockstep::look_ahead(std::uint64_t& next) const {
  const SpeUnitState before = unit_->save();
  next = unit_->until_sample();
  if (next == 0) return "operation 0 is selected";
  return unit_->save() == before ? std::nullopt
                                 : std::optional<std::string>{"looking ahead has changed it"};
}

/// What a sample has written, if anything.
std::optional<std::string> SpeUnitLockstep::check_write(const SpeUnitState& before) {
  const auto& writes = pages_.writes;
  if (auto difference = differ("writes", writes.size(), reference_.pages.writes.size())) {
    return difference;
  }
  if (writes.empty()) return {};
  const std::uint64_t limit = before.pmblimitr & ~std::uint64_t{0xfff};
  const std::uint64_t start = writes[0].address, end = start + writes[0].size;
  if (writes.size() > 1 || (before.pmbsr >> 17 & 1) != 0) return "a write that must not be";
  if (start != before.pmbptr || start < first_ || end <= start || end > limit) {
    return fmt::format("a write to {:#x} to {:#x}, outside {:#x} to {:#x}", start, end, first_,
                       limit);
  }
  const auto& expected = reference_.pages.writes[0];
  if (start != expected.address || writes[0].size != expected.size) return "a write elsewhere";
  return {};
}

std::optional<std::string> SpeUnitLockstep::move(std::uint64_t random) {
  SpeUnitState state = unit_->save();
  if (random != 0) state.random = reference_.random = random;
  auto there = std::make_unique<SpeUnit>(setup_.model, 2, pages_);
  if (const auto restored = there->restore(state); !restored) {
    return "a state that was saved is refused: " + restored.error().message;
  }
  if (there->save() != state) return "a state has changed by a restore";
  there->set_owner(unit_->owner());
  unit_ = std::move(there);
  return {};
}

/// Whatever is accepted is a state that can go on; what is refused changes nothing.
std::optional<std::string> SpeUnitLockstep::restore_damaged(const Operation& operation) {
  SpeUnitState state = unit_->save();
  word(state, operation.which) ^= std::uint64_t{1} << operation.value % 64;
  SpeUnit there{setup_.model, 2, pages_};
  const SpeUnitState before = there.save();
  if (!there.restore(state)) {
    return there.save() == before ? std::nullopt
                                  : std::optional<std::string>{"a refused state changes it"};
  }
  if (there.save() != state) return "a state that is accepted is not there afterwards";
  if (state.in_flight != 0 && !there.profiles(0) && !there.profiles(1)) {
    return "a sample in flight without profiling is accepted";
  }
  if (there.until_sample() == 0) return "operation 0 is selected";
  return {};
}

std::optional<std::string> SpeUnitLockstep::compare_outside() const {
  for (unsigned level = 0; level < 4; ++level) {
    if (unit_->profiles(level) != reference_.profiles(level)) {
      return fmt::format("it {} EL{}", unit_->profiles(level) ? "profiles" : "does not profile",
                         level);
    }
  }
  const bool stopped = (reference_.read(0xa3).value() >> 17 & 1) != 0;
  if (unit_->interrupt() != stopped) return "the interrupt";
  return {};
}

std::optional<std::string> SpeUnitLockstep::compare_all() {
  for (unsigned which = 0x90; which < 0xb0; ++which) {
    if ((which & 0xf) > 7) continue;
    const std::string what = fmt::format("register {:#x}", which);
    if (auto difference = compare(what, unit_->read(register_of(which)), reference_.read(which))) {
      return difference;
    }
  }
  const SpeUnitState state = unit_->save();
  const SpeStatistics& counts = state.statistics;
  struct Row {
    const char* what;
    std::uint64_t is, expected;
  };
  for (const Row& row : {Row{"population", counts.population, reference_.population},
                         Row{"feed", counts.feed, reference_.feed},
                         Row{"filtrate", counts.filtrate, reference_.filtrate},
                         Row{"collisions", counts.collisions, reference_.collisions},
                         Row{"records", counts.records, reference_.records},
                         Row{"bytes", counts.bytes, reference_.bytes},
                         Row{"misprogrammed", counts.misprogrammed, reference_.misprogrammed},
                         Row{"lost", counts.lost, reference_.lost},
                         Row{"generator", state.random, reference_.random},
                         Row{"in flight", state.in_flight, reference_.in_flight}}) {
    if (auto difference = differ(row.what, row.is, row.expected)) return difference;
  }
  if (!std::ranges::equal(pages_.bytes(), reference_.pages.bytes())) return "the buffer's bytes";
  return {};
}

}  // namespace vpmu::property
