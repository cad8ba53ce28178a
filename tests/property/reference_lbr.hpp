// SPDX-License-Identifier: MIT
//
// Last branch records, slow and obviously right: what silicon::x86::LbrStack is compared with, and
// what a guest's records are compared with. One class for all kinds; the rule of the manual stands
// beside each line that follows one, and nothing is kept that could be worked out.
//
// Legacy records are kept by register number, as LBR_TOS numbers them, architectural ones by age,
// as their registers do.
//
// Where manuals leave room:
//   * LBR_TOS keeps the bits that number a record and drops the others.
//   * An address must be canonical in the bits that its register has for it, also when it comes
//     with restore(); and bits of INFO without a meaning are dropped when written.
//   * In call-stack mode the filter still decides which branches are looked at, and of those only
//     calls and returns: a call puts a record on (but not a call to the next instruction), a return
//     takes the newest off, which leaves zeros. A stack whose newest record is all zeros is empty,
//     and a return leaves it so.
//   * Cycles are counted from the last branch that was recorded, and RESET does not change that.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "vpmu/silicon/x86/lbr_model.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"

namespace vpmu::property {

class ReferenceLbr {
 public:
  using Record = silicon::x86::LbrState::Record;

  explicit ReferenceLbr(const silicon::x86::LbrModel& model);

  /// Is there such a register, at any depth?
  [[nodiscard]] bool has(std::uint32_t msr) const;
  /// All registers that there are at any depth.
  [[nodiscard]] std::vector<std::uint32_t> registers() const;
  /// Empty, false: #GP.
  [[nodiscard]] std::optional<std::uint64_t> read(std::uint32_t msr) const;
  bool write(std::uint32_t msr, std::uint64_t value);

  /// A branch is taken while branches are recorded.
  void retire(const silicon::x86::TakenBranch& branch);
  /// Would retire() look at it?
  [[nodiscard]] bool looks_at(const silicon::x86::TakenBranch& branch) const;
  void reset();

  [[nodiscard]] unsigned depth() const { return static_cast<unsigned>(records_.size()); }
  [[nodiscard]] bool call_stack_mode() const;
  /// Record `age`, 0 the newest.
  [[nodiscard]] Record newest(unsigned age) const;

  [[nodiscard]] silicon::x86::LbrState state() const;
  /// False, and nothing has changed: the registers cannot hold that.
  bool set_state(const silicon::x86::LbrState& state);
  void set_cycle(std::uint64_t cycle) { cycle_ = cycle; }

 private:
  enum class Kind : std::uint8_t { kNone, kSelect, kTos, kDepth, kFrom, kTo, kInfo };
  struct Register {
    Kind kind = Kind::kNone;
    unsigned number = 0;
  };

  [[nodiscard]] bool arch() const { return model_.architectural(); }
  [[nodiscard]] Register find(std::uint32_t msr) const;
  [[nodiscard]] bool takes_select(std::uint64_t value) const;
  [[nodiscard]] bool takes_depth(std::uint64_t value) const;
  [[nodiscard]] bool takes_from(std::uint64_t value) const;
  [[nodiscard]] bool takes_to(std::uint64_t value) const;
  [[nodiscard]] std::uint64_t info_bits() const;
  [[nodiscard]] bool takes(const silicon::x86::LbrState& state) const;
  [[nodiscard]] Record record_of(const silicon::x86::TakenBranch& branch) const;
  void put_on(const Record& record);
  void take_off();

  const silicon::x86::LbrModel model_;
  std::uint64_t select_ = 0;  ///< or IA32_LBR_CTL
  unsigned tos_ = 0;
  std::deque<Record> records_;  ///< by register
  std::uint64_t cycle_ = 0;
};

}  // namespace vpmu::property
