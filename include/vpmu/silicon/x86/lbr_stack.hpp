// SPDX-License-Identifier: MIT
//
// The last branch records of one logical CPU: registers, and what a branch that retires does to
// them. Legacy records (a ring with LBR_TOS, filtered by LBR_SELECT) of formats 3, 4 and 5, and
// architectural ones (record 0 is the newest, filtered by IA32_LBR_CTL).
//
// Whether branches are recorded at all is not decided here, but for IA32_LBR_CTL.LBREn:
// IA32_DEBUGCTL.LBR and the freeze on PMI are other registers'. Whoever runs the CPU calls record()
// for what is to be recorded.
//
// Where manuals leave room: LBR_TOS takes its valid bits and drops the others; an address must be
// canonical in the bits that its register has for it; bits of INFO that have no meaning read as 0;
// a branch is filtered by the privilege that it ends in; a return from an empty call stack leaves
// it empty.
//
// Allocates nothing. The thread that runs the CPU.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "vpmu/base/numbers.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/raw_event.hpp"
#include "vpmu/silicon/x86/lbr_model.hpp"
#include "vpmu/silicon/x86/lbr_registers.hpp"
#include "vpmu/silicon/x86/msrs.hpp"

namespace vpmu::silicon::x86 {

/// What kind of branch a record is of; numbered as INFO[59:56] of architectural LBRs.
enum class BranchType : std::uint8_t {
  kConditional = 0,
  kIndirectJump = 1,
  kDirectJump = 2,
  kIndirectCall = 3,
  kDirectCall = 4,
  kReturn = 5,
  kOther = 8,  ///< far branches, interrupts, exceptions, aborts
};

/// A branch that was taken.
struct TakenBranch {
  std::uint64_t from = 0;  ///< as the format has it: offset in CS, or (architectural) linear
  std::uint64_t to = 0;
  std::uint64_t next = 0;   ///< behind the branch: a call to there is not one
  std::uint64_t cycle = 0;  ///< cycles that the vCPU had run when it retired; never goes back
  BranchType type = BranchType::kOther;
  Privilege ends_in = Privilege::kKernel;
  bool mispredicted = false;
  bool aborted = false;  ///< the end of a transaction that was undone
};

/// All registers, and what a record's cycles are counted from.
struct LbrState {
  struct Record {
    std::uint64_t from = 0, to = 0, info = 0;
    friend bool operator==(const Record&, const Record&) = default;
  };
  std::uint64_t select = 0;  ///< LBR_SELECT; architectural: IA32_LBR_CTL
  std::uint8_t tos = 0;      ///< LBR_TOS; architectural: 0
  std::uint8_t depth = 0;    ///< IA32_LBR_DEPTH; legacy: the model's
  std::uint64_t cycle = 0;   ///< TakenBranch::cycle of the last record; a CPU's own, not a register
  /// By register; those from `depth` on are 0.
  std::array<Record, LbrModel::kMaxDepth> records{};
  friend bool operator==(const LbrState&, const LbrState&) = default;
};

/// LBR_SELECT or IA32_LBR_CTL.
constexpr MsrIndex filter_register(const LbrModel& model) {
  return model.architectural() ? msr::IA32_LBR_CTL : msr::MSR_LBR_SELECT;
}

/// A CPU that may hold back branches and record() them in bulk.
class BranchSource {
 public:
  /// Records everything held back so far. May be called at any instruction boundary.
  virtual void hand_over_branches() = 0;

 protected:
  ~BranchSource() = default;
};

class LbrStack {
 public:
  /// All registers 0, IA32_LBR_DEPTH the most. `model` must exist() and outlive the stack.
  explicit LbrStack(const LbrModel& model);

  /// From now on this CPU records, and is asked first by whatever looks at records or changes what
  /// is recorded (reading the filter or the depth is neither). It must outlive its registration;
  /// null: nobody holds anything back.
  void set_source(BranchSource* source) {
    hand_over();
    source_ = source;
  }
  [[nodiscard]] const BranchSource* source() const { return source_; }
  void hand_over() const {
    if (source_ != nullptr) source_->hand_over_branches();
  }

  /// Is there such a register, at any depth?
  [[nodiscard]] static bool has(const LbrModel& model, MsrIndex msr);

  /// RDMSR and WRMSR by software that owns the unit. Empty, false: #GP, and nothing has changed (no
  /// such register, a record beyond the depth, a reserved bit, an address that is not canonical).
  [[nodiscard]] std::optional<std::uint64_t> read(MsrIndex msr) const;
  bool write(MsrIndex msr, std::uint64_t value);

