// SPDX-License-Identifier: MIT
//
// Virtual PMU: what CPUID says of it, and which counters RDPMC reaches.
#include "virt/x86/counter_sets.hpp"
#include "vpmu/silicon/x86/amd_pmu_registers.hpp"
#include "vpmu/virt/x86/pmu.hpp"

namespace vpmu::virt::x86 {

using silicon::x86::Cpuid0aEax;
using silicon::x86::Cpuid0aEdx;
using silicon::x86::Cpuid80000022Eax;
using silicon::x86::Cpuid80000022Ebx;
using silicon::x86::CpuidResult;
using silicon::x86::LbrFormat;
using silicon::x86::RdpmcIndex;

namespace {

constexpr void assign(std::uint32_t& reg, unsigned bit, bool value) {
  reg = (reg & ~(1u << bit)) | std::uint32_t{value} << bit;
}

CpuidResult leaf_0a(const PmuConfig& config) {
  if (config.vendor != silicon::x86::Vendor::kIntel || config.version == 0) return {};
  Cpuid0aEax eax;
  eax.set(Cpuid0aEax::kVersion, config.version);
  eax.set(Cpuid0aEax::kCounters, config.gp_counters);
  eax.set(Cpuid0aEax::kWidth, config.gp_width);
  eax.set(Cpuid0aEax::kEventsLength, config.arch_event_length);
  Cpuid0aEdx edx;
  if (config.version > 1) {
    edx.set(Cpuid0aEdx::kFixedCounters, config.fixed_counters);
    edx.set(Cpuid0aEdx::kFixedWidth, config.fixed_width);
  }
  // Also before the bit had a meaning, as KVM has it.
  edx.set(Cpuid0aEdx::kAnyThreadDeprecated, has_any_thread(config) ? 0 : 1);
  // From version 5 on, fixed counters are a bitmap too.
  const std::uint64_t fixed = config.version > 4 ? low_bits(config.fixed_counters) : 0;
  return {eax.raw, config.arch_events_unavailable, static_cast<std::uint32_t>(fixed), edx.raw};
}

CpuidResult leaf_80000022(const PmuConfig& config) {
  if (config.version < 2) return {};
  Cpuid80000022Eax eax;
  eax.set(Cpuid80000022Eax::kPerfMonV2, 1);
  Cpuid80000022Ebx ebx;
  ebx.set(Cpuid80000022Ebx::kCoreCounters, config.gp_counters);
  return {.eax = eax.raw, .ebx = ebx.raw};
}

}  // namespace

void Pmu::adjust_cpuid(std::uint32_t leaf, CpuidResult& result) const {
  constexpr unsigned kPdcm = 15, kHle = 4, kRtm = 11, kPerfCtrExtCore = 23, kArchitecturalLbrs = 19;
  if (leaf == 0xa) result = leaf_0a(config_);
  if (is_intel()) {
    if (leaf == 0x1) assign(result.ecx, kPdcm, config_.has_perf_capabilities);
    const bool lbrs = lbr_format(perf_capabilities_) == LbrFormat::kArchitectural;
    if (leaf == 0x7 && !config_.tsx) {
      assign(result.ebx, kHle, false);
      assign(result.ebx, kRtm, false);
    }
    if (leaf == 0x7 && !lbrs) assign(result.edx, kArchitecturalLbrs, false);
    if (leaf == 0x1c && !lbrs) result = {};
    return;
  }
  if (leaf == 0x8000'0001) assign(result.ecx, kPerfCtrExtCore, config_.core_extension);
  if (leaf == 0x8000'0022) result = leaf_80000022(config_);
}

/// Intel: a type and a number, and no fast mode on an architectural PMU; VMware's pseudo counters
/// are types like others. AMD: all of ECX is the number.
Access Pmu::rdpmc(std::uint32_t ecx, bool may_read) {
  ran_ = true;
  if (config_.version == 0) return Access::fault();
  CounterIndex read{};
  const RdpmcIndex index{{ecx}};
  const bool typed = is_intel();
  const std::uint32_t number = typed ? index.get(RdpmcIndex::kCounter) : ecx;
  const std::uint32_t type = typed ? index.get(RdpmcIndex::kType) : RdpmcIndex::kGeneralPurpose;
  if (type == RdpmcIndex::kGeneralPurpose) {
    if (number >= config_.gp_counters) return Access::fault();
    read = gp_counter(number % kMaxGp);
  } else if (type == RdpmcIndex::kFixed) {
    if (number >= config_.fixed_counters) return Access::fault();
    read = fixed_counter(number % kMaxFixed);
  } else {
    return Access::fault();
  }
  if (!may_read) return Access::fault();
  return Access::done(read_counter(read));
}

}  // namespace vpmu::virt::x86
