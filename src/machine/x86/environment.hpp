// SPDX-License-Identifier: MIT
//
// What an x86 CPU needs from the machine around it. The interpreter knows nothing else of devices,
// of the local APIC or of the PMU: tests and fuzzers give it an environment of their own.
//
// All calls are made at an instruction boundary of this vCPU, with everything it retired handed
// over to its totals when they are read.
#pragma once

#include <array>
#include <cstdint>

#include "vpmu/base/access.hpp"
#include "vpmu/base/numbers.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::machine::x86 {

using silicon::x86::CpuidResult;

struct Hypercall {
  enum class Instruction : std::uint8_t { kVmcall, kVmmcall };

  std::uint64_t number = 0;                  ///< RAX
  std::array<std::uint64_t, 4> arguments{};  ///< RBX, RCX, RDX, RSI
  Instruction instruction = Instruction::kVmcall;
  bool code64 = true;  ///< 64-bit mode: CS.L
  bool user = false;   ///< CPL is not 0

  friend bool operator==(const Hypercall&, const Hypercall&) = default;
};

class Environment {
 public:
  /// Leaf 0 .. as the guest sees them, without the bits that follow the CPU's own state (OSXSAVE,
  /// the x2APIC-independent ones of leaf 1 and 7), which the CPU fills in.
  virtual CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf) = 0;

  /// MSRs that are not the CPU's own (APIC, PMU, ...). not_mine(): the CPU raises #GP.
  virtual Access read_msr(MsrIndex msr) = 0;
  virtual Access write_msr(MsrIndex msr, std::uint64_t value) = 0;

  /// RDPMC with this ECX; `may_read`: CR4.PCE is set, or CPL is 0, or protection is off.
  virtual Access rdpmc(std::uint32_t index, bool may_read) = 0;

  virtual std::uint32_t read_port(std::uint16_t port, unsigned bytes) = 0;
  virtual void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) = 0;

  /// The guest writes CR0 or CR4 (also by CLTS or LMSW), or accesses a debug register, and may:
  /// what a hypervisor would see of it. Before the access.
  virtual void control_register_write() {}
  virtual void debug_register_access() {}

  /// Physical addresses that are not RAM, the local APIC's page included. `bytes` is 1, 2, 4 or 8.
  virtual std::uint64_t read_mmio(std::uint64_t address, unsigned bytes) = 0;
  virtual void write_mmio(std::uint64_t address, unsigned bytes, std::uint64_t value) = 0;

  /// Machine time in cycles; also the TSC before its per-vCPU offset.
  virtual std::uint64_t now() = 0;

  /// Deadlines have been reached at this boundary and their listeners told: what they put off until
  /// the guest goes on is to be done now. Interrupts that it raises are taken at this boundary.
  virtual void before_entry() {}

  /// The guest moved this CPU's TSC: it is now now() + `offset`, modulo 2^64.
  virtual void tsc_moved(std::uint64_t offset) { static_cast<void>(offset); }

  /// VMCALL or VMMCALL at any CPL. done(): the whole of RAX; not_mine(): #UD.
  virtual Access hypercall(const Hypercall& call) = 0;

  /// An interrupt from the local APIC that is above the processor priority is waiting.
  virtual bool interrupt_waiting() = 0;
  /// Takes it: its vector.
  virtual std::uint8_t acknowledge_interrupt() = 0;
  /// An NMI is about to be delivered.
  virtual void nmi_taken() {}

  /// CR8: the task priority class of the local APIC.
  virtual std::uint8_t task_priority() = 0;
  virtual void set_task_priority(std::uint8_t priority_class) = 0;

 protected:
  ~Environment() = default;
};

}  // namespace vpmu::machine::x86
