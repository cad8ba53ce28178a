// SPDX-License-Identifier: MIT
//
// Branches that blocks ended with, while somebody wants to know them: who counts mispredictions, or
// a unit of last branch records.
//
// Terminators only note them: a word or three each (observer.hpp). What they mean is worked out
// when somebody looks. Counting mispredictions looks at every stop; last branch records only when
// they are read, so that most branches are never looked at at all:
//
//   * The log has two halves of kHalf branches. When the current one is full, the other one becomes
//     the current one, and what was in it goes: unread if the unit does not keep that many records,
//     into the unit otherwise (or if the unit keeps a call stack, where every call matters).
//   * A look records what is left in both halves, oldest first.
//
// Whether a branch was mispredicted is said by the CPU's predictor, which learns as they are looked
// at. So unless mispredictions are counted, it sees the kHalf to 2 * kHalf branches that lead up to
// a look (with a call stack: calls and returns), and keeps what it has learnt from look to look.
// All this depends on the branches and on the looks only, not on how the CPU's run is cut.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "machine/x86/core.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/branch_predictor.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"

namespace vpmu::machine::x86 {

/// A branch with all that there is to know of it.
struct HeldBranch {
  silicon::RetiredBranch branch{};
  std::uint64_t cycle = 0;      ///< of the vCPU, behind the branch
  std::uint64_t code_base = 0;  ///< of the addresses in `branch`
  silicon::Privilege begins_in = silicon::Privilege::kKernel;
  silicon::Privilege ends_in = silicon::Privilege::kKernel;
  bool aborted = false;  ///< the end of a transaction
  friend bool operator==(const HeldBranch&, const HeldBranch&) = default;
};

class BranchLog {
 public:
  static constexpr std::size_t kHalf = 1024;

  /// Puts its place into Core, whose predictor it asks.
  explicit BranchLog(Core& core);
  BranchLog(const BranchLog&) = delete;
  BranchLog& operator=(const BranchLog&) = delete;

  /// From now on branches are recorded in `unit`; null: in none.
  void set_unit(silicon::x86::LbrStack* unit);
  [[nodiscard]] silicon::x86::LbrStack* unit() const { return unit_; }
  /// From now on mispredictions are added to the totals, or no longer.
  void count_mispredictions(bool count);
  /// Terminators are to note branches.
  [[nodiscard]] bool in_use() const { return counts_ || unit_ != nullptr; }

  /// How many branches may retire before make_room() is called again; not 0 after it.
  [[nodiscard]] std::size_t room() const { return in_use() ? kHalf - fill() : budget::kLaneMax; }
  /// Between runs of blocks.
  void make_room() {
    if (fill() >= kHalf) turn();
  }

  /// A far branch, an interrupt, an exception or an abort.
  void add(const HeldBranch& branch);

  /// Somebody looks at the unit's records.
  void hand_over();
  /// Somebody looks at the totals.
  void count() {
    if (counts_) hand_over();
  }
  /// Blocks are about to go.
  void let_go_of_blocks();

  /// What has not been looked at, oldest first, and how many of it are in the current half.
  struct State {
    std::vector<HeldBranch> held;
    std::uint32_t in_current_half = 0;  ///< also those that were looked at
    friend bool operator==(const State&, const State&) = default;
  };
  [[nodiscard]] State save();
  /// The next set_unit() goes on with it.
  Result<void> restore(const State& state);

 private:
  /// An event may be noted beside what fills the half.
  static constexpr std::size_t kSlack = 8;
  struct Half {
    std::array<LoggedBranch, kHalf + kSlack> entries{};
    std::size_t first = 0;  ///< that was not looked at
    std::size_t end = 0;    ///< of the half that is not current
  };

  [[nodiscard]] std::size_t fill() const {
    return static_cast<std::size_t>(core_.log_end - halves_[current_].entries.data());
  }
  [[nodiscard]] HeldBranch expand(const Half& half, std::size_t n) const;
  [[nodiscard]] HeldBranch& apart(const Half& half, std::size_t n) const;
  void turn();
  void clear();
  void look_at(Half& half, std::size_t end);
  void look_at_all();
  [[nodiscard]] bool is_recorded(const Half& half, std::size_t n) const;
  [[nodiscard]] bool fills_unit(const Half& half) const;
  /// How many of those that nobody has looked at the unit records.
  [[nodiscard]] std::uint64_t recorded_in(const Half& half) const;
  void count_wrong(Half& half, std::size_t end);
  void record(const HeldBranch& held, bool mispredicted);

  Core& core_;
  silicon::x86::LbrStack* unit_ = nullptr;
  bool counts_ = false;
  bool restored_ = false;
  std::size_t current_ = 0;
  std::array<Half, 2> halves_{};
  /// Of entries without a block: what they stand for, by the entry's place. Allocated when needed.
  mutable std::unique_ptr<std::array<HeldBranch, 2 * (kHalf + kSlack)>> apart_;
};

}  // namespace vpmu::machine::x86
