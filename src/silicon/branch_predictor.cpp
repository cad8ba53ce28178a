// SPDX-License-Identifier: MIT
#include "vpmu/silicon/branch_predictor.hpp"

namespace vpmu::silicon {

bool BranchPredictor::predict_and_train(const RetiredBranch& branch) {
  switch (branch.kind) {
    case PredictedKind::kDirect:
    case PredictedKind::kFar: return false;
    case PredictedKind::kConditional: return predict_direction(branch.from, branch.taken);
    case PredictedKind::kIndirect: return predict_target(branch.from, branch.to);
    case PredictedKind::kCall: push_return(branch.next); return false;
    case PredictedKind::kIndirectCall:
      push_return(branch.next);
      return predict_target(branch.from, branch.to);
    case PredictedKind::kReturn: return pop_return() != branch.to;
  }
  return false;
}

bool BranchPredictor::predict_direction(std::uint64_t from, bool taken) {
  // Without a branch of its own: the host would mispredict it as often as the guest does.
  // strength * 2 + taken gives the next strength, four bits each.
  constexpr std::uint32_t kNext = 0x3231'2010;
  std::uint8_t& strength = strength_[(from ^ history_) % kDirections];
  const std::uint32_t old = strength, outcome = taken ? 1 : 0;
  strength = static_cast<std::uint8_t>(kNext >> (old * 2 + outcome) * 4 & 3);
  history_ = history_ << 1 | outcome;
  return (old >> 1) != outcome;
}

bool BranchPredictor::predict_target(std::uint64_t from, std::uint64_t to) {
  Target& target = targets_[from % kTargets];
  const bool right = target.from == from && target.to == to;
  target = {from, to};
  return !right;
}

void BranchPredictor::push_return(std::uint64_t to) {
  returns_[return_top_] = to;
  return_top_ = (return_top_ + 1) % kReturns;
  if (return_depth_ < kReturns) ++return_depth_;
}

std::uint64_t BranchPredictor::pop_return() {
  if (return_depth_ == 0) return kNoBranch;
  --return_depth_;
  return_top_ = (return_top_ + kReturns - 1) % kReturns;
  return returns_[return_top_];
}

}  // namespace vpmu::silicon
