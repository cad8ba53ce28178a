// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::virt::x86 {

Access PvPerf::read_msr(MsrIndex, Initiator) {
  return Access::not_mine();
}
Access PvPerf::write_msr(MsrIndex, std::uint64_t, Initiator) {
  return Access::not_mine();
}
Access PvPerf::rdpmc(std::uint32_t, bool, bool) {
  return Access::not_mine();
}

}  // namespace vpmu::virt::x86
