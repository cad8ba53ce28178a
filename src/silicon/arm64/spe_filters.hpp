// SPDX-License-Identifier: MIT
//
// Which samples become records: PMSFCR_EL1 and the filters that it enables.
#pragma once

#include <cstdint>

#include "vpmu/silicon/arm64/spe_operation.hpp"
#include "vpmu/silicon/arm64/spe_unit.hpp"

namespace vpmu::silicon::arm64 {

/// Events that a unit of this version can record. Of the vectors' only what SPEv1p1 brought.
std::uint64_t recorded_events(std::uint8_t version);
/// Those of them that can be filtered by.
std::uint64_t filterable_events(std::uint8_t version);

/// All enabled filters let it pass. A filter that makes no sense is as if disabled.
bool passes_filters(const SpeUnitState& registers, const SpeOperation& operation);

}  // namespace vpmu::silicon::arm64
