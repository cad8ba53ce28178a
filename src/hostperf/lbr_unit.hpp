// SPDX-License-Identifier: MIT
//
// The last branch records of one host CPU and whose they are at the moment. Handing the unit on is
// all there is to their isolation: the next owner finds what was put away for it, or nothing.
//
// What a context switch costs is counted in registers, as a host that must read and write each of
// them would.
#pragma once

#include <cstdint>

#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"

namespace vpmu::hostperf {

/// Registers that wait for their owner to have a unit again.
struct LbrRecords {
  silicon::x86::LbrState state{};
  bool valid = false;  ///< else the owner starts with all clear
  bool exact = false;  ///< nothing of the unit was left out
  /// Of the last time that something was put away. Never goes back, so that a unit knows whether it
  /// holds the latest.
  std::uint64_t log_id = 0;

  /// Somebody says what the owner will find, and what a unit may still hold is not it.
  void set(const silicon::x86::LbrState& registers) {
    state = registers;
    valid = true;
    exact = false;
    ++log_id;
  }
};

struct LbrOwner {
  enum class Kind : std::uint8_t {
    kNobody,
    kGuest,        ///< a task's guest: what is in the unit is always kept
    kGuestsOfCpu,  ///< whatever guest is on the CPU: kept for none
    kCallStack,    ///< events of one task: kept when the task leaves
    kHost,         ///< other events of the host
  };
  Kind kind = Kind::kNobody;
  LbrRecords* records = nullptr;  ///< null for kNobody and kHost
  std::uint64_t filter = 0;       ///< kCallStack, kHost: LBR_SELECT or IA32_LBR_CTL
  std::uint64_t audience = 0;     ///< kHost: a bit for each event that reads

  friend bool operator==(const LbrOwner&, const LbrOwner&) = default;
};

class LbrUnit {
 public:
  explicit LbrUnit(const silicon::x86::LbrModel& model) : stack_{model} {}

  [[nodiscard]] silicon::x86::LbrStack& stack() { return stack_; }
  [[nodiscard]] bool owned() const { return owner_.kind != LbrOwner::Kind::kNobody; }
  [[nodiscard]] const LbrSwitches& switches() const { return switches_; }

  /// `to` has the unit from now on. `switched`: another task is on the CPU than before, or none.
  /// `cycle`: what the task that is on it has run.
  void hand_over(const LbrOwner& to, bool switched, std::uint64_t cycle);

 private:
  using State = silicon::x86::LbrState;

  /// True: its records wait for the owner.
  bool put_away(bool switched);
  void save(LbrRecords& to);
  void put_back(LbrRecords& from);
  void clear(std::uint64_t filter, std::uint64_t cycle);
  [[nodiscard]] bool still_holds(const LbrRecords& records) const;
  /// Registers that belong to that many records, and the two that say how they are kept.
  [[nodiscard]] unsigned msrs(unsigned records) const {
    return records * (stack_.model().has_info() ? 3 : 2) + 2;
  }

  silicon::x86::LbrStack stack_;
  LbrOwner owner_;
  /// What was last put away from here, if nobody has used the unit since.
  const LbrRecords* last_ = nullptr;
  std::uint64_t last_log_id_ = 0;
  LbrSwitches switches_;
};

}  // namespace vpmu::hostperf
