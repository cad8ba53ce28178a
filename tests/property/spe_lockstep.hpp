// SPDX-License-Identifier: MIT
//
// virt::arm64::Spe on a silicon::arm64::SpeUnit, driven as a machine drives it, and the reference,
// one operation at a time, in lockstep.
//
// Beside the reference, these hold at all times: the sink has heard of every change of the
// interrupt line and of no other; whenever the host has the unit, its registers are as it left
// them; a guest that does not have it is not sampled.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "property/choices.hpp"
#include "property/reference_spe.hpp"
#include "property/spe_unit_lockstep.hpp"
#include "vpmu/virt/arm64/spe.hpp"

namespace vpmu::property {

std::span<const SpeSetup> spe_setups();

struct SpeVcpuOperation {
  enum class Kind : std::uint8_t {
    kUnit,        ///< what `unit` says, of the guest; flag: at EL0
    kHostAccess,  ///< a kRead or kWrite of `unit`
    kEnter,       ///< value: the CPU
    kExit,
    kScheduledOut,
    kStop,         ///< value: the request
    kHostHasUnit,  ///< flag
    kReset,
    kMove,
    kDamaged,  ///< restore() of a state of which bit `value` % 64 of word `value` / 64 is changed
    // Of the VMM.
    kInitVcpu,      ///< flag: with SPE; value: with AArch32
    kCpus,          ///< value: of the lists
    kSetAttribute,  ///< which: attribute; flag: null; value
    kGetAttribute,  ///< which: attribute
  };
  Kind kind;
  bool flag = false;
  std::uint64_t which = 0;
  std::uint64_t value = 0;
  SpeUnitOperation unit{};
};

SpeVcpuOperation draw_operation(Choices& choices, const SpeSetup& setup);
std::string describe(const SpeVcpuOperation& operation);
std::span<const SpeCpuList> spe_cpu_lists();

class SpeLockstep {
 public:
  using Setup = SpeSetup;
  using Operation = SpeVcpuOperation;

  explicit SpeLockstep(const Setup& setup);

  std::optional<std::string> step(const Operation& operation);
  std::optional<std::string> compare_all();
  std::optional<std::string> finish();

 private:
  class Line final : public virt::arm64::SpeSink {
   public:
    bool own_interrupt(unsigned) override { return true; }
    void set_buffer_line(bool asserted) override {
      repeated |= asserted == on;
      on = asserted;
    }
    bool on = false;
    bool repeated = false;  ///< told of what was no change
  };
  /// A VM of one vCPU, on a host of its own.
  struct Vcpu {
    Vcpu(const Setup& setup, std::uint64_t seed, SpePages& pages);
    /// What the VMM does before the first run.
    void set_up(const virt::arm64::SpeState& as);

    virt::arm64::SpeVm vm;
    silicon::arm64::SpeUnit unit;
    Line line;
    virt::arm64::Spe spe;
    silicon::arm64::SpeUnitState hosts;  ///< what the host has in the unit
  };

  std::optional<std::string> act(const Operation& operation);
  std::optional<std::string> unit_operation(const Operation& operation);
  std::optional<std::string> access(const SpeUnitOperation& what, bool el0, bool host);
  std::optional<std::string> start(const SpeUnitOperation& what);
  std::optional<std::string> retire(const SpeUnitOperation& what);
  std::optional<std::string> retire_unselected(const SpeUnitOperation& what, std::uint64_t count);
  std::optional<std::string> enter(std::uint64_t cpu);
  std::optional<std::string> attribute(const Operation& operation);
  std::optional<std::string> move();
  std::optional<std::string> restore_damaged(std::uint64_t what);
  [[nodiscard]] std::optional<std::string> compare_outside() const;
  [[nodiscard]] std::optional<std::string> compare_hosts(bool still_scheduled = false) const;

  const Setup& setup_;
  SpePages pages_;
  std::unique_ptr<Vcpu> vcpu_;
  ReferenceSpe reference_;
  std::uint64_t seed_ = 1;
};

}  // namespace vpmu::property
