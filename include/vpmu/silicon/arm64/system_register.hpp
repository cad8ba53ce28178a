// SPDX-License-Identifier: MIT
//
// System registers by their encoding in MRS and MSR, in one number: op0, op1, CRn, CRm and op2 from
// the top down, as KVM's register identifiers have them.
#pragma once

#include <cstdint>

namespace vpmu::silicon::arm64 {

enum class SystemRegister : std::uint16_t {};

/// `op0` < 4, `op1` < 8, `crn` < 16, `crm` < 16, `op2` < 8.
constexpr SystemRegister system_register(unsigned op0, unsigned op1, unsigned crn, unsigned crm,
                                         unsigned op2) {
  return SystemRegister{
      static_cast<std::uint16_t>(op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2)};
}

constexpr std::uint16_t raw(SystemRegister which) {
  return static_cast<std::uint16_t>(which);
}
constexpr unsigned op0(SystemRegister which) {
  return raw(which) >> 14;
}
constexpr unsigned op1(SystemRegister which) {
  return raw(which) >> 11 & 7;
}
constexpr unsigned crn(SystemRegister which) {
  return raw(which) >> 7 & 0xf;
}
constexpr unsigned crm(SystemRegister which) {
  return raw(which) >> 3 & 0xf;
}
constexpr unsigned op2(SystemRegister which) {
  return raw(which) & 7;
}

}  // namespace vpmu::silicon::arm64
