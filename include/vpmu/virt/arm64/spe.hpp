// SPDX-License-Identifier: MIT
//
// The Statistical Profiling Extension that a guest's vCPU sees: its registers, its buffer
// management interrupt, and what a VMM sets of it, with the interface and the error numbers of the
// kernel's (docs/abi/spe-vcpu.md), and a few of its defects less.
//
// A vCPU has a unit, which is that of whatever host CPU it runs on. While the guest is entered,
// PMS* are in the unit, and the guest accesses them directly; PMB* always trap. So a run goes
//
//   if (SpeEntry entry = spe.enter(cpu); entry != SpeEntry::kDone) return error(entry);
//   run the guest; unit.sample(...) where the unit wants it
//   if (unit.interrupt()) spe.exit();             // PMBIRQ is an exit
//   Access access = spe.read_register(...);       // an access that traps is an exit by itself
//   if (!spe.is_entered()) enter again, before the guest's next instruction
//
// What the guest wrote and what is in effect are kept apart: while profiling is stopped, or while
// the host has the unit, accesses go to what the guest wrote. None of them is lost by that.
//
// Not thread-safe. Nothing after construction allocates but for the texts of errors and the set of
// CPUs.
#pragma once

#include <cstdint>
#include <optional>

#include "vpmu/base/access.hpp"
#include "vpmu/base/errno_error.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/silicon/arm64/spe_unit.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"
#include "vpmu/silicon/raw_event.hpp"
#include "vpmu/virt/arm64/spe_observer.hpp"
#include "vpmu/virt/arm64/spe_sink.hpp"
#include "vpmu/virt/arm64/spe_state.hpp"
#include "vpmu/virt/arm64/spe_switch.hpp"
#include "vpmu/virt/arm64/spe_vm.hpp"
#include "vpmu/virt/cpu_set.hpp"

namespace vpmu::virt::arm64 {

/// Attributes of group KVM_ARM_VCPU_SPE_CTRL. Anything may come, of which these there are.
enum class SpeAttribute : std::uint64_t { kIrq = 0, kInit = 1, kStop = 2 };

/// Values of SpeAttribute::kStop. Reading it gives SpeStop.
enum SpeStopRequest : std::int32_t { kSpeStopTrap = 1, kSpeStopExit = 2, kSpeResume = 4 };

struct SpeVcpuFeatures {
  bool spe = false;          ///< KVM_ARM_VCPU_SPE
  bool aarch32_el1 = false;  ///< KVM_ARM_VCPU_EL1_32BIT
};

/// Whether a vCPU could be entered, or why not.
enum class SpeEntry : std::uint8_t {
  kDone,
  kCpuOutsideSet,       ///< the CPU is not one of the supported CPUs that the VMM has set
  kNoUnit,              ///< the CPU has no unit
  kNoValidSet,          ///< not all CPUs have a unit, and no set says that only those are used
  kNotInitialised,      ///< SpeAttribute::kInit was not set
  kStoppedAndProfiles,  ///< SpeStop::kExit, and the guest has enabled profiling
};
/// The number that the kernel's interface returns for it, and why. `entry` is not kDone.
ErrnoError error(SpeEntry entry);

/// MDCR_EL2, as far as it is about SPE.
struct SpeMdcrEl2 : Register<std::uint64_t> {
  static constexpr Field<13, 12> kE2pb{};  ///< who owns the buffer
  static constexpr Field<14> kTpms{};      ///< PMS* trap

  enum : std::uint64_t { kEl2 = 0, kEl1AndTraps = 2, kEl1 = 3 };
};

class Spe {
 public:
  /// A vCPU without the feature, yet. `unit`: of the VM's model, and this vCPU's only: what it
  /// knows of the guest moves with the guest. Null if SPE is not usable. All must outlive it.
  Spe(SpeVm& vm, silicon::arm64::SpeUnit* unit, SpeSink& sink);
  Spe(const Spe&) = delete;
  Spe& operator=(const Spe&) = delete;

  // ---- What a VMM calls, outside of the guest. What it may call inside leaves the guest.
  // -----------

  /// KVM_ARM_VCPU_INIT, which also resets.
  ///   EINVAL  SPE is not usable on this host; EL1 is AArch32
  ErrnoResult<void> init_vcpu(const SpeVcpuFeatures& features);
  [[nodiscard]] bool has_feature() const { return has_feature_; }
  /// ID_AA64DFR0_EL1.PMSVer for this guest; 0 without the feature.
  [[nodiscard]] std::uint8_t version() const;

  /// KVM_ARM_VCPU_SUPPORTED_CPUS: replaces the set; nothing has changed after an error. An empty
  /// list is no restriction.
  ///   ENOEXEC  the vCPU has run
  ///   EFAULT   null
  ///   others   as parse_cpu_list()
  ErrnoResult<void> set_supported_cpus(const char* list);
  [[nodiscard]] const CpuSet& supported_cpus() const { return supported_; }

  /// KVM_HAS/SET/GET_DEVICE_ATTR. For all of them
  ///   ENXIO   no feature, no interrupt controller, or no such attribute
  ///   EFAULT  null, where there is a value
  /// Set kIrq
  ///   EBUSY   set already, or initialised
  ///   EINVAL  no PPI (16 to 31), or not that of the VM's other vCPUs
  /// Get kIrq
  ///   ENXIO   not set
  /// Set kInit (which has no value)
  ///   ENXIO   no number set, interrupt controller not initialised, or the PPI is another device's
  ///   EBUSY   initialised already
  /// Set kStop
  ///   EAGAIN  not initialised
  ///   EINVAL  not exactly one of SpeStopRequest
  /// Get kStop
  ///   EAGAIN  not initialised
  /// Getting kInit: ENXIO.
  [[nodiscard]] ErrnoResult<void> has_attribute(SpeAttribute which) const;
  ErrnoResult<void> set_attribute(SpeAttribute which, const std::int32_t* value);
  ErrnoResult<void> get_attribute(SpeAttribute which, std::int32_t* value) const;

