// SPDX-License-Identifier: MIT
//
// What the vCPUs of a VM share of SPE: which host CPUs have a unit, what the VMM may give away of
// it, and the number of the interrupt.
#pragma once

#include <cstdint>
#include <optional>

#include "vpmu/silicon/arm64/spe_unit.hpp"
#include "vpmu/virt/arm64/spe_switch.hpp"
#include "vpmu/virt/cpu_set.hpp"

namespace vpmu::virt::arm64 {

struct SpeVmConfig {
  /// Of the host CPUs that have a unit. Version 0: SPE is not usable.
  silicon::arm64::SpeModel model{};
  CpuSet cpus{};  ///< which of the host's CPUs those are
  SpeFlavour flavour = SpeFlavour::kVhe;
  /// The VMM's privilege when it creates the VM. Guests get physical time only with it; otherwise
  /// PMSCR_EL1.PCT = 1 silently yields virtual time.
  bool perfmon_capable = false;
  /// While the host profiles guests, they do not: the host has the only unit, and PMBIDR_EL1.P says
  /// so. Otherwise host and guest have one each, and P is always 0.
  bool exclusive = false;
  /// No larger buffers: PMBIDR_EL1.MaxBuffSize, rounded down to what it can say. 0: of any size.
  std::uint64_t max_buffer_bytes = 0;
};

/// The largest PMBIDR_EL1.MaxBuffSize that says at most so many bytes, but at least 4096.
std::uint16_t max_buffer_field(std::uint64_t bytes);

/// Not thread-safe: a VM is set up on one thread, and what its vCPUs do later changes nothing here.
class SpeVm {
 public:
  enum class InterruptController : std::uint8_t { kNone, kCreated, kInitialised };

  explicit SpeVm(const SpeVmConfig& config);

  [[nodiscard]] const SpeVmConfig& config() const { return config_; }
  /// KVM_CAP_ARM_SPE: some host CPU has a unit that guests can use.
  [[nodiscard]] bool usable() const { return config_.model.version != 0 && !config_.cpus.empty(); }
  /// Every host CPU has one.
  [[nodiscard]] bool everywhere() const { return config_.cpus.size() == config_.cpus.cpus(); }

  void set_interrupt_controller(InterruptController is) { controller_ = is; }
  [[nodiscard]] InterruptController interrupt_controller() const { return controller_; }

  /// The number that the first of its vCPUs was given.
  [[nodiscard]] std::optional<unsigned> irq() const { return irq_; }
  void set_irq(unsigned irq) { irq_ = irq; }

  /// PMBIDR_EL1 of guests, but for P.
  [[nodiscard]] std::uint64_t pmbidr() const { return pmbidr_; }
  /// The largest buffer, in bytes; 0: of any size.
  [[nodiscard]] std::uint64_t max_buffer_bytes() const { return max_buffer_bytes_; }
  /// What EL2 lets a guest have. Physical addresses always: those in records are intermediate.
  [[nodiscard]] silicon::arm64::SpeOwner owner() const;

 private:
  SpeVmConfig config_;
  InterruptController controller_ = InterruptController::kNone;
  std::optional<unsigned> irq_;
  std::uint64_t pmbidr_ = 0;
  std::uint64_t max_buffer_bytes_ = 0;
};

}  // namespace vpmu::virt::arm64
