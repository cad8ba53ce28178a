// SPDX-License-Identifier: MIT
//
// Last branch records of the modelled Intel server CPUs, and what IA32_PERF_CAPABILITIES says of
// them.
#pragma once

#include <cstdint>

#include "vpmu/silicon/x86/lbr_model.hpp"
#include "vpmu/silicon/x86/msrs.hpp"
#include "vpmu/silicon/x86/pmu_registers.hpp"

namespace vpmu::silicon::x86::intel {

/// Haswell and Broadwell, Intel SDM vol. 3B 18.11.
constexpr LbrModel haswell_lbr(bool tsx) {
  return {.format = LbrFormat::kEipFlags2,
          .depth = 16,
          .call_stack = true,
          .tsx = tsx,
          .from = msr::MSR_LASTBRANCH_0_FROM_IP,
          .to = msr::MSR_LASTBRANCH_0_TO_IP};
}

/// Skylake to Ice Lake, 18.12.
constexpr LbrModel skylake_lbr(bool tsx) {
  return {.format = LbrFormat::kInfo,
          .depth = 32,
          .call_stack = true,
          .tsx = tsx,
          .from = msr::MSR_LASTBRANCH_0_FROM_IP,
          .to = msr::MSR_LASTBRANCH_0_TO_IP,
          .info = msr::MSR_LBR_INFO_0};
}

/// 8, 16 or 32 records, SDM vol. 3B chapter 19.
constexpr LbrModel architectural_lbr(bool tsx) {
  return {.format = LbrFormat::kArchitectural,
          .depth = 32,
          .depths = 0b1011,
          .call_stack = true,
          .tsx = tsx,
          .from = msr::IA32_LBR_0_FROM_IP,
          .to = msr::IA32_LBR_0_TO_IP,
          .info = msr::IA32_LBR_0_INFO};
}

/// The format of the records and full-width writes; no PEBS.
constexpr std::uint64_t perf_capabilities(const LbrModel& lbr) {
  PerfCapabilities value;
  value.set(PerfCapabilities::kLbrFormat, static_cast<std::uint64_t>(lbr.format));
  value.set(PerfCapabilities::kFullWidthWrite, 1);
  return value.raw;
}

}  // namespace vpmu::silicon::x86::intel
