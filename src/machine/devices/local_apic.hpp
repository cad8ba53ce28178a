// SPDX-License-Identifier: MIT
//
// The local APIC of one vCPU, in xAPIC (MMIO page) and x2APIC (MSRs) mode; Intel SDM vol. 3A
// chapter 11. What the manual leaves open is decided so:
//
//  - The APIC ID is read-only in both modes. Version 0x15, EOI broadcast suppression offered.
//  - SMIs are dropped: the machine has no SMM. So is a level de-assert; all IPIs are edges.
//  - Reserved bits: dropped in the page, #GP in an MSR. ICR bit 12 and the read-only LVT bits
//    may be written with anything in both.
//  - Lowest-priority IPIs work in x2APIC mode, too. LVTPC in ExtINT mode reaches nobody.
//  - Clearing IA32_APIC_BASE.EN resets all registers; CR8 works while the APIC is disabled.
//  - Interrupts that were accepted before a software disable are still offered to the CPU.
//  - The timer counts at Config::timer_hz / divider, which the machine reports in CPUID.15H.
//
// The machine asks decodes() before it passes a physical access on: in x2APIC mode and when
// disabled the page belongs to nobody, and the guest can move it. CPUID.1:EDX.APIC follows
// enabled(). After any guest access that may have armed the timer the machine must look at
// Clock::next_due().
#pragma once

#include <array>
#include <cstdint>

#include "machine/bus.hpp"
#include "machine/clock.hpp"
#include "machine/devices/apic_bus.hpp"
#include "machine/devices/apic_registers.hpp"
#include "machine/devices/apic_timer.hpp"
#include "machine/devices/cpu_signals.hpp"
#include "machine/devices/vector_set.hpp"
#include "vpmu/base/access.hpp"
#include "vpmu/base/numbers.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

/// What became of a performance monitoring interrupt.
enum class PmiOutcome : std::uint8_t {
  kDelivered,
  kMasked,       ///< LVTPC was masked, or the APIC disabled: dropped
  kNotAccepted,  ///< an illegal vector or a delivery mode that reaches nobody: dropped
};

class LocalApic final : public MmioDevice, private ApicTimerListener {
 public:
  struct Config {
    std::uint32_t id = 0;
    bool bootstrap = false;       ///< reset value of IA32_APIC_BASE.BSP
    bool x2apic = true;           ///< CPUID.1:ECX[21]
    bool tsc_deadline = true;     ///< CPUID.1:ECX[24]
    bool cmci = false;            ///< IA32_MCG_CAP[10]: the CMCI LVT entry exists
    unsigned physical_bits = 46;  ///< MAXPHYADDR, 36..52
    std::uint64_t timer_hz = 0;   ///< 0: the clock's frequency
  };

  /// Registers itself with `bus`. Everything passed must outlive the APIC. `ext_int` may be null:
  /// LINT0 in ExtINT mode then does nothing.
  LocalApic(const Config& config, Clock& clock, ApicBus& bus, CpuSignals& signals,
            ExtIntSource* ext_int);

  /// RESET: xAPIC mode, page at 0xfee00000, software-disabled.
  void reset();
  /// INIT: keeps IA32_APIC_BASE. An INIT message does this itself.
  void init();

  // ---- The CPU's side ---------------------------------------------------------------------------

  /// Cheap: may be asked at every instruction boundary.
  [[nodiscard]] bool interrupt_waiting() const { return waiting_; }
  /// Takes the interrupt that waits: its vector. The spurious vector if none does any more.
  std::uint8_t acknowledge();

  /// CR8: bits 7:4 of the task priority. Higher bits of `priority_class` are dropped.
  [[nodiscard]] std::uint8_t task_priority() const { return state_.task_priority >> 4; }
  void set_task_priority(std::uint8_t priority_class);

  [[nodiscard]] bool enabled() const { return state_.base.get(apic::Base::kEn) != 0; }
  [[nodiscard]] bool x2apic_mode() const { return state_.base.get(apic::Base::kExtd) != 0; }
  [[nodiscard]] bool is_bootstrap() const { return state_.base.get(apic::Base::kBsp) != 0; }
  /// True if `physical` is in the page of an APIC in xAPIC mode.
  [[nodiscard]] bool decodes(std::uint64_t physical) const {
    return enabled() && !x2apic_mode() && physical >> 12 == state_.base.get(apic::Base::kAddress);
  }

