// SPDX-License-Identifier: MIT
//
// The registers that whoever runs the instructions holds, between two instructions: emulate() and
// take() see them through this. The engine implements it over its code generator, tests over a
// plain struct.
#pragma once

#include <cstdint>

namespace vpmu::machine::arm64 {

class Registers {
 public:
  /// x0 to x30: `n` is below 31.
  [[nodiscard]] virtual std::uint64_t x(unsigned n) const = 0;
  virtual void set_x(unsigned n, std::uint64_t value) = 0;
  /// The stack pointer in use, as PSTATE.SP and the exception level select it. The others are in
  /// Core::sp_el.
  [[nodiscard]] virtual std::uint64_t sp() const = 0;
  virtual void set_sp(std::uint64_t value) = 0;
  [[nodiscard]] virtual std::uint64_t pc() const = 0;
  virtual void set_pc(std::uint64_t value) = 0;
  /// The condition flags in bits 31:28, the others zero.
  [[nodiscard]] virtual std::uint32_t nzcv() const = 0;
  virtual void set_nzcv(std::uint32_t value) = 0;
  /// The local exclusive monitor forgets: exceptions, exception returns.
  virtual void clear_exclusive() = 0;

  /// As operands of most instructions: register 31 is zero, and writes to it are lost.
  [[nodiscard]] std::uint64_t read(unsigned n) const { return n < 31 ? x(n) : 0; }
  void write(unsigned n, std::uint64_t value) {
    if (n < 31) set_x(n, value);
  }
  /// As base registers: register 31 is the stack pointer.
  [[nodiscard]] std::uint64_t read_base(unsigned n) const { return n < 31 ? x(n) : sp(); }
  void write_base(unsigned n, std::uint64_t value) {
    if (n < 31) {
      set_x(n, value);
    } else {
      set_sp(value);
    }
  }

 protected:
  ~Registers() = default;
};

}  // namespace vpmu::machine::arm64
