// SPDX-License-Identifier: MIT
#include "property/reference_lbr.hpp"

#include <algorithm>

namespace vpmu::property {
namespace {

using silicon::Privilege;
using silicon::x86::BranchType;
using silicon::x86::LbrFormat;
using silicon::x86::LbrModel;
using silicon::x86::LbrState;
using silicon::x86::TakenBranch;

constexpr std::uint64_t bit(unsigned number) {
  return std::uint64_t{1} << number;
}

constexpr bool is_set(std::uint64_t value, unsigned number) {
  return (value >> number & 1) != 0;
}

/// Bits `high` to 47 are all the same.
constexpr bool canonical(std::uint64_t value, unsigned high) {
  for (unsigned n = 48; n <= high; ++n) {
    if (is_set(value, n) != is_set(value, 47)) return false;
  }
  return true;
}

/// Bits 47 to 0, and bit 47 again up to bit `high`.
constexpr std::uint64_t address(std::uint64_t value, unsigned high) {
  for (unsigned n = 48; n < 64; ++n) {
    value &= ~bit(n);
    if (n <= high && is_set(value, 47)) value |= bit(n);
  }
  return value;
}

bool is_call(BranchType type) {
  return type == BranchType::kDirectCall || type == BranchType::kIndirectCall;
}

/// The bit of LBR_SELECT that suppresses it.
unsigned select_bit(BranchType type) {
  switch (type) {
    case BranchType::kConditional: return 2;
    case BranchType::kDirectCall: return 3;
    case BranchType::kIndirectCall: return 4;
    case BranchType::kReturn: return 5;
    case BranchType::kIndirectJump: return 6;
    case BranchType::kDirectJump: return 7;
    case BranchType::kOther: return 8;
  }
  return 8;
}

/// The bit of IA32_LBR_CTL that admits it.
unsigned ctl_bit(BranchType type) {
  switch (type) {
    case BranchType::kConditional: return 16;
    case BranchType::kDirectJump: return 17;
    case BranchType::kIndirectJump: return 18;
    case BranchType::kDirectCall: return 19;
    case BranchType::kIndirectCall: return 20;
    case BranchType::kReturn: return 21;
    case BranchType::kOther: return 22;
  }
  return 22;
}

}  // namespace

ReferenceLbr::ReferenceLbr(const LbrModel& model) : model_{model}, records_(model.depth) {}

void ReferenceLbr::reset() {
  select_ = 0;
  tos_ = 0;
  records_.assign(model_.depth, {});
}

ReferenceLbr::Register ReferenceLbr::find(std::uint32_t msr) const {
  if (!model_.exists()) return {};
  if (msr == (arch() ? 0x14ceu : 0x1c8u)) return {Kind::kSelect, 0};
  if (!arch() && msr == 0x1c9) return {Kind::kTos, 0};
  if (arch() && msr == 0x14cf) return {Kind::kDepth, 0};
  for (unsigned n = 0; n < model_.depth; ++n) {
    if (msr == raw(model_.from) + n) return {Kind::kFrom, n};
    if (msr == raw(model_.to) + n) return {Kind::kTo, n};
    if (model_.has_info() && msr == raw(model_.info) + n) return {Kind::kInfo, n};
  }
  return {};
}

bool ReferenceLbr::has(std::uint32_t msr) const {
  return find(msr).kind != Kind::kNone;
}

std::vector<std::uint32_t> ReferenceLbr::registers() const {
  if (!model_.exists()) return {};
  std::vector<std::uint32_t> all = {arch() ? 0x14ceu : 0x1c8u, arch() ? 0x14cfu : 0x1c9u};
  for (unsigned n = 0; n < model_.depth; ++n) {
    all.push_back(raw(model_.from) + n);
    all.push_back(raw(model_.to) + n);
    if (model_.has_info()) all.push_back(raw(model_.info) + n);
  }
  return all;
}

std::optional<std::uint64_t> ReferenceLbr::read(std::uint32_t msr) const {
  const auto [kind, number] = find(msr);
  if (number >= depth()) return {};
  switch (kind) {
    case Kind::kNone: return {};
    case Kind::kSelect: return select_;
    case Kind::kTos: return tos_;
    case Kind::kDepth: return depth();
    case Kind::kFrom: return records_[number].from;
    case Kind::kTo: return records_[number].to;
    case Kind::kInfo: return records_[number].info;
  }
  return {};
}

bool ReferenceLbr::takes_select(std::uint64_t value) const {
  // LBR_SELECT has bits 8 to 0 and, since Haswell, EN_CALLSTACK. IA32_LBR_CTL has LBREn, the two
  // rings, the call stack and seven kinds of branches.
  std::uint64_t valid = arch() ? 0x7f0007u : 0x1ffu;
  if (model_.call_stack) valid |= arch() ? bit(3) : bit(9);
  return (value & ~valid) == 0;
}

bool ReferenceLbr::takes_depth(std::uint64_t value) const {
  // CPUID.1CH:EAX[7:0]: bit n for a depth of 8 * (n + 1).
  for (unsigned n = 0; n < 8; ++n) {
    if (value == 8 * (n + 1) && is_set(model_.depths, n)) return value <= model_.depth;
  }
  return false;
}

bool ReferenceLbr::takes_from(std::uint64_t value) const {
  switch (model_.format) {
    case LbrFormat::kEipFlags: return canonical(value, 62);
    // Without TSX, bits 62 and 61 belong to the address for WRMSR, but what the CPU records has
    // them clear.
    case LbrFormat::kEipFlags2: return canonical(value, model_.tsx ? 60 : 62);
    default: return canonical(value, 63);
  }
}

bool ReferenceLbr::takes_to(std::uint64_t value) const {
  return canonical(value, 63);
}

std::uint64_t ReferenceLbr::info_bits() const {
  if (!model_.has_info()) return 0;
  std::uint64_t bits = bit(63) | 0xffff;
  if (model_.tsx) bits |= bit(62) | bit(61);
  if (arch()) bits |= bit(60) | std::uint64_t{0xf} << 56;
  return bits;
}

bool ReferenceLbr::write(std::uint32_t msr, std::uint64_t value) {
  const auto [kind, number] = find(msr);
  if (number >= depth()) return false;
  switch (kind) {
    case Kind::kNone: return false;
    case Kind::kSelect:
      if (!takes_select(value)) return false;
      select_ = value;
      return true;
    case Kind::kTos: tos_ = static_cast<unsigned>(value % depth()); return true;
    case Kind::kDepth:
      if (!takes_depth(value)) return false;
      // Whatever the depth was before, all records are zeros.
      records_.assign(value, {});
      return true;
    case Kind::kFrom:
      if (!takes_from(value)) return false;
      records_[number].from = value;
      return true;
    case Kind::kTo:
      if (!takes_to(value)) return false;
      records_[number].to = value;
      return true;
    case Kind::kInfo: records_[number].info = value & info_bits(); return true;
  }
  return false;
}

bool ReferenceLbr::call_stack_mode() const {
  return is_set(select_, arch() ? 3 : 9);
}

bool ReferenceLbr::looks_at(const TakenBranch& branch) const {
  if (call_stack_mode() && !is_call(branch.type) && branch.type != BranchType::kReturn)
    return false;
  const bool kernel = branch.ends_in == Privilege::kKernel;
  if (!arch()) return !is_set(select_, kernel ? 0 : 1) && !is_set(select_, select_bit(branch.type));
  return is_set(select_, 0) && is_set(select_, kernel ? 1 : 2) &&
         is_set(select_, ctl_bit(branch.type));
}

ReferenceLbr::Record ReferenceLbr::record_of(const TakenBranch& branch) const {
  Record record{.from = address(branch.from, 63), .to = address(branch.to, 63), .info = 0};
  switch (model_.format) {
    case LbrFormat::kEipFlags:
      record.from = address(branch.from, 62);
      if (branch.mispredicted) record.from |= bit(63);
      return record;
    case LbrFormat::kEipFlags2:
      record.from = address(branch.from, 60);
      if (branch.mispredicted) record.from |= bit(63);
      if (model_.tsx && branch.aborted) record.from |= bit(61);
      return record;
    default: break;
  }
  record.info = std::min<std::uint64_t>(branch.cycle - cycle_, 0xffff);
  if (branch.mispredicted) record.info |= bit(63);
  if (model_.tsx && branch.aborted) record.info |= bit(61);
  if (arch()) record.info |= bit(60) | static_cast<std::uint64_t>(branch.type) << 56;
  return record;
}

void ReferenceLbr::put_on(const Record& record) {
  if (arch()) {
    records_.push_front(record);
    records_.pop_back();
    return;
  }
  // LBR_TOS is advanced first.
  tos_ = (tos_ + 1) % depth();
  records_[tos_] = record;
}

void ReferenceLbr::take_off() {
  if (newest(0) == Record{}) return;
  if (arch()) {
    records_.pop_front();
    records_.emplace_back();
    return;
  }
  records_[tos_] = {};
  tos_ = (tos_ + depth() - 1) % depth();
}

void ReferenceLbr::retire(const TakenBranch& branch) {
  if (!looks_at(branch)) return;
  if (call_stack_mode() && branch.type == BranchType::kReturn) {
    take_off();
    return;
  }
  // No return will match it.
  if (call_stack_mode() && branch.to == branch.next) return;
  put_on(record_of(branch));
  cycle_ = branch.cycle;
}

ReferenceLbr::Record ReferenceLbr::newest(unsigned age) const {
  return records_[arch() ? age : (tos_ + depth() - age) % depth()];
}

LbrState ReferenceLbr::state() const {
  LbrState state{.select = select_,
                 .tos = static_cast<std::uint8_t>(tos_),
                 .depth = static_cast<std::uint8_t>(depth()),
                 .cycle = cycle_};
  std::ranges::copy(records_, state.records.begin());
  return state;
}

bool ReferenceLbr::takes(const LbrState& state) const {
  if (!takes_select(state.select)) return false;
  if (arch() ? state.tos != 0 || !takes_depth(state.depth)
             : state.depth != model_.depth || state.tos >= model_.depth) {
    return false;
  }
  for (unsigned n = 0; n < state.records.size(); ++n) {
    const Record& record = state.records[n];
    if (n >= state.depth && record != Record{}) return false;
    // As the CPU records it, bits 62 and 61 of an address may be clear in format 4.
    const bool as_recorded = model_.format == LbrFormat::kEipFlags2 && canonical(record.from, 60) &&
                             !is_set(record.from, 62) && !is_set(record.from, 61);
    if (!takes_from(record.from) && !as_recorded) return false;
    if (!takes_to(record.to) || (record.info & ~info_bits()) != 0) return false;
  }
  return true;
}

bool ReferenceLbr::set_state(const LbrState& state) {
  if (!takes(state)) return false;
  select_ = state.select;
  tos_ = state.tos;
  records_.assign(state.records.begin(), state.records.begin() + state.depth);
  cycle_ = state.cycle;
  return true;
}

}  // namespace vpmu::property
