// SPDX-License-Identifier: MIT
#include "machine/x86/branch_log.hpp"

#include <algorithm>

#include "machine/cannot_hold.hpp"

namespace vpmu::machine::x86 {

using silicon::PredictedKind;
using silicon::Privilege;
using silicon::RawEvent;
using silicon::x86::BranchType;
using silicon::x86::LbrStack;

namespace {

PredictedKind predicted_kind(BranchKind kind) {
  return static_cast<PredictedKind>(static_cast<int>(kind) - 1);
}
static_assert(static_cast<int>(BranchKind::kDirect) - 1 ==
              static_cast<int>(PredictedKind::kDirect));
static_assert(static_cast<int>(BranchKind::kFar) - 1 == static_cast<int>(PredictedKind::kFar));

BranchType type_of(PredictedKind kind) {
  switch (kind) {
    case PredictedKind::kDirect: return BranchType::kDirectJump;
    case PredictedKind::kConditional: return BranchType::kConditional;
    case PredictedKind::kIndirect: return BranchType::kIndirectJump;
    case PredictedKind::kCall: return BranchType::kDirectCall;
    case PredictedKind::kIndirectCall: return BranchType::kIndirectCall;
    case PredictedKind::kReturn: return BranchType::kReturn;
    case PredictedKind::kFar: return BranchType::kOther;
  }
  return BranchType::kOther;
}

silicon::RetiredBranch near_branch(const LoggedBranch& entry) {
  const Block& block = entry.edge.block();
  return {.kind = predicted_kind(block.branch),
          .taken = entry.edge.number() != 0,
          .from = block.rip + block.branch_offset,
          .next = block.rip + block.byte_length,
          .to = entry.to};
}

bool changes_call_stack(BranchKind kind) {
  return kind == BranchKind::kCall || kind == BranchKind::kIndirectCall ||
         kind == BranchKind::kReturn;
}

}  // namespace

BranchLog::BranchLog(Core& core) : core_{core} {
  core_.branch_log = this;
  clear();
}

void BranchLog::clear() {
  for (Half& half : halves_) half.first = half.end = 0;
  current_ = 0;
  core_.log_end = halves_[0].entries.data();
}

// ---- Who wants to know --------------------------------------------------------------------------

void BranchLog::set_unit(LbrStack* unit) {
  if (unit == unit_) return;
  if (restored_) {
    restored_ = false;
  } else {
    hand_over();
    clear();
  }
  unit_ = unit;
}

void BranchLog::count_mispredictions(bool count) {
  if (count == counts_) return;
  hand_over();
  counts_ = count;
}

// ---- Entries ------------------------------------------------------------------------------------

HeldBranch& BranchLog::apart(const Half& half, std::size_t n) const {
  if (apart_ == nullptr) apart_ = std::make_unique<std::array<HeldBranch, 2 * (kHalf + kSlack)>>();
  const auto which = static_cast<std::size_t>(&half - halves_.data());
  return (*apart_)[which * (kHalf + kSlack) + n];
}

HeldBranch BranchLog::expand(const Half& half, std::size_t n) const {
  const LoggedBranch& entry = half.entries[n];
  if (!entry.edge) return apart(half, n);
  const Block& block = entry.edge.block();
  const Privilege privilege = privilege_of(block.mode);
  return {.branch = near_branch(entry),
          .cycle = entry.cycle,
          .code_base = block.cs_base,
          .begins_in = privilege,
          .ends_in = privilege};
}

void BranchLog::add(const HeldBranch& branch) {
  if (unit_ == nullptr) return;
  make_room();
  const Half& half = halves_[current_];
  apart(half, fill()) = branch;
  *core_.log_end++ = {};
}

void BranchLog::let_go_of_blocks() {
  halves_[current_].end = fill();
  for (Half& half : halves_) {
    for (std::size_t n = half.first; n < half.end; ++n) {
      if (!half.entries[n].edge) continue;
      apart(half, n) = expand(half, n);
      half.entries[n] = {};
    }
  }
}

// ---- Looking ------------------------------------------------------------------------------------

void BranchLog::record(const HeldBranch& held, bool mispredicted) {
  const silicon::RetiredBranch& branch = held.branch;
  const std::uint64_t base = unit_->model().architectural() ? held.code_base : 0;
  unit_->record({.from = branch.from + base,
                 .to = branch.to + base,
                 .next = branch.next + base,
                 .cycle = held.cycle,
                 .type = type_of(branch.kind),
                 .ends_in = held.ends_in,
                 .mispredicted = mispredicted,
                 .aborted = held.aborted});
}

/// Nobody wants records: all that matters is whether the predictor was right.
void BranchLog::count_wrong(Half& half, std::size_t end) {
  std::array<std::uint64_t, silicon::kPrivilegeCount> wrong{};
  for (; half.first < end; ++half.first) {
    const LoggedBranch& entry = half.entries[half.first];
    // Noted where the log was saved, for a unit that nobody records in here.
    if (!entry.edge) continue;
    const Block& block = entry.edge.block();
    // Added without a branch of its own: the host would mispredict it.
    wrong[static_cast<std::size_t>(privilege_of(block.mode))] +=
        core_.predictor->predict_and_train(near_branch(entry)) ? 1 : 0;
  }
  for (const Privilege privilege : {Privilege::kUser, Privilege::kKernel}) {
    core_.totals->add(RawEvent::kMispredictedBranches, privilege,
                      wrong[static_cast<std::size_t>(privilege)]);
  }
}

void BranchLog::look_at(Half& half, std::size_t end) {
  if (unit_ == nullptr) return count_wrong(half, end);
  const bool only_calls = !counts_ && unit_->in_call_stack_mode();
  for (; half.first < end; ++half.first) {
    const EdgeRef edge = half.entries[half.first].edge;
    if (only_calls && edge && !changes_call_stack(edge.block().branch)) continue;
    const HeldBranch held = expand(half, half.first);
    const bool wrong = core_.predictor->predict_and_train(held.branch);
    if (counts_) core_.totals->add(RawEvent::kMispredictedBranches, held.begins_in, wrong ? 1 : 0);
    if (held.branch.taken) record(held, wrong);
  }
}

void BranchLog::look_at_all() {
  Half& older = halves_[1 - current_];
  look_at(older, older.end);
  look_at(halves_[current_], fill());
}

void BranchLog::hand_over() {
  make_room();
  look_at_all();
  if (unit_ == nullptr) clear();
}

/// Would a look record it? Not in call-stack mode.
bool BranchLog::is_recorded(const Half& half, std::size_t n) const {
  const EdgeRef edge = half.entries[n].edge;
  if (!edge) {
    const HeldBranch& held = apart(half, n);
    return held.branch.taken && unit_->accepts(type_of(held.branch.kind), held.ends_in);
  }
  const auto accepted = [this](const Block& block) {
    return unit_->accepts(type_of(predicted_kind(block.branch)), privilege_of(block.mode));
  };
  return edge.number() != 0 &&
         (unit_->accepted() == LbrStack::kAcceptsAll || accepted(edge.block()));
}

bool BranchLog::fills_unit(const Half& half) const {
  if (!unit_->enabled()) return true;
  if (unit_->in_call_stack_mode()) return false;
  // One more than the unit keeps: the oldest record's cycles are counted from the one before.
  unsigned left = unit_->depth() + 1;
  for (std::size_t n = kHalf; n-- > half.first && left != 0;) {
    if (is_recorded(half, n)) --left;
  }
  return left == 0;
}

std::uint64_t BranchLog::recorded_in(const Half& half) const {
  if (unit_->accepted() == LbrStack::kAcceptsAll) {
    // Nearly always: near branches only, and nothing to decide about any of them.
    std::uint64_t taken = 0, apart = 0;
    for (std::size_t n = half.first; n < half.end; ++n) {
      taken += half.entries[n].edge.number();
      apart += half.entries[n].edge ? 0 : 1;
    }
    if (apart == 0) return taken;
  }
  std::uint64_t count = 0;
  for (std::size_t n = half.first; n < half.end; ++n) count += is_recorded(half, n) ? 1 : 0;
  return count;
}

/// The current half is full.
void BranchLog::turn() {
  if (counts_) look_at_all();
  Half& full = halves_[current_];
  Half& next = halves_[1 - current_];
  const std::size_t end = fill();
  if (next.first < next.end) {
    if (fills_unit(full)) {
      unit_->pass_over(recorded_in(next));
    } else {
      look_at(next, next.end);
    }
  }
  next.first = next.end = 0;
  std::size_t moved = 0;
  for (std::size_t n = kHalf; n < end; ++n, ++moved) {
    next.entries[moved] = full.entries[n];
    if (!full.entries[n].edge) apart(next, moved) = apart(full, n);
  }
  if (full.first > kHalf) next.first = full.first - kHalf;
  full.end = kHalf;
  current_ = 1 - current_;
  core_.log_end = next.entries.data() + moved;
}

// ---- State --------------------------------------------------------------------------------------

BranchLog::State BranchLog::save() {
  make_room();
  State state;
  if (unit_ == nullptr) return state;
  const Half& older = halves_[1 - current_];
  const Half& newer = halves_[current_];
  for (std::size_t n = older.first; n < older.end; ++n) state.held.push_back(expand(older, n));
  for (std::size_t n = newer.first; n < fill(); ++n) state.held.push_back(expand(newer, n));
  state.in_current_half = static_cast<std::uint32_t>(fill());
  return state;
}

Result<void> BranchLog::restore(const State& state) {
  const std::size_t now = state.in_current_half;
  if (now >= kHalf) return cannot_hold("branch log", now);
  if (state.held.size() > kHalf + now) return cannot_hold("branch log", state.held.size());
  for (const HeldBranch& held : state.held) {
    if (held.branch.kind > PredictedKind::kFar || held.begins_in > Privilege::kKernel ||
        held.ends_in > Privilege::kKernel)
      return cannot_hold("branch", held.branch.from);
  }
  clear();
  unit_ = nullptr;
  const std::size_t in_newer = std::min(state.held.size(), now);
  const std::size_t in_older = state.held.size() - in_newer;
  Half& older = halves_[1];
  older.end = kHalf;
  older.first = kHalf - in_older;
  halves_[0].first = now - in_newer;
  for (std::size_t n = 0; n < state.held.size(); ++n) {
    Half& half = n < in_older ? older : halves_[0];
    const std::size_t place = n < in_older ? older.first + n : halves_[0].first + (n - in_older);
    half.entries[place] = {};
    apart(half, place) = state.held[n];
  }
  core_.log_end = halves_[0].entries.data() + now;
  restored_ = !state.held.empty() || now != 0;
  return {};
}

}  // namespace vpmu::machine::x86
