// SPDX-License-Identifier: MIT
#include "machine/arm64_board/operation_sampler.hpp"

namespace vpmu::machine::arm64 {

using silicon::RawEvent;
using silicon::arm64::SpeOperation;

OperationSampler::OperationSampler(silicon::arm64::SpeUnit& unit,
                                   const silicon::RetireTotals& totals)
    : unit_{unit}, totals_{totals} {
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
    unit_.drop();
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
}

void OperationSampler::retired(const SpeOperation& operation) {
  if (!profiles(operation.pc.level)) return;
  const std::uint64_t count = passed();
  if (count < until_) return;
  unit_.pass(count - 1);
  told_ += count;
  unit_.sample(operation);
  registers_changed(false);
}

}  // namespace vpmu::machine::arm64
