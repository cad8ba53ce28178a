// SPDX-License-Identifier: MIT
//
// Registers without a CPU: operands are computed from them.
#pragma once

#include <array>
#include <cstdint>

#include "machine/arm64/registers.hpp"

namespace vpmu::machine::arm64 {

class PlainRegisters final : public Registers {
 public:
  PlainRegisters() = default;
  explicit PlainRegisters(const Registers& from)
      : sp_{from.sp()}, pc_{from.pc()}, nzcv_{from.nzcv()} {
    for (unsigned n = 0; n < x_.size(); ++n) x_[n] = from.x(n);
  }

  [[nodiscard]] std::uint64_t x(unsigned n) const override { return x_[n]; }
  void set_x(unsigned n, std::uint64_t value) override { x_[n] = value; }
  [[nodiscard]] std::uint64_t sp() const override { return sp_; }
  void set_sp(std::uint64_t value) override { sp_ = value; }
  [[nodiscard]] std::uint64_t pc() const override { return pc_; }
  void set_pc(std::uint64_t value) override { pc_ = value; }
  [[nodiscard]] std::uint32_t nzcv() const override { return nzcv_; }
  void set_nzcv(std::uint32_t value) override { nzcv_ = value; }
  void clear_exclusive() override {}

 private:
  std::array<std::uint64_t, 31> x_{};
  std::uint64_t sp_ = 0, pc_ = 0;
  std::uint32_t nzcv_ = 0;
};

}  // namespace vpmu::machine::arm64
