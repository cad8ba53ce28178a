// SPDX-License-Identifier: MIT
#include "machine/devices/psci.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint32_t kTakes64Bits = 1U << 30;
// CPU_SUSPEND's power_state in the original format: level (25:24), type (16), state ID (15:0).
constexpr std::uint64_t kPowerStateBits = 0x0301'ffff;
constexpr std::uint64_t kHighestLevel = 3;

/// What PSCI_FEATURES says of a function. None has a flag set.
std::int32_t feature(std::uint32_t function) {
  switch (function) {
    case Psci::kSmcccVersion:
    case Psci::kVersion:
    case Psci::kCpuSuspend32:
    case Psci::kCpuSuspend64:
    case Psci::kCpuOff:
    case Psci::kCpuOn32:
    case Psci::kCpuOn64:
    case Psci::kAffinityInfo32:
    case Psci::kAffinityInfo64:
    case Psci::kMigrateInfoType:
    case Psci::kSystemOff:
    case Psci::kSystemReset:
    case Psci::kFeatures: return Psci::kSuccess;
    default: return Psci::kNotSupported;
  }
}

/// SMCCC_ARCH_FEATURES: no workaround is needed, none is offered.
std::int32_t architecture_feature(std::uint32_t function) {
  return function == Psci::kSmcccVersion || function == Psci::kSmcccArchFeatures
             ? Psci::kSuccess
             : Psci::kNotSupported;
}
}  // namespace

std::uint64_t Psci::call(unsigned caller, std::uint64_t function,
                         const std::array<std::uint64_t, 3>& arguments) {
  const auto id = static_cast<std::uint32_t>(function);
  std::array<std::uint64_t, 3> taken = arguments;
  if ((id & kTakes64Bits) == 0) {
    for (std::uint64_t& argument : taken) argument &= 0xffff'ffff;
  }
  return static_cast<std::uint64_t>(std::int64_t{dispatch(caller, id, taken)});
}

std::int32_t Psci::dispatch(unsigned caller, std::uint32_t function,
                            const std::array<std::uint64_t, 3>& arguments) {
  switch (function) {
    case kSmcccVersion:
    case kVersion: return kVersion1_1;
    case kSmcccArchFeatures: return architecture_feature(static_cast<std::uint32_t>(arguments[0]));
    case kFeatures: return feature(static_cast<std::uint32_t>(arguments[0]));
    case kCpuSuspend32:
    case kCpuSuspend64: return cpu_suspend(caller, arguments[0]);
    case kCpuOff: power_.power_off(caller); return kSuccess;
    case kCpuOn32:
    case kCpuOn64: return cpu_on(arguments[0], arguments[1], arguments[2]);
    case kAffinityInfo32:
    case kAffinityInfo64: return affinity_info(arguments[0], arguments[1]);
    case kMigrateInfoType: return kNoTrustedOs;
    // These do not come back; should they, they have failed.
    case kSystemOff: control_.power_off(); return kInternalFailure;
    case kSystemReset: control_.reset(); return kInternalFailure;
    default: return kNotSupported;
  }
}

std::int32_t Psci::cpu_on(std::uint64_t target, std::uint64_t entry, std::uint64_t context) {
  if (target >= power_.vcpus()) return kInvalidParameters;
  const auto vcpu = static_cast<unsigned>(target);
  switch (power_.power_state(vcpu)) {
    case PowerControl::PowerState::kOn: return kAlreadyOn;
    case PowerControl::PowerState::kOnPending: return kOnPending;
    case PowerControl::PowerState::kOff: break;
  }
  if (entry % 4 != 0 || !power_.is_entry(entry)) return kInvalidAddress;
  power_.power_on(vcpu, entry, context);
  return kSuccess;
}

std::int32_t Psci::cpu_suspend(unsigned caller, std::uint64_t power_state) {
  if ((power_state & ~kPowerStateBits) != 0) return kInvalidParameters;
  power_.wait_for_interrupt(caller);
  return kSuccess;
}

// Levels above 0 are all the machine: every vCPU has the same Aff1 to Aff3, which are 0.
std::int32_t Psci::affinity_info(std::uint64_t target, std::uint64_t level) const {
  if (level > kHighestLevel) return kInvalidParameters;
  if (level == 0) {
    if (target >= power_.vcpus()) return kInvalidParameters;
    return static_cast<std::int32_t>(power_.power_state(static_cast<unsigned>(target)));
  }
  if (target >> (level == 3 ? 32 : 8 * level) != 0) return kInvalidParameters;
  for (unsigned vcpu = 0; vcpu < power_.vcpus(); ++vcpu) {
    if (power_.power_state(vcpu) == PowerControl::PowerState::kOn) {
      return static_cast<std::int32_t>(PowerControl::PowerState::kOn);
    }
  }
  return static_cast<std::int32_t>(PowerControl::PowerState::kOff);
}

}  // namespace vpmu::machine
