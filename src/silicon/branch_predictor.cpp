// SPDX-License-Identifier: MIT
#include "vpmu/silicon/branch_predictor.hpp"

#include <algorithm>

namespace vpmu::silicon {

bool BranchPredictor::predict_other(const RetiredBranch& branch) {
  switch (branch.kind) {
    case PredictedKind::kDirect:
    case PredictedKind::kFar:
    case PredictedKind::kConditional: return false;
    case PredictedKind::kIndirect: return predict_target(branch.from, branch.to);
    case PredictedKind::kCall: push_return(branch.next); return false;
    case PredictedKind::kIndirectCall:
      push_return(branch.next);
      return predict_target(branch.from, branch.to);
    case PredictedKind::kReturn: return pop_return() != branch.to;
  }
  return false;
}

bool BranchPredictor::predict_target(std::uint64_t from, std::uint64_t to) {
  Target& target = state_.targets[from % kTargets];
  const bool right = target.from == from && target.to == to;
  target = {from, to};
  return !right;
}

void BranchPredictor::push_return(std::uint64_t to) {
  state_.returns[state_.return_top] = to;
  state_.return_top = static_cast<std::uint8_t>((state_.return_top + 1) % kReturns);
  if (state_.return_depth < kReturns) ++state_.return_depth;
}

std::uint64_t BranchPredictor::pop_return() {
  if (state_.return_depth == 0) return kNoBranch;
  --state_.return_depth;
  state_.return_top = static_cast<std::uint8_t>((state_.return_top + kReturns - 1) % kReturns);
  return state_.returns[state_.return_top];
}

Result<void> BranchPredictor::restore(const State& state) {
  const bool strengths_fit =
      std::all_of(state.strength.begin(), state.strength.end(), [](auto s) { return s <= 3; });
  if (!strengths_fit || state.return_top >= kReturns || state.return_depth > kReturns) {
    return fail("the branch predictor cannot hold this");
  }
  state_ = state;
  return {};
}

}  // namespace vpmu::silicon
