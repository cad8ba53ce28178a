// SPDX-License-Identifier: MIT
//
// What an access gave, beside what it must give.
#pragma once

#include <optional>
#include <string>

#include "property/reference_pmu.hpp"
#include "vpmu/base/access.hpp"

namespace vpmu::property {

std::string show(const Access& access);
std::string show(const Answer& answer);

/// A text if they differ: `what`, and both.
std::optional<std::string> compare(const std::string& what, const Access& access,
                                   const Answer& answer);
std::optional<std::string> compare(const std::string& what, const Access& access,
                                   const Access& expected);

}  // namespace vpmu::property
