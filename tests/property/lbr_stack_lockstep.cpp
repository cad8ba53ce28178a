// SPDX-License-Identifier: MIT
#include "property/lbr_stack_lockstep.hpp"

#include <fmt/format.h>

#include "property/lbr_drawing.hpp"

namespace vpmu::property {
namespace {

using silicon::x86::LbrModel;
using silicon::x86::LbrStack;
using silicon::x86::LbrState;
using silicon::x86::TakenBranch;
using Difference = std::optional<std::string>;
using Kind = LbrStackOperation::Kind;

constexpr std::uint32_t kMsrs = 0x2000;

std::string show(const std::optional<std::uint64_t>& value) {
  return value ? fmt::format("{:#x}", *value) : "#GP";
}

std::string show(const LbrState::Record& record) {
  return fmt::format("{:#x} -> {:#x} ({:#x})", record.from, record.to, record.info);
}

/// One field of a state, chosen by `which`.
void change(LbrState& state, std::uint32_t which, std::uint64_t by) {
  LbrState::Record& record = state.records[which / 8 % state.records.size()];
  switch (which % 8) {
    case 0: state.select ^= by; return;
    case 1: state.tos = static_cast<std::uint8_t>(state.tos ^ by); return;
    case 2: state.depth = static_cast<std::uint8_t>(state.depth ^ by); return;
    case 3: state.cycle ^= by; return;
    case 4: record.from ^= by; return;
    case 5: record.to ^= by; return;
    default: record.info ^= by; return;
  }
}

}  // namespace

LbrStackOperation draw_operation(Choices& choices, const LbrSetup& setup) {
  LbrStackOperation operation{.kind = Kind::kRetire};
  const unsigned n = static_cast<unsigned>(choices.draw(8));
  if (n < 150) {
    operation.where = draw_branch(choices);
  } else if (n < 240) {
    operation.kind = n < 175 ? Kind::kRead : Kind::kWrite;
    operation.where = draw_lbr_msr(choices, setup.model);
    if (operation.kind == Kind::kWrite)
      operation.value = draw_lbr_value(choices, setup.model, operation.where);
  } else if (n < 250) {
    operation.kind = n < 245 ? Kind::kMove : Kind::kCycle;
    operation.value = choices.draw(8);
  } else if (n < 254) {
    operation.kind = Kind::kDamage;
    operation.where = static_cast<std::uint32_t>(choices.draw(8));
    operation.value = choices.chance(128) ? choices.draw(64) : std::uint64_t{1} << choices.draw(6);
  } else {
    operation.kind = Kind::kReset;
  }
  return operation;
}

std::string describe(const LbrStackOperation& operation) {
  const auto [kind, where, value] = operation;
  switch (kind) {
    case Kind::kRead: return fmt::format("rdmsr {:#x}", where);
    case Kind::kWrite: return fmt::format("wrmsr {:#x} = {:#x}", where, value);
    case Kind::kRetire: return describe_branch(where);
    case Kind::kCycle: return fmt::format("cycles are counted from {} ago", value);
    case Kind::kMove: return "saved and restored";
    case Kind::kDamage: return fmt::format("restore of {:#x} ^= {:#x}", where, value);
    case Kind::kReset: return "reset";
  }
  return {};
}

LbrStackLockstep::LbrStackLockstep(const LbrSetup& setup)
    : setup_{setup},
      stack_{std::make_unique<LbrStack>(setup.model)},
      reference_{setup.model},
      registers_{reference_.registers()} {}

Difference LbrStackLockstep::step(const LbrStackOperation& operation) {
  switch (operation.kind) {
    case Kind::kRead:
    case Kind::kWrite: return access(operation);
    case Kind::kRetire: return retire(operation.where);
    case Kind::kCycle:
      stack_->set_cycle(cycle_ - operation.value % (cycle_ + 1));
      reference_.set_cycle(cycle_ - operation.value % (cycle_ + 1));
      return {};
    case Kind::kMove: return move(stack_->save());
    case Kind::kDamage: return damage(operation);
    case Kind::kReset:
      stack_->reset();
      reference_.reset();
      return {};
  }
  return {};
}

Difference LbrStackLockstep::access(const LbrStackOperation& operation) {
  const auto msr = static_cast<MsrIndex>(operation.where);
  if (operation.kind == Kind::kRead) {
    const auto value = stack_->read(msr), expected = reference_.read(operation.where);
    if (value != expected)
      return fmt::format("{}: {}, expected {}", describe(operation), show(value), show(expected));
    return {};
  }
  const bool taken = stack_->write(msr, operation.value);
  if (taken != reference_.write(operation.where, operation.value))
    return fmt::format("{}: {}", describe(operation), taken ? "taken" : "#GP");
  return {};
}

Difference LbrStackLockstep::retire(std::uint32_t drawn) {
  constexpr std::uint8_t kMark = 1;
  cycle_ += cycles_before(drawn);
  const TakenBranch branch = branch_of(drawn, kMark, branches_++, cycle_);
  stack_->record(branch);
  reference_.retire(branch);
  return {};
}

Difference LbrStackLockstep::move(const LbrState& state) {
  auto other = std::make_unique<LbrStack>(setup_.model);
  if (const auto restored = other->restore(state); !restored) return restored.error().message;
  stack_ = std::move(other);
  return {};
}

Difference LbrStackLockstep::damage(const LbrStackOperation& operation) {
  LbrState state = stack_->save();
  change(state, operation.where, operation.value);
  LbrStack other{setup_.model};
  const bool restored = other.restore(state).has_value();
  ReferenceLbr expected{setup_.model};
  if (restored != expected.set_state(state))
    return fmt::format("{}: {}", describe(operation), restored ? "taken" : "refused");
  if (other.save() != expected.state())
    return fmt::format("{}: not what was {}", describe(operation), restored ? "given" : "before");
  return {};
}

Difference LbrStackLockstep::compare_registers() const {
  for (const std::uint32_t msr : registers_) {
    const auto value = stack_->read(MsrIndex{msr}), expected = reference_.read(msr);
    if (value != expected)
      return fmt::format("MSR {:#x}: {}, expected {}", msr, show(value), show(expected));
  }
  return {};
}

Difference LbrStackLockstep::compare_filter() const {
  bool any = false;
  // The lowest five bits of a drawn branch are its type and privilege.
  for (std::uint32_t drawn = 0; drawn < 32; ++drawn) {
    const TakenBranch branch = branch_of(drawn, 0, 0, 0);
    const bool looks =
        (stack_->accepted() >> LbrStack::accept_bit(branch.type, branch.ends_in) & 1) != 0;
    if (looks != reference_.looks_at(branch))
      return fmt::format("{} is {}looked at", describe_branch(drawn), looks ? "" : "not ");
    any = any || looks;
  }
  if (stack_->enabled() != any) return "enabled() is not what the filter says";
  if (stack_->in_call_stack_mode() != reference_.call_stack_mode())
    return "in_call_stack_mode() is not what the filter says";
  return {};
}

Difference LbrStackLockstep::compare_all() const {
  if (Difference difference = compare_registers()) return difference;
  if (Difference difference = compare_filter()) return difference;
  if (stack_->depth() != reference_.depth())
    return fmt::format("depth {}, expected {}", stack_->depth(), reference_.depth());
  for (unsigned age = 0; age < reference_.depth(); ++age) {
    if (stack_->newest(age) != reference_.newest(age))
      return fmt::format("record of age {}: {}, expected {}", age, show(stack_->newest(age)),
                         show(reference_.newest(age)));
  }
  const LbrState state = stack_->save(), expected = reference_.state();
  if (state.cycle != expected.cycle)
    return fmt::format("cycle {}, expected {}", state.cycle, expected.cycle);
  if (state != expected) return "the saved state is not what the registers say";
  return {};
}

Difference LbrStackLockstep::finish() {
  for (std::uint32_t msr = 0; msr < kMsrs; ++msr) {
    if (LbrStack::has(setup_.model, MsrIndex{msr}) != reference_.has(msr))
      return fmt::format("has({:#x})", msr);
  }
  if (Difference difference = compare_all()) return difference;
  if (Difference difference = move(stack_->save())) return difference;
  return compare_all();
}

}  // namespace vpmu::property
