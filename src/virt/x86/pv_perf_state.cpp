// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::virt::x86 {

PvPerfState PvPerf::save() {
  return {};
}
Result<void> PvPerf::restore(const PvPerfState&) {
  return {};
}

}  // namespace vpmu::virt::x86
