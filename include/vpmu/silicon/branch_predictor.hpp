// SPDX-License-Identifier: MIT
//
// A branch predictor: decides which retired branches count as mispredicted. Small, deterministic
// and architecture-neutral: a gshare table of two-bit counters for directions, a direct-mapped
// target buffer for indirect branches, a return stack. Shown every branch while somebody demands
// RawEvent::kMispredictedBranches, and some while last branch records are looked at; what it has
// learnt stays in it.
//
// Direct jumps and calls are never mispredicted (their target is known before they retire), nor are
// far branches, which are not predicted at all. Allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "vpmu/base/result.hpp"

namespace vpmu::silicon {

/// How a retired branch finds its target.
enum class PredictedKind : std::uint8_t {
  kDirect,       ///< unconditional, target in the instruction
  kConditional,  ///< target in the instruction
  kIndirect,     ///< jump through a register or memory
  kCall,         ///< direct
  kIndirectCall,
  kReturn,
  kFar,  ///< far branches, system calls, interrupt returns
};

struct RetiredBranch {
  PredictedKind kind;
  bool taken;
  std::uint64_t from;  ///< address of the branch
  std::uint64_t next;  ///< address of the instruction behind it: where a call returns to
  std::uint64_t to;    ///< where it went; `next` if it was not taken
  friend bool operator==(const RetiredBranch&, const RetiredBranch&) = default;
};

class BranchPredictor {
 public:
  /// Forgets everything: strongly not taken, no targets, empty return stack.
  void reset() { *this = BranchPredictor{}; }

  /// Predicts `branch`, learns what it did, and tells whether the prediction was wrong.
  bool predict_and_train(const RetiredBranch& branch) {
    if (branch.kind == PredictedKind::kConditional) [[likely]]
      return predict_direction(branch.from, branch.taken);
    return predict_other(branch);
  }

  static constexpr std::size_t kDirections = 4096;
  static constexpr std::size_t kTargets = 1024;
  static constexpr std::size_t kReturns = 16;
  static constexpr std::uint64_t kNoBranch = ~std::uint64_t{0};

  struct Target {
    std::uint64_t from = kNoBranch;
    std::uint64_t to = 0;
    friend bool operator==(const Target&, const Target&) = default;
  };

  struct State {
    std::array<std::uint8_t, kDirections> strength{};  ///< 0, 1: not taken; 2, 3: taken
    std::array<Target, kTargets> targets{};
    std::array<std::uint64_t, kReturns> returns{};
    std::uint8_t return_top = 0;    ///< where the next return address goes
    std::uint8_t return_depth = 0;  ///< how many of `returns` there are
    std::uint64_t history = 0;      ///< of conditional branches, the last one in bit 0
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  Result<void> restore(const State& state);

 private:
  bool predict_direction(std::uint64_t from, bool taken) {
    // Without a branch of its own: the host would mispredict it as often as the guest does.
    // strength * 2 + taken gives the next strength, four bits each.
    constexpr std::uint32_t kNext = 0x3231'2010;
    std::uint8_t& strength = state_.strength[(from ^ state_.history) % kDirections];
    const std::uint32_t old = strength, outcome = taken ? 1 : 0;
    strength = static_cast<std::uint8_t>(kNext >> (old * 2 + outcome) * 4 & 3);
    state_.history = state_.history << 1 | outcome;
    return (old >> 1) != outcome;
  }
  bool predict_other(const RetiredBranch& branch);
  bool predict_target(std::uint64_t from, std::uint64_t to);
  void push_return(std::uint64_t to);
  std::uint64_t pop_return();

  State state_;
};

}  // namespace vpmu::silicon
