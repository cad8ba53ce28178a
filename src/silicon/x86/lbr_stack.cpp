// SPDX-License-Identifier: MIT
#include "vpmu/silicon/x86/lbr_stack.hpp"

#include "vpmu/base/ensure.hpp"
#include "vpmu/silicon/x86/canonical.hpp"
#include "vpmu/silicon/x86/msrs.hpp"

namespace vpmu::silicon::x86 {

namespace {

using Record = LbrState::Record;

constexpr std::uint64_t kAllBits = ~std::uint64_t{0};

/// Which register an MSR is.
enum class Kind : std::uint8_t { kNone, kFilter, kTos, kDepth, kFrom, kTo, kInfo };
struct Location {
  Kind kind = Kind::kNone;
  unsigned index = 0;  ///< of kFrom, kTo and kInfo
};

Location locate(const LbrModel& model, MsrIndex msr) {
  const bool architectural = model.architectural();
  if (msr == filter_register(model)) return {Kind::kFilter};
  if (architectural && msr == msr::IA32_LBR_DEPTH) return {Kind::kDepth};
  if (!architectural && msr == msr::MSR_LASTBRANCH_TOS) return {Kind::kTos};
  const auto index = [msr](MsrIndex first) { return raw(msr) - raw(first); };
  if (index(model.from) < model.depth) return {Kind::kFrom, index(model.from)};
  if (index(model.to) < model.depth) return {Kind::kTo, index(model.to)};
  if (model.has_info() && index(model.info) < model.depth) return {Kind::kInfo, index(model.info)};
  return {};
}

/// IA32_LBR_DEPTH or the fixed depth of legacy LBRs.
bool has_depth(const LbrModel& model, std::uint64_t depth) {
  if (!model.architectural()) return depth == model.depth;
  return depth != 0 && depth % 8 == 0 && depth <= model.depth &&
         (model.depths >> (depth / 8 - 1) & 1) != 0;
}

bool is_power_of_two(unsigned number) {
  return number != 0 && (number & (number - 1)) == 0;
}

/// Nothing else is modelled, and places are counted modulo the depth.
bool is_modelled(const LbrModel& model) {
  switch (model.format) {
    case LbrFormat::kEipFlags:
    case LbrFormat::kEipFlags2: break;
    case LbrFormat::kInfo:
    case LbrFormat::kArchitectural:
      if (!model.has_info()) return false;
      break;
    default: return false;
  }
  constexpr std::uint8_t kPowersOfTwo = 0b1011;  // 8, 16 and 32
  return is_power_of_two(model.depth) && model.depth <= LbrModel::kMaxDepth &&
         has_depth(model, model.depth) &&
         (!model.architectural() || (model.depths & ~kPowersOfTwo) == 0);
}

std::uint64_t filter_bits(const LbrModel& model) {
  const std::uint64_t call_stack =
      model.architectural() ? mask_of(LbrCtl::kCallStack) : mask_of(LbrSelect::kEnCallStack);
  const std::uint64_t all = model.architectural() ? LbrCtl::kAll : LbrSelect::kAll;
  return model.call_stack ? all : all & ~call_stack;
}

std::uint64_t flag_bits(const LbrModel& model) {
  const std::uint64_t transactions = mask_of(LbrInfo::kInTx, LbrInfo::kAbort);
  return mask_of(LbrInfo::kMispredicted) | (model.tsx ? transactions : 0);
}

/// Bits of FROM that no captured address is in. Format 4 leaves them to flags that a CPU without
/// TSX does not have.
std::uint64_t flag_space(const LbrModel& model) {
  switch (model.format) {
    case LbrFormat::kEipFlags: return mask_of(LbrInfo::kMispredicted);
    case LbrFormat::kEipFlags2:
      return mask_of(LbrInfo::kMispredicted, LbrInfo::kInTx, LbrInfo::kAbort);
    default: return 0;
  }
}

std::uint64_t info_bits(const LbrModel& model) {
  if (!model.has_info()) return 0;
  const std::uint64_t bits = flag_bits(model) | mask_of(LbrInfo::kCycles);
  return model.architectural() ? bits | mask_of(LbrInfo::kType, LbrInfo::kCyclesValid) : bits;
}

constexpr std::int64_t sign_extended(std::uint64_t value, unsigned flags) {
  return static_cast<std::int64_t>(value << flags) >> flags;
}
/// Are the bits from 47 on all the same, but for as many flags at the top?
constexpr bool canonical(std::uint64_t value, unsigned flags) {
  return x86::canonical(static_cast<std::uint64_t>(sign_extended(value, flags)));
}

/// Flags at the top of FROM, for WRMSR: without TSX, the two of format 4 belong to the sign.
unsigned from_flags(const LbrModel& model) {
  switch (model.format) {
    case LbrFormat::kEipFlags: return 1;
    case LbrFormat::kEipFlags2: return model.tsx ? 3 : 1;
    default: return 0;
  }
}

bool can_write_from(const LbrModel& model, std::uint64_t value) {
  return canonical(value, from_flags(model));
}
/// What was captured need not be what can be written.
bool can_hold_from(const LbrModel& model, std::uint64_t value) {
  const std::uint64_t always_clear = flag_space(model) & ~flag_bits(model);
  const bool captured = always_clear != 0 && (value & always_clear) == 0 && canonical(value, 3);
  return captured || can_write_from(model, value);
}

bool can_hold(const LbrModel& model, const Record& record) {
  return can_hold_from(model, record.from) && canonical(record.to, 0) &&
         (record.info & ~info_bits(model)) == 0;
}

/// The bits of IA32_LBR_CTL that ask for them.
struct TypeFilter {
  BranchType type;
  std::uint64_t ctl;
};
constexpr std::array kTypeFilters{
    TypeFilter{BranchType::kConditional, mask_of(LbrCtl::kJcc)},
    TypeFilter{BranchType::kIndirectJump, mask_of(LbrCtl::kNearIndJmp)},
    TypeFilter{BranchType::kDirectJump, mask_of(LbrCtl::kNearRelJmp)},
    TypeFilter{BranchType::kIndirectCall, mask_of(LbrCtl::kNearIndCall)},
    TypeFilter{BranchType::kDirectCall, mask_of(LbrCtl::kNearRelCall)},
    TypeFilter{BranchType::kReturn, mask_of(LbrCtl::kNearRet)},
    TypeFilter{BranchType::kOther, mask_of(LbrCtl::kOther)},
};
struct PrivilegeFilter {
  Privilege privilege;
  std::uint64_t ctl;
};
constexpr std::array kPrivilegeFilters{
    PrivilegeFilter{Privilege::kKernel, mask_of(LbrCtl::kOs)},
    PrivilegeFilter{Privilege::kUser, mask_of(LbrCtl::kUsr)},
};

constexpr bool changes_call_stack(BranchType type) {
  return type == BranchType::kDirectCall || type == BranchType::kIndirectCall ||
         type == BranchType::kReturn;
}

/// LbrStack::accepted() for a value of IA32_LBR_CTL.
std::uint32_t accepted_by(const LbrCtl& ctl) {
  if (ctl.get(LbrCtl::kEn) == 0) return 0;
  std::uint32_t accepted = 0;
  for (const TypeFilter& type : kTypeFilters) {
    if (ctl.get(LbrCtl::kCallStack) != 0 && !changes_call_stack(type.type)) continue;
    if ((ctl.raw & type.ctl) == 0) continue;
    for (const PrivilegeFilter& privilege : kPrivilegeFilters) {
      if ((ctl.raw & privilege.ctl) != 0)
        accepted |= 1u << LbrStack::accept_bit(type.type, privilege.privilege);
    }
  }
  return accepted;
}

}  // namespace

LbrStack::LbrStack(const LbrModel& model)
    : model_{model},
      depth_{model.depth},
      from_address_{kAllBits & ~flag_space(model)},
      from_flags_{flag_space(model) & flag_bits(model)},
      info_bits_{info_bits(model)} {
  ensure(is_modelled(model));
  follow_select();
}

bool LbrStack::has(const LbrModel& model, MsrIndex msr) {
  return model.exists() && locate(model, msr).kind != Kind::kNone;
}

std::optional<std::uint64_t> LbrStack::read(MsrIndex msr) const {
  const Location location = locate(model_, msr);
  switch (location.kind) {
    case Kind::kNone: return std::nullopt;
    case Kind::kFilter: return select_;
    case Kind::kDepth: return depth_;
    default: hand_over();
  }
  if (location.kind == Kind::kTos) return top_;
  if (location.index >= depth_) return std::nullopt;
  const Record& record = records_[place_of_register(location.index)];
  switch (location.kind) {
    case Kind::kFrom: return record.from;
    case Kind::kTo: return record.to;
    default: return record.info;
  }
}

bool LbrStack::write(MsrIndex msr, std::uint64_t value) {
  const Location location = locate(model_, msr);
  if (location.kind == Kind::kNone) return false;
  hand_over();
  switch (location.kind) {
    case Kind::kFilter:
      if ((value & ~filter_bits(model_)) != 0) return false;
      select_ = value;
      follow_select();
      return true;
    case Kind::kTos: top_ = static_cast<std::uint32_t>(value & (depth_ - 1)); return true;
    case Kind::kDepth: return set_depth(value);
    default: break;
  }
  if (location.index >= depth_) return false;
  Record& record = records_[place_of_register(location.index)];
  switch (location.kind) {
    case Kind::kFrom:
      if (!can_write_from(model_, value)) return false;
      record.from = value;
      return true;
    case Kind::kTo:
      if (!canonical(value, 0)) return false;
      record.to = value;
      return true;
    default: record.info = value & info_bits_; return true;
  }
}

/// IA32_LBR_DEPTH: software clears all records with it.
bool LbrStack::set_depth(std::uint64_t depth) {
  if (!has_depth(model_, depth)) return false;
  depth_ = static_cast<std::uint32_t>(depth);
  top_ = 0;
  records_.fill({});
  return true;
}

void LbrStack::follow_select() {
  const LbrCtl ctl{{model_.architectural() ? select_ : lbr_ctl_of({{select_}})}};
  accepted_ = accepted_by(ctl);
  call_stack_ = ctl.get(LbrCtl::kCallStack) != 0;
}

void LbrStack::follow_call(const TakenBranch& branch) {
  if (branch.type == BranchType::kReturn) {
    pop();
  } else if (branch.to != branch.next) {
    push(branch);
  }
}

void LbrStack::pop() {
  Record& newest = records_[top_];
  if (newest == Record{}) return;
  newest = {};
  top_ = place(1);
}

LbrState::Record LbrStack::newest(unsigned age) const {
  ensure(age < depth_);
  hand_over();
  return records_[place(age)];
}

LbrStack::Decoded LbrStack::decode(const LbrModel& model, const Record& record) {
  const LbrInfo flags{{(model.has_info() ? record.info : record.from) & flag_bits(model)}};
  Decoded decoded{.from = record.from,
                  .to = record.to,
                  .mispredicted = flags.get(LbrInfo::kMispredicted) != 0,
                  .in_transaction = flags.get(LbrInfo::kInTx) != 0,
                  .aborted = flags.get(LbrInfo::kAbort) != 0};
  if (!model.has_info()) {
    const unsigned unused = model.format == LbrFormat::kEipFlags2 ? 3 : 1;
    decoded.from = static_cast<std::uint64_t>(sign_extended(record.from, unused));
    return decoded;
  }
  const LbrInfo info{{record.info}};
  if (!model.architectural() || info.get(LbrInfo::kCyclesValid) != 0)
    decoded.cycles = static_cast<std::uint16_t>(info.get(LbrInfo::kCycles));
  if (model.architectural()) {
    const std::uint64_t type = info.get(LbrInfo::kType);
    const auto last = static_cast<std::uint64_t>(BranchType::kReturn);
    decoded.type = type <= last ? static_cast<BranchType>(type) : BranchType::kOther;
  }
  return decoded;
}

void LbrStack::reset() {
  hand_over();
  select_ = 0;
  depth_ = model_.depth;
  top_ = 0;
  records_.fill({});
  follow_select();
}

LbrState LbrStack::held() const {
  LbrState state{.select = select_, .depth = static_cast<std::uint8_t>(depth_), .cycle = cycle_};
  if (!model_.architectural()) state.tos = static_cast<std::uint8_t>(top_);
  for (unsigned index = 0; index < depth_; ++index)
    state.records[index] = records_[place_of_register(index)];
  return state;
}

Result<void> LbrStack::restore(const LbrState& state) {
  if ((state.select & ~filter_bits(model_)) != 0)
    return fail("a filter of last branches with bits that this CPU does not have");
  if (!has_depth(model_, state.depth)) return fail("as many last branch records as no CPU has");
  if (state.tos >= (model_.architectural() ? 1 : state.depth))
    return fail("the newest of the last branch records is none of them");
  for (unsigned index = 0; index < LbrModel::kMaxDepth; ++index) {
    const Record& record = state.records[index];
    if (index < state.depth ? !can_hold(model_, record) : record != Record{})
      return fail("a last branch record that this CPU's registers cannot hold");
  }
  hand_over();
  select_ = state.select;
  depth_ = state.depth;
  top_ = state.tos;
  cycle_ = state.cycle;
  records_.fill({});
  for (unsigned index = 0; index < depth_; ++index)
    records_[place_of_register(index)] = state.records[index];
  follow_select();
  return {};
}

}  // namespace vpmu::silicon::x86
