// SPDX-License-Identifier: MIT
//
// Runs a machine instruction by instruction and says which branches it took, by nothing but where
// its vCPUs were before and after each: instructions are decoded here, and interrupts and
// exceptions are recognised by their gates. It asks nobody who records branches.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "machine/machine.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"

namespace vpmu::test {

/// What one instruction was: one that retired.
struct BranchStep {
  enum class Access : std::uint8_t { kNone, kRead, kWrite };

  unsigned vcpu = 0;
  /// Taken, in order: into a handler first, and then by the instruction. Never said to be
  /// mispredicted.
  std::vector<silicon::x86::TakenBranch> branches;
  bool into_handler = false;  ///< the first of them is an interrupt or a fault, no instruction
  bool known = false;         ///< it was looked at: 64-bit code
  /// RDMSR or WRMSR, which has not faulted, and what of.
  Access access = Access::kNone;
  std::uint32_t msr = 0;
  std::uint64_t value = 0;
};

class BranchSteps {
 public:
  /// 64-bit code only is looked at; instructions must lie where they are as long as it runs.
  explicit BranchSteps(machine::Machine& machine);

  /// The next instruction; empty: the guest has ended, or problem() says what cannot be.
  std::optional<BranchStep> step();
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] const std::optional<machine::Outcome>& outcome() const { return outcome_; }

 private:
  struct Instruction {
    enum class Kind : std::uint8_t { kPlain, kRead, kWrite, kBranch, kTrap };
    Kind kind = Kind::kPlain;
    silicon::x86::BranchType type = silicon::x86::BranchType::kOther;
    std::uint8_t length = 0;
    std::uint8_t cycles = 0;  ///< of what handlers begin with; 0: not known
    /// Of direct branches.
    std::optional<std::uint64_t> target{};
  };
  struct Place {
    std::uint64_t rip = 0;
    std::uint64_t retired = 0;
    std::uint64_t rcx = 0, value = 0;  ///< EDX:EAX
    bool decodable = false;
  };

  [[nodiscard]] Place place(unsigned vcpu) const;
  /// Null: nothing that can be decoded.
  const Instruction* at(unsigned vcpu, std::uint64_t rip);
  static Instruction decode(const std::uint8_t* bytes, std::size_t count, std::uint64_t rip);
  /// The handler whose first instruction ends at `rip`.
  std::optional<std::uint64_t> handler_before(unsigned vcpu, std::uint64_t rip);
  [[nodiscard]] silicon::x86::TakenBranch taken(unsigned vcpu, std::uint64_t from, std::uint64_t to,
                                                const Instruction& instruction) const;
  void explain(const Place& before, const Place& after, BranchStep& step);

  machine::Machine& machine_;
  std::vector<Place> places_;
  std::unordered_map<std::uint64_t, Instruction> instructions_;
  std::optional<machine::Outcome> outcome_;
  std::string problem_;
};

}  // namespace vpmu::test
