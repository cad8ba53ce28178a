// SPDX-License-Identifier: MIT
#include "hostperf/lbr_unit.hpp"

#include "vpmu/base/ensure.hpp"

namespace vpmu::hostperf {
namespace {

using silicon::x86::LbrModel;
using silicon::x86::LbrState;
using Kind = LbrOwner::Kind;

constexpr bool owned_by_host(const LbrOwner& owner) {
  return owner.kind == Kind::kCallStack || owner.kind == Kind::kHost;
}

/// May `to` see all that `from` was allowed to see?
constexpr bool stays_among(const LbrOwner& from, const LbrOwner& to) {
  if (from.kind != Kind::kHost || to.kind != Kind::kHost) return from == to;
  return from.filter == to.filter && (to.audience & ~from.audience) == 0;
}

/// Which register record `age` is in.
unsigned place(const LbrModel& model, const LbrState& state, unsigned age) {
  return model.architectural() ? age : (unsigned{state.tos} - age) & (state.depth - 1u);
}

/// A call stack ends where FROM is 0. Takes away what is behind; the number of records that are
/// left, and whether there was anything.
struct CallStack {
  unsigned records;
  bool exact;
};
CallStack end_call_stack(const LbrModel& model, LbrState& state) {
  CallStack found{.records = 0, .exact = true};
  while (found.records < state.depth &&
         state.records[place(model, state, found.records)].from != 0) {
    ++found.records;
  }
  for (unsigned age = found.records; age < state.depth; ++age) {
    LbrState::Record& behind = state.records[place(model, state, age)];
    found.exact &= behind == LbrState::Record{};
    behind = {};
  }
  return found;
}

}  // namespace

void LbrUnit::hand_over(const LbrOwner& to, bool switched, std::uint64_t cycle) {
  if (!switched && stays_among(owner_, to)) {
    owner_ = to;
    return;
  }
  if (owner_.kind == Kind::kNobody && to.kind == Kind::kNobody) return;
  const auto task_owned = [](const LbrOwner& owner) {
    return owner.kind == Kind::kGuest || owner.kind == Kind::kCallStack;
  };
  if (switched && (task_owned(owner_) || task_owned(to))) ++switches_.switches;

  const bool kept = put_away(switched);
  owner_ = to;
  const bool waits = to.records != nullptr && to.records->valid &&
                     (!owned_by_host(to) || to.records->state.select == to.filter);
  if (waits) {
    put_back(*to.records);
  } else if (to.kind != Kind::kNobody || !kept) {
    clear(to.filter, cycle);
  }
}

bool LbrUnit::put_away(bool switched) {
  switch (owner_.kind) {
    case Kind::kGuest: break;
    case Kind::kCallStack:
      if (!switched) return false;
      break;
    default: return false;
  }
  save(*owner_.records);
  return true;
}

void LbrUnit::save(LbrRecords& to) {
  to.state = stack_.save();
  CallStack saved{.records = stack_.depth(), .exact = true};
  if (stack_.in_call_stack_mode()) saved = end_call_stack(stack_.model(), to.state);
  switches_.saved_msrs += msrs(saved.records);
  to.valid = true;
  to.exact = saved.exact;
  last_ = &to;
  last_log_id_ = ++to.log_id;
}

void LbrUnit::put_back(LbrRecords& from) {
  from.valid = false;
  if (still_holds(from)) {
    ++switches_.skipped_restores;
    return;
  }
  last_ = nullptr;
  const bool restored = stack_.restore(from.state).has_value();
  ensure(restored);
  switches_.restored_msrs += msrs(stack_.depth());
}

bool LbrUnit::still_holds(const LbrRecords& records) const {
  if (last_ != &records || last_log_id_ != records.log_id || !records.exact) return false;
  const LbrState& state = records.state;
  const LbrState::Record newest = stack_.newest(0);
  // A CPU that slept deeply has lost them.
  return newest.from != 0 && newest == state.records[place(stack_.model(), state, 0)];
}

void LbrUnit::clear(std::uint64_t filter, std::uint64_t cycle) {
  last_ = nullptr;
  stack_.reset();
  stack_.set_cycle(cycle);
  if (filter != 0) {
    const bool programmed = stack_.write(filter_register(stack_.model()), filter);
    ensure(programmed);
  }
  ++switches_.resets;
}

}  // namespace vpmu::hostperf
