// SPDX-License-Identifier: MIT
//
// Numbers of the model-specific registers that performance monitoring consists of, spelled as in
// the Intel SDM vol. 4 and the AMD PPRs. An MSR that exists once per counter is named by its first.
#pragma once

#include "vpmu/base/numbers.hpp"

namespace vpmu::silicon::x86::msr {

inline constexpr MsrIndex IA32_PMC0{0xc1};
inline constexpr MsrIndex IA32_PERFEVTSEL0{0x186};
inline constexpr MsrIndex IA32_MISC_ENABLE{0x1a0};
inline constexpr MsrIndex MSR_LBR_SELECT{0x1c8};
inline constexpr MsrIndex MSR_LASTBRANCH_TOS{0x1c9};
inline constexpr MsrIndex IA32_DEBUGCTL{0x1d9};
inline constexpr MsrIndex IA32_FIXED_CTR0{0x309};
inline constexpr MsrIndex MSR_PERF_METRICS{0x329};
inline constexpr MsrIndex IA32_PERF_CAPABILITIES{0x345};
inline constexpr MsrIndex IA32_FIXED_CTR_CTRL{0x38d};
inline constexpr MsrIndex IA32_PERF_GLOBAL_STATUS{0x38e};
inline constexpr MsrIndex IA32_PERF_GLOBAL_CTRL{0x38f};
/// From version 4 on named IA32_PERF_GLOBAL_STATUS_RESET.
inline constexpr MsrIndex IA32_PERF_GLOBAL_OVF_CTRL{0x390};
inline constexpr MsrIndex IA32_PERF_GLOBAL_STATUS_SET{0x391};
inline constexpr MsrIndex IA32_PERF_GLOBAL_INUSE{0x392};
inline constexpr MsrIndex IA32_PEBS_ENABLE{0x3f1};
inline constexpr MsrIndex MSR_PEBS_DATA_CFG{0x3f2};
inline constexpr MsrIndex IA32_A_PMC0{0x4c1};
inline constexpr MsrIndex IA32_DS_AREA{0x600};
inline constexpr MsrIndex MSR_LASTBRANCH_0_FROM_IP{0x680};
inline constexpr MsrIndex MSR_LASTBRANCH_0_TO_IP{0x6c0};
inline constexpr MsrIndex MSR_LBR_INFO_0{0xdc0};
inline constexpr MsrIndex IA32_LBR_0_INFO{0x1200};
inline constexpr MsrIndex IA32_LBR_CTL{0x14ce};
inline constexpr MsrIndex IA32_LBR_DEPTH{0x14cf};
inline constexpr MsrIndex IA32_LBR_0_FROM_IP{0x1500};
inline constexpr MsrIndex IA32_LBR_0_TO_IP{0x1600};

/// Four selectors followed by four counters.
inline constexpr MsrIndex K7_EVNTSEL0{0xc0010000};
inline constexpr MsrIndex K7_PERFCTR0{0xc0010004};
inline constexpr MsrIndex K7_PERFCTR3{0xc0010007};
/// Core performance counters: selectors and counters take turns.
inline constexpr MsrIndex PERF_CTL0{0xc0010200};
inline constexpr MsrIndex PERF_CTR0{0xc0010201};
/// PerfMonV2.
inline constexpr MsrIndex PerfCntrGlobalStatus{0xc0000300};
inline constexpr MsrIndex PerfCntrGlobalCtl{0xc0000301};
inline constexpr MsrIndex PerfCntrGlobalStatusClr{0xc0000302};
inline constexpr MsrIndex PerfCntrGlobalStatusSet{0xc0000303};

}  // namespace vpmu::silicon::x86::msr
