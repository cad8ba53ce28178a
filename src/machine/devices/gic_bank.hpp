// SPDX-License-Identifier: MIT
//
// 32 interrupts of a GIC, as its registers hold them: a redistributor has one bank (SGIs and PPIs),
// the distributor one for each 32 SPIs. One bit of every word belongs to one interrupt.
//
// An interrupt is pending if it is latched, or if it is level-sensitive and its line is high. A
// rising line latches an edge-triggered one; the guest can latch any. Taking it clears the latch: a
// level-sensitive interrupt whose line is still high when it is deactivated is pending again.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "machine/devices/gic_registers.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

/// The most important interrupt that somebody has, if any.
struct GicPending {
  unsigned intid = gic::kSpurious;
  std::uint8_t priority = gic::kIdle;
  std::uint8_t group = 0;

  [[nodiscard]] bool exists() const { return intid != gic::kSpurious; }
  /// Of equals the lower INTID goes first.
  [[nodiscard]] bool is_before(const GicPending& other) const {
    return priority != other.priority ? priority < other.priority : intid < other.intid;
  }
};

/// An access to the registers that have the same places in GICD and in the SGI frame of GICR.
struct GicBankAccess {
  enum class Kind : std::uint8_t {
    kGroup,         ///< IGROUPR
    kSetEnable,     ///< ISENABLER
    kClearEnable,   ///< ICENABLER
    kSetPending,    ///< ISPENDR
    kClearPending,  ///< ICPENDR
    kSetActive,     ///< ISACTIVER
    kClearActive,   ///< ICACTIVER
    kPriority,      ///< IPRIORITYR
    kConfigure,     ///< ICFGR
    kNone,
  };
  Kind kind = Kind::kNone;
  unsigned intid = 0;  ///< the first interrupt that it is about
  unsigned bytes = 4;

  /// kNone for other registers and for sizes they do not have: words, and bytes of priorities.
  static GicBankAccess decode(std::uint64_t offset, unsigned bytes);
};

struct GicBank {
  std::uint32_t group1 = 0;
  std::uint32_t enabled = 0;
  std::uint32_t latched = 0;
  std::uint32_t active = 0;
  std::uint32_t edge = 0;  ///< edge-triggered
  std::uint32_t high = 0;  ///< lines
  std::array<std::uint8_t, 32> priority{};
  friend bool operator==(const GicBank&, const GicBank&) = default;

  [[nodiscard]] std::uint32_t pending() const { return latched | (high & ~edge); }
  /// Those a CPU may be told of, in one of `groups`.
  [[nodiscard]] std::uint32_t deliverable(unsigned groups) const {
    const std::uint32_t of_groups =
        ((groups & 1) != 0 ? ~group1 : 0) | ((groups & 2) != 0 ? group1 : 0);
    return pending() & enabled & ~active & of_groups;
  }

  /// Of the deliverable ones that `admits` (a predicate of the number in the bank) the one that
  /// goes first; `first` is the bank's first INTID.
  template <class Predicate>
  [[nodiscard]] GicPending highest(unsigned groups, unsigned first, Predicate admits) const {
    GicPending best;
    for (std::uint32_t left = deliverable(groups); left != 0; left &= left - 1) {
      const auto number = static_cast<unsigned>(std::countr_zero(left));
      const GicPending candidate{first + number, priority[number],
                                 static_cast<std::uint8_t>(group1 >> number & 1)};
      if (admits(number) && candidate.is_before(best)) best = candidate;
    }
    return best;
  }

  // `number` is the INTID's place in the bank, 0..31.
  void set_line(unsigned number, bool is_high);
  void acknowledge(unsigned number);
  void deactivate(unsigned number) { active &= ~(1U << number); }

  [[nodiscard]] std::uint32_t read(const GicBankAccess& access) const;
  void write(const GicBankAccess& access, std::uint32_t value);

  /// An error if no guest can have brought it about. Those of `always_edge` cannot be configured
  /// and have no line.
  [[nodiscard]] Result<void> check(std::uint32_t always_edge) const;
};

}  // namespace vpmu::machine
