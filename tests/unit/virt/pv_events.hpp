// SPDX-License-Identifier: MIT
//
// EVTSEL of the PV perf events that tests count.
#pragma once

#include <cstdint>

#include "vpmu/virt/x86/pv_perf_abi.hpp"

namespace vpmu::virt::x86 {

/// Enabled, at both privileges.
constexpr pv::Evtsel pv_event(pv::Type type, std::uint32_t code) {
  pv::Evtsel evtsel;
  evtsel.set(pv::Evtsel::kType, static_cast<std::uint64_t>(type));
  evtsel.set(pv::Evtsel::kCode, code);
  evtsel.set(pv::Evtsel::kUsr, 1);
  evtsel.set(pv::Evtsel::kOs, 1);
  evtsel.set(pv::Evtsel::kEn, 1);
  return evtsel;
}
constexpr pv::Evtsel pv_event(pv::Generic event) {
  return pv_event(pv::Type::kGeneric, static_cast<std::uint32_t>(event));
}
constexpr pv::Evtsel pv_event(pv::Software event) {
  return pv_event(pv::Type::kSoftware, static_cast<std::uint32_t>(event));
}
constexpr pv::Evtsel interrupting(pv::Evtsel evtsel) {
  evtsel.set(pv::Evtsel::kInt, 1);
  return evtsel;
}

}  // namespace vpmu::virt::x86
