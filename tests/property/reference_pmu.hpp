// SPDX-License-Identifier: MIT
//
// A virtual PMU that is slow and obviously right: what virt::x86::Pmu is compared with. It has no
// host events, defers nothing and keeps nothing that could be worked out: every counter is
// incremented one by one, every register is an if-chain with the rule it follows beside it. Tables
// and pitfalls (P1 ...) are those of the x86 PMU specification that docs/counting.md sums up.
//
// Where a specification leaves room, it does as KVM does; the other choices, each at its rule, are:
//   * An instruction is the unit of time. All it counts is counted before a PMI that one of its
//     counts caused is raised and freezes anything.
//   * EDGE sees a condition become true if it was false in the cycle before, or if there was no
//     cycle before in which the counter counted that.
//   * IN_TX counts nothing and IN_TXCP everything: no transaction ever begins.
//   * A register that this configuration lacks is "absent": somebody answers with #GP, the PMU or
//     whoever is asked after it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "vpmu/base/access.hpp"
#include "vpmu/silicon/raw_event.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/event_gate.hpp"
#include "vpmu/virt/x86/pmu_config.hpp"

namespace vpmu::property {

/// What an access must give.
struct Answer {
  enum class Kind : std::uint8_t {
    kDone,    ///< with `value`, for reads
    kFault,   ///< #GP
    kAbsent,  ///< a PMU register that the guest does not have: #GP, or not mine
    kOther,   ///< no register of performance monitoring: not mine
  };
  Kind kind = Kind::kDone;
  std::uint64_t value = 0;
};

/// What one instruction counts, by raw event.
using Counts = std::array<std::uint16_t, silicon::kNamedRawEventCount>;

class ReferencePmu {
 public:
  enum class State : std::uint8_t { kOff, kDenied, kUnsupported, kCounting };

  /// `conditions`: whether the host can count conditions on cycles.
  ReferencePmu(const virt::x86::PmuConfig& config, const silicon::x86::CpuModel& silicon,
               bool conditions);

  Answer read_msr(std::uint32_t msr, Initiator initiator);
  Answer write_msr(std::uint32_t msr, std::uint64_t value, Initiator initiator);
  [[nodiscard]] Answer rdpmc(std::uint32_t ecx, bool may_read);
  void adjust_cpuid(std::uint32_t leaf, silicon::x86::CpuidResult& result) const;

  /// One instruction retires.
  void retire(silicon::Privilege privilege, const Counts& counts);
  /// The hypervisor completes one instruction for the guest.
  void emulated(bool branch, silicon::Privilege privilege);
  /// The guest goes on: a pending PMI is raised. True if there was one.
  bool enter();
  /// A time slice of the guest begins.
  void scheduled_in() { ran_ = true; }
  /// RESET. What set_svm() and set_gate() said stays.
  void reset();
  /// The guest goes on elsewhere: conditions on cycles are false before its next cycle.
  void moved();

  void set_svm(bool svme, bool guest_mode);
  /// Null: everything may be counted.
  void set_gate(const virt::x86::EventGate* gate) { gate_ = gate; }

  [[nodiscard]] unsigned gp_counters() const { return n_; }
  [[nodiscard]] unsigned fixed_counters() const { return m_; }
  [[nodiscard]] State gp_state(unsigned i) const;
  [[nodiscard]] State fixed_state(unsigned k) const;
  [[nodiscard]] std::uint64_t gp_value(unsigned i) const { return gp_[i]; }
  [[nodiscard]] std::uint64_t fixed_value(unsigned k) const { return fixed_[k]; }
  /// Bits that counters and status can have.
  [[nodiscard]] std::uint64_t possible_bits() const;
  [[nodiscard]] std::uint64_t debug_control() const { return debug_control_; }
  [[nodiscard]] std::uint64_t global_status() const { return global_status_; }
  [[nodiscard]] std::uint64_t overflows() const { return overflows_; }

