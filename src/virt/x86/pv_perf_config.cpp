// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pv_perf_config.hpp"

namespace vpmu::virt::x86 {

bool pv_perf_cpuid(const PvPerfConfig&, std::uint32_t, silicon::x86::CpuidResult&) {
  return false;
}

}  // namespace vpmu::virt::x86
