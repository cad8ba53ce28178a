// SPDX-License-Identifier: MIT
//
// silicon::x86::LbrStack and the reference, in lockstep: software accesses registers, branches
// retire, the state is saved and goes on in another stack.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "property/choices.hpp"
#include "property/lbr_setups.hpp"
#include "property/reference_lbr.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"

namespace vpmu::property {

struct LbrStackOperation {
  enum class Kind : std::uint8_t {
    kRead,    ///< where: MSR
    kWrite,   ///< where: MSR; value
    kRetire,  ///< where: branch, as draw_branch() gives it
    kCycle,   ///< another vCPU goes on: value cycles later, or, unknown to the unit, earlier
    kMove,    ///< save() and restore() onto another
    kDamage,  ///< restore() of a state with one field XORed: where: which; value
    kReset,
  };
  Kind kind;
  std::uint32_t where = 0;
  std::uint64_t value = 0;
};

LbrStackOperation draw_operation(Choices& choices, const LbrSetup& setup);
std::string describe(const LbrStackOperation& operation);

class LbrStackLockstep {
 public:
  using Setup = LbrSetup;
  using Operation = LbrStackOperation;

  explicit LbrStackLockstep(const LbrSetup& setup);

  std::optional<std::string> step(const LbrStackOperation& operation);
  /// Every register, every record by age, what record() looks at, and the state as a whole.
  std::optional<std::string> compare_all() const;
  std::optional<std::string> finish();

 private:
  std::optional<std::string> access(const LbrStackOperation& operation);
  std::optional<std::string> retire(std::uint32_t drawn);
  std::optional<std::string> move(const silicon::x86::LbrState& state);
  std::optional<std::string> damage(const LbrStackOperation& operation);
  [[nodiscard]] std::optional<std::string> compare_registers() const;
  [[nodiscard]] std::optional<std::string> compare_filter() const;

  const LbrSetup& setup_;
  std::unique_ptr<silicon::x86::LbrStack> stack_;
  ReferenceLbr reference_;
  const std::vector<std::uint32_t> registers_;
  std::uint64_t cycle_ = 0;
  std::uint32_t branches_ = 0;
};

}  // namespace vpmu::property
