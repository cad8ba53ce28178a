// SPDX-License-Identifier: MIT
//
// PSCI 1.1 (Arm DEN0022) through the SMC calling convention (DEN0028): how a guest starts and stops
// vCPUs and the machine. HVC and SMC are the same to it. What the documents leave open:
//
//  - CPU_SUSPEND: power-down states are treated as standby, which PSCI allows: the call comes back
//    with SUCCESS when an interrupt is pending, as WFI does, and nothing is lost.
//  - SYSTEM_RESET2, SYSTEM_SUSPEND, MIGRATE, statistics and everything else that is optional:
//    NOT_SUPPORTED. There is no trusted OS to migrate.
//  - Results are sign-extended to X0 for 32-bit functions, too.
//  - A target is known by its MPIDR affinity, which is the vCPU's number.
#pragma once

#include <array>
#include <cstdint>

#include "machine/devices/machine_control.hpp"

namespace vpmu::machine {

/// The vCPUs, as far as PSCI can tell. Implemented by the machine.
class PowerControl {
 public:
  enum class PowerState : std::uint8_t {
    kOn,
    kOff,
    kOnPending
  };  ///< as AFFINITY_INFO numbers them

  [[nodiscard]] virtual unsigned vcpus() const = 0;
  [[nodiscard]] virtual PowerState power_state(unsigned vcpu) const = 0;
  /// A vCPU could begin to execute there: physical, the MMU is off.
  [[nodiscard]] virtual bool is_entry(std::uint64_t address) const = 0;
  /// Only for one that is off: it starts at `entry` in EL1 with `context` in X0.
  virtual void power_on(unsigned vcpu, std::uint64_t entry, std::uint64_t context) = 0;
  /// The caller itself, behind this instruction.
  virtual void power_off(unsigned vcpu) = 0;
  /// The caller itself waits behind this instruction, as by WFI.
  virtual void wait_for_interrupt(unsigned vcpu) = 0;

 protected:
  ~PowerControl() = default;
};

class Psci {
 public:
  /// Function identifiers. Those with bit 30 take 64-bit arguments.
  enum Function : std::uint32_t {
    kSmcccVersion = 0x8000'0000,
    kSmcccArchFeatures = 0x8000'0001,
    kVersion = 0x8400'0000,
    kCpuSuspend32 = 0x8400'0001,
    kCpuSuspend64 = 0xc400'0001,
    kCpuOff = 0x8400'0002,
    kCpuOn32 = 0x8400'0003,
    kCpuOn64 = 0xc400'0003,
    kAffinityInfo32 = 0x8400'0004,
    kAffinityInfo64 = 0xc400'0004,
    kMigrateInfoType = 0x8400'0006,
    kSystemOff = 0x8400'0008,
    kSystemReset = 0x8400'0009,
    kFeatures = 0x8400'000a,
    kSystemReset2 = 0x8400'0012,
  };
  enum Code : std::int32_t {
    kSuccess = 0,
    kNotSupported = -1,
    kInvalidParameters = -2,
    kDenied = -3,
    kAlreadyOn = -4,
    kOnPending = -5,
    kInternalFailure = -6,
    kInvalidAddress = -9,
  };
  static constexpr std::int32_t kVersion1_1 = 0x1'0001;
  static constexpr std::int32_t kNoTrustedOs = 2;  ///< MIGRATE_INFO_TYPE

  Psci(PowerControl& power, MachineControl& control) : power_{power}, control_{control} {}

  /// X0 (the function; its upper half is not looked at) and X1 to X3 of vCPU `caller`; what X0 is
  /// afterwards. No other register changes.
  std::uint64_t call(unsigned caller, std::uint64_t function,
                     const std::array<std::uint64_t, 3>& arguments);

 private:
  std::int32_t dispatch(unsigned caller, std::uint32_t function,
                        const std::array<std::uint64_t, 3>& arguments);
  std::int32_t cpu_on(std::uint64_t target, std::uint64_t entry, std::uint64_t context);
  std::int32_t cpu_suspend(unsigned caller, std::uint64_t power_state);
  [[nodiscard]] std::int32_t affinity_info(std::uint64_t target, std::uint64_t level) const;

  PowerControl& power_;
  MachineControl& control_;
};

}  // namespace vpmu::machine