  // The same by name.
  ErrnoResult<void> set_irq(std::int32_t irq);
  [[nodiscard]] ErrnoResult<std::int32_t> irq() const;
  ErrnoResult<void> init();
  ErrnoResult<void> set_stop(std::int32_t request);
  [[nodiscard]] ErrnoResult<SpeStop> stop() const;

  // ---- Running the guest
  // ---------------------------------------------------------------------------

  /// The guest goes on, on this host CPU. Worked out anew each time: what was wrong once and is not
  /// any more is forgotten. Nothing happens if it is entered already.
  SpeEntry enter(hostperf::HostCpu cpu);
  /// The guest has left. Nothing happens if it is not entered.
  void exit();
  [[nodiscard]] bool is_entered() const { return entered_; }
  /// Someone else gets the host CPU. Leaves the guest.
  void scheduled_out();

  /// MRS and MSR, of a guest at EL0 (kUser) or EL1, or of its migration (Initiator::kHost).
  /// fault(): undefined, as all of them are at EL0, and without the feature. not_mine(): not a
  /// register of SPE. An access that traps leaves the guest, as one of the host's does.
  Access read_register(silicon::arm64::SystemRegister which, silicon::Privilege privilege,
                       Initiator initiator);
  Access write_register(silicon::arm64::SystemRegister which, std::uint64_t value,
                        silicon::Privilege privilege, Initiator initiator);
  /// As it is while the guest runs now.
  [[nodiscard]] SpeMdcrEl2 mdcr_el2() const;

  /// The host profiles the guest, or no longer. Only with SpeVmConfig::exclusive it makes a
  /// difference: the guest finds PMBIDR_EL1.P = 1 then, and what it writes takes effect when the
  /// host is done. Leaves the guest.
  void set_host_has_unit(bool has);

  /// As at the reset of the vCPU: registers. Leaves the guest.
  void reset();

  /// Null: nobody, as at first. Must outlive the vCPU.
  void set_observer(SpeObserver* observer) { observer_ = observer; }

  /// The buffer management interrupt, as last told to the sink.
  [[nodiscard]] bool buffer_line() const { return asserted_; }
  [[nodiscard]] const SpeExitStatistics& exit_statistics() const { return exits_; }
  /// All 0 without a unit.
  [[nodiscard]] SpeSwitchStatistics switch_statistics() const;

  /// At an instruction boundary, entered or not. Changes nothing.
  [[nodiscard]] SpeState save() const;
  /// On a vCPU that is set up as the saved one was (feature, number, initialised) and was not
  /// entered yet. The error says what does not fit; nothing has changed then.
  Result<void> restore(const SpeState& state);

 private:
  enum class Class : std::uint8_t;
  using SystemRegister = silicon::arm64::SystemRegister;
  using SpeUnit = silicon::arm64::SpeUnit;

  // spe_attributes.cpp
  [[nodiscard]] ErrnoResult<void> may_set_irq() const;
  [[nodiscard]] ErrnoResult<void> may_stop() const;

  // spe_registers.cpp
  [[nodiscard]] static Class class_of(SystemRegister which);
  [[nodiscard]] Access permission(SystemRegister which, silicon::Privilege privilege,
                                  Initiator initiator) const;
  [[nodiscard]] bool traps(Class which) const;
  void count_access(Class which);
  [[nodiscard]] std::uint64_t guest_value(SystemRegister which) const;

  // spe_entry.cpp
  [[nodiscard]] SpeEntry may_enter(hostperf::HostCpu cpu) const;
  [[nodiscard]] SpeEntry may_run_on(hostperf::HostCpu cpu) const;
  [[nodiscard]] bool host_has_it() const;
  [[nodiscard]] bool has_unit() const;
  [[nodiscard]] bool stops_host() const;
  [[nodiscard]] bool wants_to_profile() const;
  bool wants_buffer();
  void deny_buffer(SpeBufferAnswer answer);
  void settle_event();
  void replace(SpeTrouble trouble);
  void report(SpeTrouble::Kind kind, std::uint64_t times, SpeTrouble trouble);
  [[nodiscard]] SpeTrouble trouble() const;
  void raise(std::uint64_t syndrome);
  void update_line();

  // spe_state.cpp
  [[nodiscard]] Result<void> same_vcpu(const SpeState& state) const;
  Result<void> restore_registers(const SpeState& state);

  SpeVm& vm_;
  SpeUnit* unit_;
  SpeSink& sink_;
  SpeObserver* observer_ = nullptr;

  // What the VMM has set.
  bool has_feature_ = false;
  bool initialised_ = false;
  bool has_run_ = false;
  bool host_has_unit_ = false;
  std::optional<std::uint8_t> irq_;
  SpeStop stop_ = SpeStop::kRunning;
  CpuSet supported_;

  // Registers that the unit does not have. Units that never run: their registers are all that is
  // used of them.
  std::optional<SpeUnit> guest_;
  std::optional<SpeUnit> host_;
  std::optional<SpeWorldSwitch> switch_;

  bool entered_ = false;
  bool asserted_ = false;
  SpeExitStatistics exits_;
};

}  // namespace vpmu::virt::arm64
