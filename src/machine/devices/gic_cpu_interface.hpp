// SPDX-License-Identifier: MIT
//
// The CPU interface of one vCPU in a GICv3 (Arm IHI 0069), which is system registers only (ICC_*,
// ICC_SRE_EL1.SRE is fixed), at EL1: group 1 interrupts are IRQs, group 0 interrupts FIQs.
//
// There is one security state and no EL2 or EL3, so that a group 1 interrupt is a Non-secure one:
// ICC_BPR1 splits priorities one bit higher than ICC_BPR0 does, and is at least 3 as that is at
// least 2. What the manual leaves open:
//
//  - An interrupt preempts if its group priority is more important than ICC_RPR shows.
//  - EOIR of the group that is not the running priority's, or while nothing is active, does nothing
//    at all. Nor does DIR while EOImode is 0.
//  - Interrupts of a group that is disabled here are not looked at: they hide none of the other.
//  - ICC_CTLR.PMHE is 0: there is no routing that could take a hint.
#pragma once

#include <array>
#include <cstdint>

#include "machine/devices/gic_bank.hpp"
#include "machine/devices/gic_redistributor.hpp"
#include "vpmu/base/access.hpp"
#include "vpmu/base/register.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::machine {

/// The vCPU of a CPU interface, implemented by the machine. Calls may come while another vCPU of
/// the machine runs.
class GicCpuSignals {
 public:
  /// irq_waiting() or fiq_waiting() may have become true.
  virtual void wake() = 0;

 protected:
  ~GicCpuSignals() = default;
};

class GicCpuInterface final : private GicPendingListener {
 public:
  /// Connects itself to `redistributor`. Both must outlive it.
  GicCpuInterface(GicRedistributor& redistributor, GicCpuSignals& signals);

  void reset();

  /// Cheap: may be asked at every instruction boundary.
  [[nodiscard]] bool irq_waiting() const { return waiting_ && best_.group == 1; }
  [[nodiscard]] bool fiq_waiting() const { return waiting_ && best_.group == 0; }

  /// ICC_*_EL1: undefined at EL0, and in the direction that they do not have; not_mine() for any
  /// other. Reading IAR takes the interrupt.
  Access read(silicon::arm64::SystemRegister which, bool el0);
  Access write(silicon::arm64::SystemRegister which, std::uint64_t value, bool el0);

  struct Control : Register<std::uint32_t> {  // ICC_CTLR_EL1
    static constexpr Field<0> kCbpr{};
    static constexpr Field<1> kEoimode{};
    static constexpr Field<10, 8> kPribits{};
    static constexpr std::uint32_t kWritable = mask_of(kCbpr, kEoimode);
    static constexpr std::uint32_t kFixed = 4U << 8;  // PRIbits: five bits of priority
  };

  struct State {
    Control control{Control::kFixed};
    std::uint8_t priority_mask = 0;  ///< PMR
    std::uint8_t binary_point0 = 2;
    std::uint8_t binary_point1 = 3;   ///< as written, whatever CBPR is
    std::uint8_t enabled_groups = 0;  ///< IGRPEN0 and IGRPEN1
    /// AP0R0 and AP1R0: a bit for each group priority that is active, the most important one
    /// lowest.
    std::array<std::uint32_t, 2> active_priorities{};
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  Result<void> restore(const State& state);

 private:
  enum class Name : std::uint8_t;
  static Name decode(silicon::arm64::SystemRegister which);

  void on_pending_changed() override { update(); }
  /// Works out best_ and waiting_ after any change of what they depend on.
  void update();

  [[nodiscard]] std::uint8_t running_priority() const;
  [[nodiscard]] std::uint8_t group_priority(std::uint8_t priority, unsigned group) const;
  [[nodiscard]] std::uint8_t binary_point(unsigned group) const;
  unsigned acknowledge(unsigned group);
  [[nodiscard]] unsigned highest_pending(unsigned group) const;
  void end_of_interrupt(unsigned group, unsigned intid);
  void deactivate(unsigned intid);
  void set_binary_point(unsigned group, std::uint64_t value);
  void set_group_enable(unsigned group, std::uint64_t value);
  void send(std::uint64_t value, bool group0_only);

  GicRedistributor& redistributor_;
  GicCpuSignals& signals_;
  State state_;
  GicPending best_;
  bool waiting_ = false;
};

}  // namespace vpmu::machine
