// SPDX-License-Identifier: MIT
#include "virt/x86/pv_perf_page.hpp"

namespace vpmu::virt::x86 {

void PvPerfPage::disable() {
  area_ = {};
}

}  // namespace vpmu::virt::x86