  /// A branch retires while branches are recorded: it is, if the filter lets it, or in call-stack
  /// mode changes the stack.
  void record(const TakenBranch& branch) {
    if (!accepts(branch.type, branch.ends_in)) return;
    if (call_stack_) {
      follow_call(branch);
    } else {
      push(branch);
    }
  }
  /// Not in call-stack mode: so many branches were recorded without record(). More than depth()
  /// must be before anybody looks, so that nothing is left of them but where they have been.
  void pass_over(std::uint64_t branches) {
    top_ = static_cast<std::uint32_t>(top_ + branches) & (depth_ - 1u);
  }
  /// Could record() do anything? Architectural: IA32_LBR_CTL.LBREn.
  [[nodiscard]] bool enabled() const { return accepted_ != 0; }
  /// Which branches record() looks at, by accept_bit(): for whoever wants to leave out the others.
  [[nodiscard]] std::uint32_t accepted() const { return accepted_; }
  static constexpr unsigned accept_bit(BranchType type, Privilege ends_in) {
    return static_cast<unsigned>(type) * 2 + static_cast<unsigned>(ends_in);
  }
  [[nodiscard]] bool accepts(BranchType type, Privilege ends_in) const {
    return (accepted_ >> accept_bit(type, ends_in) & 1) != 0;
  }
  /// accepted() if nothing is left out.
  static constexpr std::uint32_t kAcceptsAll = [] {
    std::uint32_t all = 0;
    for (const unsigned type : {0u, 1u, 2u, 3u, 4u, 5u, 8u}) all |= 3u << 2 * type;
    return all;
  }();
  [[nodiscard]] bool in_call_stack_mode() const { return call_stack_; }

  [[nodiscard]] const LbrModel& model() const { return model_; }
  [[nodiscard]] unsigned depth() const { return depth_; }
  /// Record `age`, 0 the newest, as its registers read; `age` < depth().
  [[nodiscard]] LbrState::Record newest(unsigned age) const;
  /// What a record says, whatever the format.
  struct Decoded {
    std::uint64_t from = 0, to = 0;
    bool mispredicted = false;
    bool in_transaction = false;
    bool aborted = false;
    std::optional<std::uint16_t> cycles{};  ///< since the record before
    std::optional<BranchType> type{};
  };
  [[nodiscard]] static Decoded decode(const LbrModel& model, const LbrState::Record& record);

  /// All registers as after construction. Cycles are counted on.
  void reset();
  [[nodiscard]] LbrState save() const {
    hand_over();
    return held();
  }
  /// As save(), without what the source holds back: for whoever saves that too.
  [[nodiscard]] LbrState held() const;
  /// Refused, and nothing has changed: what the registers cannot hold.
  Result<void> restore(const LbrState& state);
  /// Cycles of the next record are counted from here: another vCPU goes on.
  void set_cycle(std::uint64_t cycle) {
    hand_over();
    cycle_ = cycle;
  }

 private:
  /// A call or a return in call-stack mode.
  void follow_call(const TakenBranch& branch);
  void push(const TakenBranch& branch);
  /// Forgets the newest record.
  void pop();
  /// The filter has changed.
  void follow_select();
  bool set_depth(std::uint64_t depth);
  [[nodiscard]] unsigned place(unsigned age) const { return (top_ - age) & (depth_ - 1u); }
  /// Place of the record with registers `index`.
  [[nodiscard]] unsigned place_of_register(unsigned index) const {
    return model_.architectural() ? place(index) : index;
  }

  const LbrModel& model_;
  BranchSource* source_ = nullptr;
  std::uint64_t select_ = 0;
  std::uint32_t accepted_ = 0;
  bool call_stack_ = false;
  std::uint32_t depth_;
  std::uint32_t top_ = 0;  ///< place of the newest record, of architectural LBRs too
  std::uint64_t cycle_ = 0;
  // What the format keeps of a branch, so that push() need not look at it: bits of FROM that hold
  // its address, of FROM that hold flags, and of INFO that have a meaning.
  std::uint64_t from_address_;
  std::uint64_t from_flags_;
  std::uint64_t info_bits_;
  std::array<LbrState::Record, LbrModel::kMaxDepth> records_{};  ///< by place
};

inline void LbrStack::push(const TakenBranch& branch) {
  constexpr std::uint64_t kMostCycles = decltype(LbrInfo::kCycles)::kMax;
  LbrInfo info{{std::min(branch.cycle - cycle_, kMostCycles)}};
  info.set(LbrInfo::kType, static_cast<std::uint64_t>(branch.type));
  info.set(LbrInfo::kCyclesValid, 1);
  info.set(LbrInfo::kAbort, branch.aborted ? 1 : 0);
  info.set(LbrInfo::kMispredicted, branch.mispredicted ? 1 : 0);
  cycle_ = branch.cycle;
  top_ = place(-1u);
  // Flags are at the same places in FROM and in INFO.
  records_[top_] = {(branch.from & from_address_) | (info.raw & from_flags_), branch.to,
                    info.raw & info_bits_};
}

}  // namespace vpmu::silicon::x86
