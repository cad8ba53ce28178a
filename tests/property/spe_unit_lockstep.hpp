// SPDX-License-Identifier: MIT
//
// silicon::arm64::SpeUnit, driven as a CPU drives it, and the reference, one operation at a time,
// in lockstep.
//
// Beside the reference, these hold at all times: nothing is written below where PMBPTR_EL1 was when
// software last wrote it, at or above LIMIT, or while PMBSR_EL1.S is set; every write starts at
// PMBPTR_EL1; looking ahead changes nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "property/choices.hpp"
#include "property/reference_spe_unit.hpp"
#include "property/spe_pages.hpp"
#include "vpmu/silicon/arm64/spe_unit.hpp"

namespace vpmu::property {

struct SpeUnitSetup {
  std::string name;
  silicon::arm64::SpeModel model;
};

std::span<const SpeUnitSetup> spe_unit_setups();

struct SpeUnitOperation {
  enum class Kind : std::uint8_t {
    kRead,     ///< which
    kWrite,    ///< which, value
    kStart,    ///< as a driver does; value: PMBPTR_EL1; which: whole pages behind; flag: RND
    kRetire,   ///< value: so many of `operation`; flag: unknown when selected
    kOwner,    ///< value: PMSCR_EL2, and what else there is of EL2
    kPage,     ///< which: of the pages; value: SpePages::Page
    kMove,     ///< save() and restore() onto another; value: the generator goes on there, if not 0
    kDamaged,  ///< restore() of a state with bit `value` of word `which` changed
    kReset,
  };
  Kind kind;
  bool flag = false;
  std::uint8_t which = 0;  ///< of registers: CRm and op2, as 0x90
  std::uint64_t value = 0;
  silicon::arm64::SpeOperation operation{};
};

SpeUnitOperation draw_operation(Choices& choices, const SpeUnitSetup& setup);
std::string describe(const SpeUnitOperation& operation);

class SpeUnitLockstep {
 public:
  using Setup = SpeUnitSetup;
  using Operation = SpeUnitOperation;

  explicit SpeUnitLockstep(const Setup& setup);

  std::optional<std::string> step(const Operation& operation);
  std::optional<std::string> compare_all();
  std::optional<std::string> finish() { return compare_all(); }

 private:
  std::optional<std::string> access(const Operation& operation);
  std::optional<std::string> start(const Operation& operation);
  std::optional<std::string> retire(const Operation& operation);
  std::optional<std::string> retire_unselected(const Operation& operation, std::uint64_t count);
  std::optional<std::string> retire_selected(const Operation& operation);
  std::optional<std::string> look_ahead(std::uint64_t& next) const;
  std::optional<std::string> check_write(const silicon::arm64::SpeUnitState& before);
  std::optional<std::string> move(std::uint64_t random);
  std::optional<std::string> restore_damaged(const Operation& operation);
  [[nodiscard]] std::optional<std::string> compare_outside() const;

  const Setup& setup_;
  SpePages pages_;
  std::unique_ptr<silicon::arm64::SpeUnit> unit_;
  ReferenceSpeUnit reference_;
  std::uint64_t first_ = 0;  ///< PMBPTR_EL1 as software wrote it last
};

}  // namespace vpmu::property
