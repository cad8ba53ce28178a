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

std::uint64_t OperationSampler::population() const {
  return totals_.read(RawEvent::kInstructions, levels_);
}

std::uint64_t OperationSampler::passed() const {
  const std::uint64_t now = population();
  return now > told_ ? now - told_ : 0;
}

std::uint64_t OperationSampler::until_sample(unsigned el) {
  if (!profiles(el)) return silicon::arm64::SpeUnit::kNever;
  hand_over();
  return unit_.until_sample() - 1;
}

void OperationSampler::hand_over() {
  std::uint64_t count = passed();
  told_ += count;
  // Operations that a debugger stepped over have not been told of.
  for (std::uint64_t left; count >= (left = unit_.until_sample()); count -= left) {
    unit_.pass(left - 1);
    unit_.drop();
  }
  unit_.pass(count);
}

void OperationSampler::registers_changed(bool retires) {
  const silicon::PrivilegeSet levels = profiled();
  if (levels == levels_) return;
  levels_ = levels;
  told_ = population() + (retires && levels.kernel ? 1 : 0);
}

void OperationSampler::retired(const SpeOperation& operation) {
  if (!profiles(operation.pc.level)) return;
  const std::uint64_t count = passed();
  if (count < unit_.until_sample()) return;
  unit_.pass(count - 1);
  told_ += count;
  unit_.sample(operation);
  registers_changed(false);
}

}  // namespace vpmu::machine::arm64
