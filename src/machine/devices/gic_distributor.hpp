// SPDX-License-Identifier: MIT
//
// The distributor of a GICv3 (Arm IHI 0069): one security state (GICD_CTLR.DS is 1), affinity
// routing only, 256 SPIs, no message-based interrupts and no LPIs. What the manual leaves open:
//
//  - An SPI goes to the one vCPU that its IROUTER names; "1 of N" is not offered (TYPER.No1N). An
//    affinity that nobody has reaches nobody.
//  - ICC_SGI1R makes an SGI pending whatever its group is, ICC_SGI0R and ICC_ASGI1R only one of
//    group 0: with one security state there is no other group 1.
//  - Accesses of a size that a register does not have read 0 and write nothing. IROUTER can be
//    accessed in halves, priorities byte by byte.
//
// Deterministic: of equal priorities the lowest INTID goes first.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "machine/bus.hpp"
#include "machine/devices/gic_bank.hpp"
#include "machine/devices/gic_registers.hpp"
#include "machine/devices/interrupt_lines.hpp"
#include "vpmu/base/register.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

class GicRedistributor;

/// What a write to ICC_SGI1R, ICC_ASGI1R or ICC_SGI0R asks for.
struct GicSgi {
  unsigned intid = 0;          ///< 0..15
  std::uint16_t targets = 0;   ///< bit per vCPU
  bool to_all_others = false;  ///< ICC_SGI1R.IRM: all but the sender, whatever `targets` is
  bool group0_only = false;
};

class GicDistributor final : public MmioDevice, public InterruptLines {
 public:
  static constexpr std::uint64_t kAddress = 0x0800'0000;
  static constexpr std::uint64_t kLength = 0x1'0000;

  GicDistributor() { reset(); }
  void add_to(Bus& bus) { bus.add_mmio(kAddress, kLength, *this); }

  /// At set-up, by each redistributor, in the order of vCPUs. It must outlive the distributor's
  /// use.
  void add(GicRedistributor& redistributor) { redistributors_.push_back(&redistributor); }

  /// Lines stay as they are.
  void reset();

  /// The line of an SPI, by INTID. Those that do not exist are ignored.
  void set_line(unsigned intid, bool high) override;

  std::uint64_t read_mmio(std::uint64_t offset, unsigned bytes) override;
  void write_mmio(std::uint64_t offset, unsigned bytes, std::uint64_t value) override;

  // ---- The redistributors' side -----------------------------------------------------------------

  [[nodiscard]] unsigned enabled_groups() const;
  /// Of the SPIs that go to the vCPU of this affinity and are in one of `groups`.
  [[nodiscard]] GicPending highest_pending(std::uint32_t affinity, unsigned groups) const;
  /// SPIs; others are ignored.
  void acknowledge(unsigned intid);
  void deactivate(unsigned intid);
  void send(const GicSgi& sgi, const GicRedistributor& sender);

  struct Control : Register<std::uint32_t> {  // GICD_CTLR with one security state
    static constexpr Field<0> kEnableGrp0{};
    static constexpr Field<1> kEnableGrp1{};
    static constexpr Field<4> kAre{};
    static constexpr Field<6> kDs{};
    static constexpr std::uint32_t kWritable = mask_of(kEnableGrp0, kEnableGrp1);
    static constexpr std::uint32_t kFixed = mask_of(kAre, kDs);
  };

  struct State {
    Control control{Control::kFixed};
    std::array<GicBank, gic::kSpis / 32> banks{};
    std::array<std::uint32_t, gic::kSpis> route{};  ///< IROUTER: Aff2, Aff1 and Aff0
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State save() const { return state_; }
  /// With the levels of all lines: the wires tell nothing.
  Result<void> restore(const State& state);

 private:
  [[nodiscard]] GicBank* bank_of(unsigned intid);
  [[nodiscard]] std::uint32_t read_register(std::uint64_t offset) const;
  [[nodiscard]] std::uint64_t read_route(std::uint64_t offset, unsigned bytes) const;
  void write_route(std::uint64_t offset, unsigned bytes, std::uint64_t value);
  void changed();

  std::vector<GicRedistributor*> redistributors_;
  State state_;
};

}  // namespace vpmu::machine