  /// IA32_APIC_BASE, IA32_TSC_DEADLINE and 0x800..0x8ff; not_mine() for any other.
  Access read_msr(MsrIndex msr);
  Access write_msr(MsrIndex msr, std::uint64_t value);

  /// `offset` counts from the start of the page; only its low 12 bits are looked at.
  std::uint64_t read_mmio(std::uint64_t offset, unsigned bytes) override;
  void write_mmio(std::uint64_t offset, unsigned bytes, std::uint64_t value) override;

  /// The guest's TSC is now this much ahead of machine time.
  void set_tsc_offset(std::uint64_t offset) { timer_.set_tsc_offset(offset); }

  /// The delivery modes of LVTPC that are accepted.
  enum class PmiModes : std::uint8_t { kAll, kFixedAndNmi };
  /// A counter overflowed: delivers through LVTPC. `auto_mask` (Intel): sets the LVT mask bit when
  /// the interrupt was accepted.
  PmiOutcome deliver_pmi(bool auto_mask, PmiModes modes = PmiModes::kAll);

  // ---- The wires' side --------------------------------------------------------------------------

  /// The LINT0 (0) and LINT1 (1) pins. LINT0 is where the 8259's output goes.
  void set_lint(unsigned pin, bool high);

  [[nodiscard]] bool software_enabled() const {
    return enabled() && state_.spurious.get(apic::Spurious::kEnable) != 0;
  }
  [[nodiscard]] std::uint8_t processor_priority() const;
  [[nodiscard]] bool is_target_of(const InterruptMessage& message) const;
  /// Takes a message addressed to it; false if it is dropped.
  bool accept(DeliveryMode mode, std::uint8_t vector, bool level_triggered);

  enum LvtIndex : std::uint8_t { kCmci, kTimer, kThermal, kPerformance, kLint0, kLint1, kError };
  static constexpr unsigned kLvtCount = 7;

  struct State {
    apic::Base base;
    std::uint8_t task_priority = 0;
    std::uint8_t logical_id = 0;            ///< xAPIC LDR, bits 31:24
    std::uint8_t destination_format = 0xf;  ///< xAPIC DFR, bits 31:28
    apic::Spurious spurious;
    VectorSet in_service;
    VectorSet trigger_mode;
    VectorSet request;
    std::uint32_t errors_shown = 0;
    std::uint32_t errors_pending = 0;
    apic::Command command;
    std::array<apic::Lvt, kLvtCount> lvt;
    std::array<bool, 2> lint_high{};
    bool ext_int_pending = false;  ///< by message; LINT0 is looked at directly
    ApicTimer::State timer;        ///< only in what save() gives
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const;
  /// The clock must have its time already. Levels of the pins come with it: the wires tell nothing.
  Result<void> restore(const State& state);

 private:
  void on_apic_timer() override;

  [[nodiscard]] bool exists(std::uint32_t offset) const;
  [[nodiscard]] std::uint32_t writable_bits(std::uint32_t offset) const;
  [[nodiscard]] std::uint32_t read_register(std::uint32_t offset) const;
  void write_register(std::uint32_t offset, std::uint32_t value);
  Access read_x2apic(std::uint32_t offset) const;
  Access write_x2apic(std::uint32_t offset, std::uint64_t value);
  /// What IA32_APIC_BASE may have set.
  [[nodiscard]] std::uint64_t base_bits() const;
  Access write_base(std::uint64_t value);

  static int lvt_index(std::uint32_t offset);
  void write_lvt(LvtIndex index, std::uint32_t value);
  void write_spurious(std::uint32_t value);
  bool deliver_lvt(LvtIndex index);
  void drive_lint(unsigned pin);
  void apply_timer_lvt();

  void end_of_interrupt();
  void send_command();
  void send_self(std::uint8_t vector);
  void report_error(std::uint32_t error);

  [[nodiscard]] std::uint32_t id_register() const;
  [[nodiscard]] std::uint32_t version_register() const;
  [[nodiscard]] std::uint32_t logical_register() const;
  [[nodiscard]] std::uint8_t arbitration_priority() const;
  [[nodiscard]] bool ext_int_ready() const;
  /// Works out waiting_ after any change of what it depends on.
  void update();

  Config config_;
  ApicBus& bus_;
  CpuSignals& signals_;
  ExtIntSource* ext_int_;
  ApicTimer timer_;
  State state_;
  bool waiting_ = false;
};

}  // namespace vpmu::machine
