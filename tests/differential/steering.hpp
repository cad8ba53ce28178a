// SPDX-License-Identifier: MIT
//
// Makes an instruction safe to run natively: chooses the input registers that its addresses are
// made of (or rewrites its displacement), so that it touches nothing but the window, and the values
// that it jumps to. Keeps track, over a sequence, of which registers are spoken for.
#pragma once

#include <cstdint>

#include "decoded.hpp"
#include "encode.hpp"
#include "random.hpp"
#include "test_case.hpp"

namespace vpmu::differential {

/// True if it writes x87 instruction pointers to memory, which nothing may read then.
bool saves_pointers(const Decoded& decoded);

class Steering {
 public:
  /// `alone`: the case has one instruction; addresses may be wilder then.
  Steering(Random& random, TestCase& test, bool alone)
      : random_{random}, test_{test}, alone_{alone} {}

  /// Prepares `test` for `decoded` (whose encoding is `bytes`, at address `rip`), behind the
  /// instructions accepted so far. False: it does not fit there; nothing that matters has changed.
  bool accept(const Decoded& decoded, Bytes& bytes, std::uint64_t rip);

  /// True if what was accepted may run several times over.
  [[nodiscard]] bool repeatable() const { return (pinned_ & clobbered_) == 0 && !control_; }
  /// A register that nothing uses for an address or writes, with `value` as its input; -1: none.
  int claim(std::uint64_t value);

 private:
  bool place(const Decoded& decoded, const ZydisDecodedOperand& operand, Bytes& bytes,
             std::uint64_t rip);
  bool place_implicit(const Decoded& decoded);
  std::uint64_t choose_target(std::uint64_t bytes, bool plain);
  void fill_target(const Decoded& decoded, std::uint64_t address, std::uint64_t bytes);
  bool set(int gpr, std::uint64_t value);
  [[nodiscard]] bool is_free(int gpr) const { return ((pinned_ | clobbered_) >> gpr & 1) == 0; }
  [[nodiscard]] std::uint64_t code_target();

  Random& random_;
  TestCase& test_;
  bool alone_;
  bool frozen_ = false;          ///< memory holds a value that must stay
  bool moved_ = false;           ///< RSP, RSI or RDI may have moved a little
  bool placed_ = false;          ///< the instruction has had a memory operand placed
  bool stored_ = false;          ///< memory may have changed since the start
  bool control_ = false;         ///< something depends on a jump target in memory or a register
  std::uint32_t pinned_ = 0;     ///< registers whose input value matters to an address
  std::uint32_t clobbered_ = 0;  ///< registers that do not hold their input value any more
};

}  // namespace vpmu::differential
