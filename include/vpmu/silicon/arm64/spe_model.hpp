// SPDX-License-Identifier: MIT
//
// A CPU's unit of the Statistical Profiling Extension as data.
#pragma once

#include <cstdint>

#include "vpmu/silicon/arm64/spe_registers.hpp"

namespace vpmu::silicon::arm64 {

struct SpeModel {
  std::uint8_t version = 0;  ///< ID_AA64DFR0_EL1.PMSVer; 0: there is none
  std::uint64_t pmsidr = 0;
  std::uint64_t pmbidr = 0;  ///< without P

  friend bool operator==(const SpeModel&, const SpeModel&) = default;
};

/// What SpeUnit can be: SPEv1 to SPEv1p2, the inverted event filter with SPEv1p2 and only there,
/// counters of 12 or 16 bits, and records that are never longer than PMSIDR_EL1.MaxSize says, also
/// aligned to PMBIDR_EL1.Align: MaxSize 6 to 11, and Align no more than that.
constexpr bool is_valid(const SpeModel& model) {
  const Pmsidr id{model.pmsidr};
  const std::uint64_t max_size = id.get(Pmsidr::kMaxSize);
  const std::uint64_t count_size = id.get(Pmsidr::kCountSize);
  return model.version >= kSpeV1 && model.version <= kSpeV1p2 &&
         (id.get(Pmsidr::kFne) != 0) == (model.version >= kSpeV1p2) &&
         (count_size == 2 || count_size == 3) && id.get(Pmsidr::kFormat) == 0 && max_size >= 6 &&
         max_size <= 11 && Pmbidr{model.pmbidr}.get(Pmbidr::kAlign) <= max_size;
}

}  // namespace vpmu::silicon::arm64
