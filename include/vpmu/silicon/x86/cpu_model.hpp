// SPDX-License-Identifier: MIT
//
// CPU models as data: identity, CPUID, clock, performance monitoring unit and events. A new model
// is one file in src/silicon/x86/models and a line in cpu_model.cpp.
//
// CPUID offers what the machine's interpreter executes, no more: a model is a real CPU's identity
// and PMU with that instruction set.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "vpmu/silicon/memory_hierarchy.hpp"
#include "vpmu/silicon/x86/event_table.hpp"
#include "vpmu/silicon/x86/lbr_model.hpp"

namespace vpmu::silicon::x86 {

enum class Vendor : std::uint8_t { kIntel, kAmd };
/// The name that reports use: "Intel", "AMD". Never null.
const char* name(Vendor vendor);

/// The registers that CPUID writes.
struct CpuidResult {
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
  friend constexpr bool operator==(const CpuidResult&, const CpuidResult&) = default;
};

/// One leaf of CPUID as it is on every vCPU. cpuid() fills in what depends on the vCPU.
struct CpuidRow {
  static constexpr std::uint32_t kAnySubleaf = ~std::uint32_t{0};
  std::uint32_t leaf;
  std::uint32_t subleaf;
  CpuidResult result;
};

/// The performance monitoring unit of the silicon, before a hypervisor takes its share.
struct PmuModel {
  /// Intel: CPUID.0AH:EAX[7:0]. AMD: 1 with core extension counters, 2 with PerfMonV2.
  std::uint8_t version = 0;
  std::uint8_t gp_counters = 0;
  std::uint8_t gp_width = 0;  ///< bits
  std::uint8_t fixed_counters = 0;
  std::uint8_t fixed_width = 0;               ///< bits
  std::uint8_t arch_event_length = 0;         ///< CPUID.0AH:EAX[31:24]
  std::uint32_t arch_events_unavailable = 0;  ///< CPUID.0AH:EBX, 1: not available
  std::uint64_t perf_capabilities = 0;        ///< IA32_PERF_CAPABILITIES; 0 where it is absent
};

struct CpuModel {
  std::string_view name;  ///< as on the command line
  Vendor vendor;
  std::uint16_t family;  ///< display family and model, extended fields included
  std::uint8_t model;
  std::uint8_t stepping;
  std::uint64_t hz;          ///< core clock = TSC = reference clock, one fixed frequency
  std::uint64_t crystal_hz;  ///< core crystal clock, which also drives the APIC timer
  std::span<const CpuidRow> cpuid;
  PmuModel pmu;
  std::span<const EventRow> events;
  MemoryHierarchy memory{};          ///< what silicon/memory_model.hpp models
  std::uint8_t slots_per_cycle = 4;  ///< issue slots
  LbrModel lbr{};                    ///< none on AMD's
  bool tsx = false;                  ///< CPUID.07H:EBX HLE and RTM; every transaction aborts
};

/// All models, sorted by name. Static storage.
std::span<const CpuModel* const> cpu_models();
/// The model of that name; null if there is none.
const CpuModel* find_cpu_model(std::string_view name);

/// Which of how many vCPUs asks. Every vCPU is a core of its own in one package.
struct Topology {
  std::uint32_t apic_id = 0;
  std::uint32_t vcpus = 1;
};

/// What CPUID gives on a vCPU of this model. Leaves above the highest give the highest basic leaf
/// on Intel, zeros on AMD. Of the PMU it says what the silicon has; virt::x86::Pmu replaces that by
/// the guest's share. Bits that follow the CPU's state (OSXSAVE) are clear.
CpuidResult cpuid(const CpuModel& model, Topology topology, std::uint32_t leaf,
                  std::uint32_t subleaf);

}  // namespace vpmu::silicon::x86
