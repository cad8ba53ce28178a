// SPDX-License-Identifier: MIT
//
// CPUID: the model's rows, and what depends on the vCPU that asks.
#include <bit>
#include <optional>

#include "silicon/x86/features.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/silicon/x86/pmu_registers.hpp"

namespace vpmu::silicon::x86 {
namespace {

const CpuidRow* find_row(const CpuModel& model, std::uint32_t leaf, std::uint32_t subleaf) {
  for (const CpuidRow& row : model.cpuid) {
    if (row.leaf != leaf) continue;
    if (row.subleaf == subleaf || row.subleaf == CpuidRow::kAnySubleaf) return &row;
  }
  return nullptr;
}

/// Leaves come in classes (basic, hypervisor, extended) whose first leaf gives the highest in EAX.
/// Above that, Intel CPUs give the highest basic leaf, SDM vol. 2A CPUID, and AMD's zeros.
std::optional<std::uint32_t> clip(const CpuModel& model, std::uint32_t leaf) {
  const CpuidRow* first = find_row(model, leaf & 0xffff'ff00, 0);
  if (first != nullptr && leaf <= first->result.eax) return leaf;
  if (model.vendor == Vendor::kAmd) return std::nullopt;
  const CpuidRow* basic = find_row(model, 0, 0);
  return basic == nullptr ? 0 : basic->result.eax;
}

/// Bits of an APIC id that number `count` neighbours.
std::uint32_t id_bits(std::uint32_t count) {
  return static_cast<std::uint32_t>(std::bit_width(count - 1));
}

/// Leaf 0BH, SDM vol. 2A table 3-8, APM vol. 3 E.3.8: one thread per core, all cores in one
/// package.
CpuidResult topology_leaf(Topology topology, std::uint32_t subleaf) {
  constexpr std::uint32_t kSmt = 1, kCore = 2;
  CpuidResult result{.ecx = subleaf & 0xff, .edx = topology.apic_id};
  if (subleaf == 0) {
    result.ebx = 1;
    result.ecx |= kSmt << 8;
  } else if (subleaf == 1) {
    result.eax = id_bits(topology.vcpus);
    result.ebx = topology.vcpus;
    result.ecx |= kCore << 8;
  }
  return result;
}

CpuidResult pmu_leaf(const PmuModel& pmu) {
  Cpuid0aEax eax;
  eax.set(Cpuid0aEax::kVersion, pmu.version);
  eax.set(Cpuid0aEax::kCounters, pmu.gp_counters);
  eax.set(Cpuid0aEax::kWidth, pmu.gp_width);
  eax.set(Cpuid0aEax::kEventsLength, pmu.arch_event_length);
  Cpuid0aEdx edx;
  edx.set(Cpuid0aEdx::kFixedCounters, pmu.fixed_counters);
  edx.set(Cpuid0aEdx::kFixedWidth, pmu.fixed_width);
  edx.set(Cpuid0aEdx::kAnyThreadDeprecated, pmu.version >= 5 ? 1 : 0);
  const std::uint32_t fixed_bitmap = pmu.version >= 5 ? (1u << pmu.fixed_counters) - 1 : 0;
  return {eax.raw, pmu.arch_events_unavailable, fixed_bitmap, edx.raw};
}

void fill_in_leaf1(CpuidResult& result, Topology topology) {
  result.ebx |= (topology.apic_id & 0xff) << 24;
  if (topology.vcpus > 1) {
    result.ebx |= (topology.vcpus & 0xff) << 16;
    result.edx |= 1u << feature::leaf1_edx::kHtt;
  }
}

/// EAX[25:14]: ids that share the cache, less one. True if there is such a cache.
bool fill_in_sharing(CpuidResult& result, Topology topology) {
  if ((result.eax & 0x1f) == 0) return false;
  const std::uint32_t ids = 1u << id_bits(topology.vcpus);
  const bool shared = (result.eax >> 5 & 0x7) == 3;
  if (shared) result.eax |= ((ids - 1) & 0xfff) << 14;
  return true;
}

CpuidResult intel_leaf(const CpuModel& model, Topology topology, std::uint32_t leaf,
                       CpuidResult result) {
  if (leaf == 0xa) return pmu_leaf(model.pmu);
  // EAX[31:26]: core ids in the package, less one.
  if (leaf == 0x4 && fill_in_sharing(result, topology))
    result.eax |= (((1u << id_bits(topology.vcpus)) - 1) & 0x3f) << 26;
  return result;
}

/// APM vol. 3 appendix E.4.
CpuidResult amd_leaf(const CpuModel& model, Topology topology, std::uint32_t leaf,
                     CpuidResult result) {
  switch (leaf) {
    case 0x80000001:
      if (topology.vcpus > 1) result.ecx |= 1u << feature::extended_ecx::kCmpLegacy;
      break;
    case 0x80000008:  // NC and ApicIdSize
      result.ecx |= ((topology.vcpus - 1) & 0xff) | id_bits(topology.vcpus) << 12;
      break;
    case 0x8000001d: fill_in_sharing(result, topology); break;
    case 0x8000001e: return {.eax = topology.apic_id, .ebx = topology.apic_id & 0xff};
    case 0x80000022: return {.eax = model.pmu.version >= 2 ? 1u : 0, .ebx = model.pmu.gp_counters};
    default: break;
  }
  return result;
}

}  // namespace

CpuidResult cpuid(const CpuModel& model, Topology topology, std::uint32_t leaf,
                  std::uint32_t subleaf) {
  const std::optional<std::uint32_t> clipped = clip(model, leaf);
  if (!clipped) return {};
  leaf = *clipped;
  if (leaf == 0xb) return topology_leaf(topology, subleaf);
  const CpuidRow* row = find_row(model, leaf, subleaf);
  CpuidResult result = row == nullptr ? CpuidResult{} : row->result;
  if (leaf == 0x1) fill_in_leaf1(result, topology);
  return model.vendor == Vendor::kIntel ? intel_leaf(model, topology, leaf, result)
                                        : amd_leaf(model, topology, leaf, result);
}

}  // namespace vpmu::silicon::x86
