// SPDX-License-Identifier: MIT
//
// Two vCPUs' last branch records on a modelled host of one or two CPUs, whose own events come and
// go, in lockstep with what must hold at any time:
//
//   * what a guest reads is what it wrote and what its own branches left, or 0 while the host has
//     the unit; nothing that only the host may see;
//   * registers are passed through if and only if the guest's event is active, all of them and no
//     others;
//   * a guest gets its whole history back: after a loss, a release, a migration;
//   * an event is open if and only if the guest uses its records, and none is forgotten;
//   * an event of the host is given the branches that it asked for, of the time when it was active;
//   * the statistics add up.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "property/guest_lbr_setups.hpp"
#include "property/lbr_guest.hpp"
#include "property/lbr_host_events.hpp"
#include "property/lbr_operations.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"

namespace vpmu::property {

class LbrLockstep {
 public:
  using Setup = GuestLbrSetup;
  using Operation = LbrOperation;
  using Difference = std::optional<std::string>;

  explicit LbrLockstep(const GuestLbrSetup& setup);
  ~LbrLockstep();
  LbrLockstep(const LbrLockstep&) = delete;
  LbrLockstep& operator=(const LbrLockstep&) = delete;

  /// A text if something differs from what it must be.
  Difference step(const LbrOperation& operation);
  /// Compares everything that can be read.
  Difference compare_all();
  /// Resets both vCPUs; to be called last.
  Difference finish();

 private:
  static constexpr unsigned kVcpus = 2;

  class Clock final : public hostperf::HostClock {
   public:
    [[nodiscard]] std::uint64_t machine_time() const override { return now; }
    std::uint64_t now = 0;
  };

  /// With vCPU n on CPU n, as far as there are so many.
  void make_host(unsigned cpus);
  Difference do_to_guest(const LbrOperation& operation);
  Difference do_to_host(const LbrOperation& operation);
  /// Puts it onto a host CPU unless it is on one.
  LbrGuest& running(unsigned vcpu);
  void switch_in(unsigned vcpu, unsigned cpu);
  void switch_out(unsigned vcpu);
  Difference branches(unsigned vcpu, const LbrOperation& operation);
  void host_branches(unsigned cpu, const LbrOperation& operation);
  Difference migrate(unsigned cpus);

  const GuestLbrSetup& setup_;
  Clock clock_;
  std::array<std::unique_ptr<LbrGuest>, kVcpus> guests_;
  std::unique_ptr<hostperf::ModelledHostPerf> perf_;
  std::unique_ptr<LbrHostEvents> host_;
  std::uint32_t branches_ = 0;
};

}  // namespace vpmu::property