 private:
  [[nodiscard]] bool intel() const { return config_.vendor == silicon::x86::Vendor::kIntel; }
  [[nodiscard]] bool has_global_registers() const { return config_.version > 1; }
  [[nodiscard]] bool has_any_thread() const;
  [[nodiscard]] std::uint64_t gp_mask() const;
  [[nodiscard]] std::uint64_t fixed_mask() const;
  [[nodiscard]] std::uint64_t counter_bits() const;
  [[nodiscard]] std::uint64_t status_valid() const;
  [[nodiscard]] std::uint64_t in_use() const;
  [[nodiscard]] std::uint64_t reset_misc_enable() const;
  [[nodiscard]] std::uint64_t valid_debug_control() const;

  Answer access_intel(std::uint32_t msr, const std::uint64_t* written, Initiator initiator);
  Answer access_amd(std::uint32_t msr, const std::uint64_t* written, Initiator initiator);
  Answer access(std::uint32_t msr, const std::uint64_t* written, Initiator initiator);
  Answer misc_enable(const std::uint64_t* written, Initiator initiator);
  Answer debug_control(const std::uint64_t* written);
  Answer perf_capabilities(const std::uint64_t* written, Initiator initiator);
  void write_select(unsigned i, std::uint64_t value);
  Answer event_select_intel(unsigned i, const std::uint64_t* written);
  Answer event_select_amd(unsigned i, const std::uint64_t* written);
  Answer counter_amd(unsigned i, const std::uint64_t* written);

  [[nodiscard]] bool frozen() const;
  [[nodiscard]] bool svm_allows(std::uint64_t select) const;
  [[nodiscard]] bool gp_enabled(unsigned i) const;
  [[nodiscard]] bool fixed_enabled(unsigned k) const;
  [[nodiscard]] bool gp_allowed(unsigned i) const;
  [[nodiscard]] bool fixed_allowed(unsigned k) const;
  [[nodiscard]] bool gp_at(unsigned i, silicon::Privilege privilege) const;
  [[nodiscard]] bool fixed_at(unsigned k, silicon::Privilege privilege) const;
  [[nodiscard]] silicon::x86::EventSelector gp_selector(unsigned i) const;
  [[nodiscard]] std::optional<silicon::RawEvent> gp_event(unsigned i) const;
  [[nodiscard]] std::optional<silicon::RawEvent> fixed_event(unsigned k) const;
  [[nodiscard]] bool conditional(unsigned i) const;
  [[nodiscard]] unsigned gp_counts(unsigned i, silicon::Privilege privilege, const Counts& counts);
  [[nodiscard]] unsigned condition_counts(unsigned i, silicon::Privilege privilege,
                                          unsigned occurrences, unsigned cycles);
  void increment_gp(unsigned i);
  void increment_fixed(unsigned k);

  const virt::x86::PmuConfig config_;
  const silicon::x86::CpuModel& silicon_;
  const bool conditions_;
  unsigned n_ = 0;
  unsigned m_ = 0;

  std::vector<std::uint64_t> gp_;
  std::vector<std::uint64_t> fixed_;
  std::vector<std::uint64_t> select_;
  /// Whether the condition of CMASK, INV and EDGE was true in the last cycle.
  std::vector<bool> was_true_;
  std::uint64_t fixed_control_ = 0;
  std::uint64_t global_control_ = 0;
  std::uint64_t global_status_ = 0;
  std::uint64_t misc_enable_ = 0;
  std::uint64_t debug_control_ = 0;
  std::uint64_t perf_capabilities_ = 0;
  bool ran_ = false;  ///< the guest may have seen IA32_PERF_CAPABILITIES
  bool pmi_pending_ = false;

  bool svme_ = false;
  bool svm_guest_ = false;
  const virt::x86::EventGate* gate_ = nullptr;
  std::uint64_t overflows_ = 0;
};

}  // namespace vpmu::property
