// SPDX-License-Identifier: MIT
//
// The machine of a guest whose architecture is known when it runs: what is the same for all is
// asked of the machine itself, the rest of whichever of the two it is.
#pragma once

#include <memory>
#include <utility>

#include "machine/arm64_board/machine.hpp"
#include "machine/guest_machine.hpp"
#include "machine/machine.hpp"

namespace vpmu::cli {

/// A machine of somebody else's. Implicit: wherever a machine is asked for, either will do.
class AnyMachine {
 public:
  /// None: only to be assigned to.
  AnyMachine() = default;
  AnyMachine(machine::Machine& pc) : machine_{&pc}, pc_{&pc} {}
  AnyMachine(machine::arm64::Machine& arm64) : machine_{&arm64}, arm64_{&arm64} {}

  machine::GuestMachine& operator*() const { return *machine_; }
  machine::GuestMachine* operator->() const { return machine_; }

  /// Null: it is the other one.
  [[nodiscard]] machine::Machine* pc() const { return pc_; }
  [[nodiscard]] machine::arm64::Machine* arm64() const { return arm64_; }

 private:
  machine::GuestMachine* machine_ = nullptr;
  machine::Machine* pc_ = nullptr;
  machine::arm64::Machine* arm64_ = nullptr;
};

/// Calls `function` with whichever machine it is, by its own type.
template <class Function>
void visit(const AnyMachine& machine, Function function) {
  if (machine.pc() != nullptr) {
    function(*machine.pc());
  } else {
    function(*machine.arm64());
  }
}

/// One's own.
class OwnedMachine {
 public:
  OwnedMachine() = default;
  template <class Machine>
  OwnedMachine(std::unique_ptr<Machine> machine) : any_{*machine}, owned_{std::move(machine)} {}

  [[nodiscard]] const AnyMachine& any() const { return any_; }

 private:
  AnyMachine any_;
  std::unique_ptr<machine::GuestMachine> owned_;
};

}  // namespace vpmu::cli
