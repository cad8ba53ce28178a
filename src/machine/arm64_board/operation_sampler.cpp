// SPDX-License-Identifier: MIT
#include "machine/arm64_board/operation_sampler.hpp"

namespace vpmu::machine::arm64 {

using silicon::arm64::SpeOperation;

OperationSampler::OperationSampler(silicon::arm64::SpeUnit& unit,
                                   const silicon::RetireTotals& totals,
                                   silicon::arm64::SampleTotals* samples)
    : unit_{unit}, totals_{totals}, samples_{samples} {
  registers_changed(false);
}

silicon::PrivilegeSet OperationSampler::profiled() const {
  return {.user = unit_.profiles(0), .kernel = unit_.profiles(1)};
}

silicon::arm64::SpeStatistics OperationSampler::statistics() const {
  silicon::arm64::SpeStatistics all = unit_.statistics();
  all.population += passed();
  return all;
}

void OperationSampler::hand_over() {
  std::uint64_t count = passed();
  told_ += count;
  for (; count >= until_; until_ = unit_.until_sample()) {
    count -= until_;
    unit_.pass(until_ - 1);
    const silicon::arm64::SpeStatistics before = unit_.statistics();
    unit_.drop();
    selected(levels_.kernel ? 1 : 0, before);
  }
  unit_.pass(count);
  if (until_ != silicon::arm64::SpeUnit::kNever) until_ -= count;
}

void OperationSampler::registers_changed(bool retires) {
  until_ = unit_.until_sample();
  const silicon::PrivilegeSet levels = profiled();
  if (levels == levels_) return;
  levels_ = levels;
  told_ = population() + (retires && levels.kernel ? 1 : 0);
  if (samples_ != nullptr) samples_->profile(levels, retires);
}

/// What the unit has made of an operation that it selected, at that level.
void OperationSampler::selected(unsigned el, const silicon::arm64::SpeStatistics& before) {
  if (samples_ == nullptr) return;
  const auto privilege = el == 0 ? silicon::Privilege::kUser : silicon::Privilege::kKernel;
  samples_->selected(privilege, before, unit_.statistics());
}

void OperationSampler::retired(const SpeOperation& operation) {
  if (!profiles(operation.pc.level)) return;
  const std::uint64_t count = passed();
  if (count < until_) return;
  unit_.pass(count - 1);
  told_ += count;
  const silicon::arm64::SpeStatistics before = unit_.statistics();
  unit_.sample(operation);
  selected(operation.pc.level, before);
  registers_changed(false);
}

}  // namespace vpmu::machine::arm64
