// SPDX-License-Identifier: MIT
//
// Who has the unit of the Statistical Profiling Extension: the host, or the guest that is entered.
// What of its registers is moved then, and what is waited for, depends on where the hypervisor runs
// (SpeFlavour):
//
//                         VHE                     nVHE                    protected
//   host saved, loaded    9: PMSCR_EL2, not EL1   10: both                11: with PMSNEVFR_EL1
//   guest loaded          10                      10                      11
//   guest saved           8                       8                       9
//   PMSNEVFR_EL1          when scheduled          when scheduled          each time
//   registers may stay    yes                     yes                     no
//
// The buffer of whoever gives the unit up is drained if it is enabled, and only then: a sample that
// is in flight is complete afterwards. PMBLIMITR_EL1 of a guest is never read back, since it
// changes by trapped writes only, and PMBSR_EL1 is 0 while a guest runs, since its interrupt is
// virtual.
//
// A guest whose buffer is off costs nothing, as long as the host has no buffer on either: nobody
// misses its registers then, so they stay in the unit until the vCPU is scheduled out. Not so where
// the host must not see them (protected).
#pragma once

#include <cstdint>
#include <span>

#include "vpmu/base/result.hpp"
#include "vpmu/silicon/arm64/spe_unit.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::virt::arm64 {

enum class SpeFlavour : std::uint8_t {
  kVhe,        ///< the host runs at EL2, and profiles there
  kNvhe,       ///< the host runs at EL1
  kProtected,  ///< the same, and the hypervisor at EL2 does not trust it
};

/// Registers that have been moved, and buffers that have been waited for. Only ever grows.
struct SpeSwitchStatistics {
  std::uint64_t entries = 0, exits = 0;
  std::uint64_t host_saved = 0, host_loaded = 0;    ///< registers
  std::uint64_t guest_saved = 0, guest_loaded = 0;  ///< registers
  std::uint64_t host_drains = 0, guest_drains = 0;

  [[nodiscard]] std::uint64_t moves() const {
    return host_saved + host_loaded + guest_saved + guest_loaded;
  }
  [[nodiscard]] std::uint64_t drains() const { return host_drains + guest_drains; }

  friend bool operator==(const SpeSwitchStatistics&, const SpeSwitchStatistics&) = default;
};

/// Which registers a flavour moves.
struct SpeSwitchPlan {
  using Registers = std::span<const silicon::arm64::SystemRegister>;

  Registers host;         ///< saved before a guest's are loaded, and loaded behind it
  Registers guest_loads;  ///< but for the buffer's
  Registers guest_saves;  ///< but for the buffer's
  bool stays = false;     ///< a guest's registers may stay where they disturb nobody
};
/// `version`: as SpeModel's.
SpeSwitchPlan switch_plan(SpeFlavour flavour, std::uint8_t version);

class SpeWorldSwitch {
 public:
  /// `guest`: what a guest has while the unit does not have it, as registers of a unit that never
  /// runs; `host`: the same of the host. All must outlive it.
  SpeWorldSwitch(SpeFlavour flavour, silicon::arm64::SpeUnit& unit, silicon::arm64::SpeUnit& guest,
                 silicon::arm64::SpeUnit& host);

  /// The guest gets the unit. Its buffer is enabled there if `buffer`, by PMBLIMITR_EL1.E.
  void enter(bool buffer, const silicon::arm64::SpeOwner& owner);
  /// The guest has left; what it has of its buffer is saved. True: a buffer management event of the
  /// unit's has come, and PMBSR_EL1 of `guest` is what the unit says of it.
  bool exit();
  /// A guest runs that gets nothing of the unit: only the host's sampling is stopped meanwhile.
  void enter_without();
  void exit_without();
  /// Someone else is to have the unit, if only later: the host's registers are put back. Outside
  /// of the guest.
  void give_back();

  /// What the guest has of this register is in the unit, and not in `guest`.
  [[nodiscard]] bool holds(silicon::arm64::SystemRegister which) const;
  /// PMBSR_EL1 of the guest, were it to leave while the unit's is `units`. Collisions are never
  /// forgotten; what else a unit has to say of its buffer comes with S.
  [[nodiscard]] std::uint64_t syndrome_with(std::uint64_t units) const;
  [[nodiscard]] const SpeSwitchStatistics& statistics() const { return statistics_; }

  /// Where everything is.
  struct Place {
    bool controls = false;         ///< PMS* of the guest
    bool inverted_filter = false;  ///< its PMSNEVFR_EL1
    bool buffer = false;           ///< PMB* of the guest, enabled
    bool host_stopped = false;     ///< the host's PMSCR is saved, and the unit has 0

    friend bool operator==(const Place&, const Place&) = default;
  };
  [[nodiscard]] const Place& place() const { return place_; }
  /// What a saved guest had in its unit, `state` by then, is to be there again, and nothing of it
  /// counts as a move. Fresh. The error says what the unit cannot hold; nothing has changed then.
  Result<void> restore(const Place& place, const SpeSwitchStatistics& statistics,
                       const silicon::arm64::SpeUnitState& state,
                       const silicon::arm64::SpeOwner& owner);

 private:
  using SpeUnit = silicon::arm64::SpeUnit;

  static constexpr std::uint64_t kBufferLoads = 3;  ///< PMBPTR, PMBSR, PMBLIMITR
  static constexpr std::uint64_t kBufferSaves = 2;  ///< without PMBLIMITR

  void load_controls(const silicon::arm64::SpeOwner& owner);
  void give_back_controls();
  void drain(std::uint64_t& count);
  [[nodiscard]] bool host_profiles() const;
  static void move(SpeSwitchPlan::Registers registers, const SpeUnit& from, SpeUnit& to,
                   std::uint64_t& count);

  const SpeSwitchPlan plan_;
  const bool has_inverted_filter_;
  SpeUnit& unit_;
  SpeUnit& guest_;
  SpeUnit& host_;
  silicon::arm64::SpeOwner host_owner_;
  Place place_;
  SpeSwitchStatistics statistics_;
};

}  // namespace vpmu::virt::arm64
