// SPDX-License-Identifier: MIT
//
// What an AArch64 CPU needs from the machine around it. The CPU knows nothing else of the interrupt
// controller, the timers, the PMU or of devices: tests and fuzzers give it an environment of their
// own.
//
// All calls are made at an instruction boundary of this vCPU, with everything it retired handed
// over to its totals when they are read.
#pragma once

#include <array>
#include <cstdint>

#include "vpmu/base/access.hpp"
#include "vpmu/silicon/arm64/spe_operation.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::machine::arm64 {

using silicon::arm64::SystemRegister;

/// HVC or SMC at EL1: PSCI and the rest of the SMC calling convention.
struct Call {
  enum class Conduit : std::uint8_t { kHvc, kSmc };

  Conduit conduit = Conduit::kHvc;
  std::uint16_t immediate = 0;
  /// x0 to x17: the function and its arguments, and the results.
  std::array<std::uint64_t, 18> x{};

  friend bool operator==(const Call&, const Call&) = default;
};

class Environment {
 public:
  /// Registers that are not the CPU's own: PMU, generic timers (CNT*), the GIC's CPU interface
  /// (ICC_*). `el0`: the access is made at EL0. fault() and not_mine(): the instruction is
  /// undefined; trap(): it is trapped to EL1 (EC 0x18).
  virtual Access read_system_register(SystemRegister reg, bool el0) = 0;
  virtual Access write_system_register(SystemRegister reg, std::uint64_t value, bool el0) = 0;

  /// Physical addresses that are not RAM. `bytes` is 1, 2, 4 or 8. Called where
  /// answers() is true.
  virtual std::uint64_t read_mmio(std::uint64_t physical, unsigned bytes) = 0;
  virtual void write_mmio(std::uint64_t physical, unsigned bytes, std::uint64_t value) = 0;

  /// Whether anything is at these physical addresses, 1 to 64 bytes that are not RAM. Where nothing
  /// is, accesses are synchronous external aborts.
  [[nodiscard]] virtual bool answers(std::uint64_t /*physical*/, unsigned /*bytes*/) const {
    return true;
  }

  /// HVC or SMC at EL1. The instruction retires whatever the call answers.
  virtual void call(Call& call) = 0;

  /// HLT #0xF000 at EL1. False: the instruction is undefined. `result` goes to x0.
  virtual bool semihost(std::uint32_t operation, std::uint64_t parameter,
                        std::uint64_t& result) = 0;

  /// An IRQ is signalled to this CPU, whatever PSTATE.I says.
  virtual bool irq_waiting() = 0;
  /// The same for FIQ: group 0 interrupts.
  virtual bool fiq_waiting() { return false; }

  /// Machine time in cycles.
  virtual std::uint64_t now() = 0;

  /// Deadlines have been reached at this boundary and their listeners told: what they put off until
  /// the guest goes on is to be done now. Interrupts that it raises are taken at this boundary.
  virtual void before_entry() {}

  /// How many operations may retire at level `el` (0 or 1) before one is to be sampled; kNoSample:
  /// as many as like. 0: the next one that retires there, which sampled() is told of. Asked at
  /// instruction boundaries, before code runs; what it answers may only change there.
  virtual std::uint64_t until_sample(unsigned /*el*/) { return kNoSample; }
  static constexpr std::uint64_t kNoSample = ~std::uint64_t{0};
  /// An operation that was to be sampled has retired. Counts of the generic counters are left for
  /// the environment to fill in.
  virtual void sampled(const silicon::arm64::SpeOperation& /*operation*/) {}

  /// SEV: sets the event registers of all CPUs of the machine.
  virtual void send_event() {}

 protected:
  ~Environment() = default;
};

}  // namespace vpmu::machine::arm64
