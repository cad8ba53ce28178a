// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pv_perf_host.hpp"

namespace vpmu::virt::x86 {

namespace {

/// 0 is nobody's.
std::uint64_t number_of(GuestPhysical page) {
  return (raw(page) >> 12) + 1;
}

}  // namespace

/// Everything is sequentially consistent. Whoever wants a page says so before looking at the
/// others, so that of two who want the same at least one sees the other; and what a vCPU has stays
/// its own until it has got the other, so that nobody takes it who then had to give it back.
bool PvPerfAreas::claim(hostperf::VcpuIndex vcpu, GuestPhysical page) {
  const auto own = static_cast<std::size_t>(vcpu);
  if (own >= kMaxVcpus) return false;
  const std::uint64_t number = number_of(page);
  Slot& slot = slots_[own];
  slot.wanted = number;
  for (const Slot& other : slots_) {
    // In this order: a page that is no longer wanted since it was got is seen as had.
    if (&other != &slot && (other.wanted == number || other.had == number)) {
      slot.wanted = 0;
      return false;
    }
  }
  slot.had = number;
  slot.wanted = 0;
  return true;
}

void PvPerfAreas::release(hostperf::VcpuIndex vcpu) {
  const auto own = static_cast<std::size_t>(vcpu);
  if (own < kMaxVcpus) slots_[own].had = 0;
}

}  // namespace vpmu::virt::x86
