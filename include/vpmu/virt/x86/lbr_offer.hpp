// SPDX-License-Identifier: MIT
//
// Whether a guest can have last branch records: what host and guest must agree on.
#pragma once

#include <cstdint>

#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/silicon/x86/lbr_model.hpp"

namespace vpmu::virt::x86 {

/// From which version on a PMU has what architectural LBRs are frozen by
/// (IA32_PERF_GLOBAL_STATUS.LBR_FRZ).
inline constexpr std::uint8_t kArchitecturalLbrVersion = 4;

struct LbrOffer {
  silicon::x86::LbrModel host{};  ///< what host perf says there is; depth 0: nothing
  // The guest's:
  silicon::x86::Vendor vendor = silicon::x86::Vendor::kIntel;
  std::uint8_t version = 0;                                       ///< of its PMU; 0: it has none
  bool pdcm = false;                                              ///< IA32_PERF_CAPABILITIES exists
  silicon::x86::LbrFormat format = silicon::x86::LbrFormat::k32;  ///< there; k32: not offered
  /// CPUID tells it the host's CPU model: guests know by the model how many records there are.
  bool same_model = true;
};

enum class LbrRefusal : std::uint8_t {
  kNone,
  kVendor,       ///< AMD's are not modelled
  kNoRecords,    ///< the host has none
  kNoCallStack,  ///< it cannot keep a task's records: it has no call-stack mode
  kNoPmu,
  kNoCapabilities,
  kNotOffered,
  kFormat,   ///< the guest expects another format than the host's
  kVersion,  ///< architectural LBRs need kArchitecturalLbrVersion
  kModel,
};

/// The first reason why not.
LbrRefusal lbr_refusal(const LbrOffer& offer);

}  // namespace vpmu::virt::x86
