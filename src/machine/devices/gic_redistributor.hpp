// SPDX-License-Identifier: MIT
//
// The redistributor of one vCPU in a GICv3 (Arm IHI 0069): its SGIs and PPIs, and what the
// distributor has for it. Two frames of 64 KiB, RD_base and SGI_base. No LPIs.
//
//  - PPIs can be configured, SGIs are edge-triggered.
//  - While GICR_WAKER.ProcessorSleep is set, as it is after reset, the CPU interface is told
//    nothing; interrupts stay pending.
#pragma once

#include <cstdint>

#include "machine/bus.hpp"
#include "machine/devices/gic_bank.hpp"
#include "machine/devices/interrupt_lines.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

class GicDistributor;
struct GicSgi;

/// A redistributor's CPU interface.
class GicPendingListener {
 public:
  /// What highest_pending() gives may be another one now.
  virtual void on_pending_changed() = 0;

 protected:
  ~GicPendingListener() = default;
};

class GicRedistributor final : public MmioDevice, public InterruptLines {
 public:
  static constexpr std::uint64_t kFirstAddress = 0x080a'0000;
  static constexpr std::uint64_t kLength = 0x2'0000;

  struct Config {
    unsigned index = 0;  ///< of its vCPU: also its affinity (Aff0)
    bool last = true;    ///< there is no redistributor behind it
  };

  /// Registers itself with `distributor`, which must outlive it.
  GicRedistributor(const Config& config, GicDistributor& distributor);
  void add_to(Bus& bus) { bus.add_mmio(kFirstAddress + config_.index * kLength, kLength, *this); }

  /// At set-up. `listener` must outlive the redistributor's use.
  void connect(GicPendingListener& listener) { listener_ = &listener; }

  /// Lines stay as they are.
  void reset();

  [[nodiscard]] unsigned index() const { return config_.index; }

  /// The line of a PPI, by INTID (16..31). Others are ignored.
  void set_line(unsigned intid, bool high) override;

  std::uint64_t read_mmio(std::uint64_t offset, unsigned bytes) override;
  void write_mmio(std::uint64_t offset, unsigned bytes, std::uint64_t value) override;

  // ---- The CPU interface's side -----------------------------------------------------------------

  /// Of all that may interrupt this vCPU and is in one of `groups`.
  [[nodiscard]] GicPending highest_pending(unsigned groups) const;
  /// INTIDs that do not exist are ignored.
  void acknowledge(unsigned intid);
  void deactivate(unsigned intid);
  void send(const GicSgi& sgi);

  // ---- The distributor's side -------------------------------------------------------------------

  void receive(const GicSgi& sgi);
  void changed();

  struct State {
    bool asleep = true;  ///< WAKER.ProcessorSleep
    GicBank bank;
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  /// With the levels of all lines: the wires tell nothing.
  Result<void> restore(const State& state);

 private:
  [[nodiscard]] std::uint64_t type() const;
  [[nodiscard]] std::uint32_t read_register(std::uint64_t offset) const;

  Config config_;
  GicDistributor& distributor_;
  GicPendingListener* listener_ = nullptr;
  State state_;
};

}  // namespace vpmu::machine
