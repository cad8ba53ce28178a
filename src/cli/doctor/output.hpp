// SPDX-License-Identifier: MIT
//
// The checks for people and for scripts; docs/doctor.md describes both.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/doctor/check.hpp"

namespace vpmu::cli::doctor {

/// Version of the JSON's shape: goes up when a field changes its meaning or disappears.
inline constexpr int kDoctorVersion = 1;
/// Lines of the text are no longer than this, unless a single word is.
inline constexpr std::size_t kColumns = 96;

/// Whether vpmu does its main job here: run guests that count exactly.
bool runs_guests(const Checks& checks);

/// `colour`: results in the terminal's colours.
std::string text(const Checks& checks, bool colour);
nlohmann::ordered_json json(const Checks& checks);

}  // namespace vpmu::cli::doctor
