// SPDX-License-Identifier: MIT
#include "machine/kvm/kvm_probe.hpp"

#include <linux/ioctl.h>

#include <memory>

namespace vpmu::machine::kvm {

namespace {
// The kernel's interface, spelled out: its header has the CPUID part for x86 hosts only, and in C++
// gives KVM_GET_SUPPORTED_CPUID another number.
struct CpuidEntry {
  std::uint32_t function, index, flags, eax, ebx, ecx, edx, padding[3];
};
struct CpuidTable {
  std::uint32_t count, padding;
  CpuidEntry entries[256];
};
constexpr unsigned kKvmIo = 0xae;
constexpr unsigned long kGetApiVersion = _IO(kKvmIo, 0x00);
constexpr unsigned long kCreateVm = _IO(kKvmIo, 0x01);
constexpr unsigned long kCheckExtension = _IO(kKvmIo, 0x03);
constexpr unsigned long kGetSupportedCpuid = _IOC(_IOC_READ | _IOC_WRITE, kKvmIo, 0x05, 8);

constexpr std::uint32_t bits(std::uint32_t value, unsigned high, unsigned low) {
  return value >> low & ((1u << (high - low + 1)) - 1);
}

void read_entry(const CpuidEntry& entry, OfferedPmu& pmu) {
  switch (entry.function) {
    case 0xa:
      pmu.version = bits(entry.eax, 7, 0);
      pmu.counters = bits(entry.eax, 15, 8);
      pmu.fixed_counters = pmu.version >= 2 ? bits(entry.edx, 4, 0) : 0;
      break;
    case 0x8000'0001: pmu.amd_core_extension = bits(entry.ecx, 23, 23) != 0; break;
    case 0x8000'0022: pmu.amd_perfmon_v2 = bits(entry.eax, 0, 0) != 0; break;
    default: break;
  }
}

void probe_cpuid(KvmSystem& system, int kvm, KvmProbes& probes) {
  const auto table = std::make_unique<CpuidTable>();
  table->count = std::size(table->entries);
  const int result =
      system.call(kvm, kGetSupportedCpuid, reinterpret_cast<std::uintptr_t>(table.get()));
  if (result < 0) {
    probes.cpuid_error = -result;
    return;
  }
  for (std::uint32_t i = 0; i < table->count && i < std::size(table->entries); ++i) {
    read_entry(table->entries[i], probes.pmu);
  }
}

void probe_device(KvmSystem& system, int kvm, HostArchitecture architecture, KvmProbes& probes) {
  probes.reached = KvmProbes::Step::kVersion;
  probes.api_version = system.call(kvm, kGetApiVersion, 0);
  if (probes.api_version != kApiVersion) return;
  probes.reached = KvmProbes::Step::kCreateVm;
  const int vm = system.call(kvm, kCreateVm, 0);
  if (vm < 0) {
    probes.create_error = -vm;
    return;
  }
  probes.reached = KvmProbes::Step::kAll;
  std::size_t i = 0;
  for (const Capability& capability : capabilities(architecture)) {
    probes.capabilities[i++] =
        system.call(kvm, kCheckExtension, static_cast<std::uintptr_t>(capability.number));
  }
  if (architecture == HostArchitecture::kX86) probe_cpuid(system, kvm, probes);
  system.close(vm);
}
}  // namespace

KvmProbes probe_kvm(KvmSystem& system, HostArchitecture architecture) {
  KvmProbes probes;
  const int kvm = system.open();
  if (kvm < 0) {
    probes.open_error = -kvm;
    return probes;
  }
  probe_device(system, kvm, architecture, probes);
  system.close(kvm);
  return probes;
}

}  // namespace vpmu::machine::kvm
