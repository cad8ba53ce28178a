// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::virt::x86 {

Access PvPerf::hypercall(const Hypercall&) {
  return Access::not_mine();
}
bool PvPerf::write_call_event(unsigned) {
  return true;
}

}  // namespace vpmu::virt::x86
