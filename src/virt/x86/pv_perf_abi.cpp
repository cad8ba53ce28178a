// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pv_perf_abi.hpp"

namespace vpmu::virt::x86::pv {

const char* name(Code code) {
  switch (code) {
    case Code::kOk: return "OK";
    case Code::kAbi: return "E_ABI";
    case Code::kReserved: return "E_RESERVED";
    case Code::kId: return "E_ID";
    case Code::kType: return "E_TYPE";
    case Code::kCode: return "E_CODE";
    case Code::kFiltered: return "E_FILTERED";
    case Code::kWidth: return "E_WIDTH";
    case Code::kPeriod: return "E_PERIOD";
    case Code::kNoArea: return "E_NOAREA";
    case Code::kGpa: return "E_GPA";
    case Code::kBusy: return "E_BUSY";
    case Code::kHost: return "E_HOST";
    case Code::kLvt: return "E_LVT";
  }
  return "?";
}

}  // namespace vpmu::virt::x86::pv
