// SPDX-License-Identifier: MIT
#include "machine/arm64_board/spe_profiler.hpp"

#include "vpmu/base/ensure.hpp"

namespace vpmu::machine::arm64 {

using silicon::RawEvent;
using silicon::arm64::SpeOperation;
namespace reg = silicon::arm64::reg;

namespace {
/// Addresses that nobody looks at.
constexpr std::uint64_t kBegin = 0x1'0000, kEnd = kBegin + (std::uint64_t{1} << 20);
/// Of these follows what a record says of caches and of prediction.
constexpr RawEvent kModelled[] = {RawEvent::kL1dMisses, RawEvent::kMispredictedBranches};
constexpr std::uint64_t kSeed = 0x5bd1'e995'9d2c'5681;
}  // namespace

SpeProfiler::SpeProfiler(const silicon::arm64::SpeModel& model, unsigned vcpu,
                         silicon::RetireTotals& totals, SpeRecordSink& sink)
    : vcpu_{vcpu},
      totals_{totals},
      sink_{sink},
      unit_{model, kSeed + vcpu, *this},
      sampler_{unit_, totals} {}

SpeProfiler::~SpeProfiler() {
  if (!models_memory_) return;
  for (const RawEvent event : kModelled) totals_.release(event);
}

/// Of which the unit has every one.
void SpeProfiler::set(silicon::arm64::SystemRegister which, std::uint64_t value) {
  ensure(unit_.write(which, value).is_done());
}

void SpeProfiler::begin_buffer() {
  set(reg::PMBPTR_EL1, kBegin);
  set(reg::PMBSR_EL1, 0);
}

void SpeProfiler::start(const SpeProfile& profile) {
  using silicon::arm64::PmscrEl2;
  // Intermediate physical addresses and physical time are the host's to see.
  unit_.set_owner({.pmscr_el2 = PmscrEl2::kPa.kMask | std::uint64_t{1} << PmscrEl2::kPct.kLow});
  begin_buffer();
  set(reg::PMBLIMITR_EL1, kEnd | silicon::arm64::Pmblimitr::kE.kMask);
  set(reg::PMSFCR_EL1, profile.pmsfcr);
  set(reg::PMSEVFR_EL1, profile.pmsevfr);
  set(reg::PMSLATFR_EL1, profile.pmslatfr);
  set(reg::PMSIRR_EL1, profile.pmsirr);
  set(reg::PMSICR_EL1, 0);
  set(reg::PMSCR_EL1, profile.pmscr);
  sampler_.registers_changed(false);
  models_memory_ = profile.models_memory;
  if (!models_memory_) return;
  for (const RawEvent event : kModelled) totals_.demand(event);
}

void SpeProfiler::sampled(const SpeOperation& operation) {
  sampler_.retired(operation);
  if (!unit_.interrupt()) return;
  sampler_.hand_over();
  begin_buffer();
  sampler_.registers_changed(false);
}

tl::expected<void, silicon::arm64::SpeBuffer::Fault> SpeProfiler::write(
    std::uint64_t /*address*/, std::span<const std::uint8_t> bytes) {
  sink_.on_record(vcpu_, bytes);
  return {};
}

}  // namespace vpmu::machine::arm64
