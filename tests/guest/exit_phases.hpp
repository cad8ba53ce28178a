// SPDX-License-Identifier: MIT
//
// What a guest's steps cost: guests/x86/pv/exit_table.c marks them on a port that this listens to,
// and every mark looks at the vCPU's exits and cycles. Used by tests and by benchmarks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "guests/x86/pv/exit_phases.h"
#include "machine/machine.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/virt/exit_stats.hpp"

namespace vpmu::test {

/// Of all that a guest did between two marks, but for the marks.
struct PhaseUse {
  virt::ExitStats::State exits{};  ///< by virt::ExitReason
  std::uint64_t guest_cycles = 0;  ///< that the guest itself has taken
  unsigned times = 0;              ///< the guest has been in it

  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] std::uint64_t count(virt::ExitReason reason) const {
    return exits[static_cast<std::size_t>(reason)];
  }
  /// In core cycles: what the exits would have cost on hardware (virt::modelled_cost()).
  [[nodiscard]] std::uint64_t exit_cycles() const;
  [[nodiscard]] std::uint64_t cycles() const { return guest_cycles + exit_cycles(); }
  PhaseUse& operator+=(const PhaseUse& other);
};
using PhaseUses = std::array<PhaseUse, PHASES>;

/// The port. Must outlive the machine.
class ExitPhases final : public machine::PortDevice {
 public:
  /// From now on the marks of the machine's first vCPU are noted. Once, before it runs.
  void listen(machine::Machine& machine);
  /// What the guest's empty phase took is taken off.
  [[nodiscard]] PhaseUses uses() const;

 private:
  std::uint32_t read_port(std::uint16_t port, unsigned bytes) override;
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) override;

  machine::Vcpu* vcpu_ = nullptr;
  exit_phase phase_ = PHASE_NONE;
  virt::ExitStats::State exits_{};  ///< when the phase began
  std::uint64_t cycles_ = 0;
  PhaseUses uses_{};
};

struct ExitColumn {
  PhaseUses uses{};
  std::string output;  ///< the guest's

  [[nodiscard]] const PhaseUse& operator[](exit_phase phase) const {
    return uses[static_cast<std::size_t>(phase)];
  }
  /// Configure, start, one read, stop, final read, destroy.
  [[nodiscard]] PhaseUse perf_stat() const;
};
/// Runs the guest `image` with that column on its command line. Fails if the guest finds something
/// wrong.
Result<ExitColumn> run_exit_column(const std::string& image, const std::string& column,
                                   const machine::MachineConfig& config);

}  // namespace vpmu::test
