// SPDX-License-Identifier: MIT
#include "virt/x86/pv_perf_events.hpp"

namespace vpmu::virt::x86 {

PvPerfEvents::PvPerfEvents(const PvPerfConfig& config, const silicon::x86::CpuModel& model)
    : config_{config}, model_{model} {}

}  // namespace vpmu::virt::x86
