// SPDX-License-Identifier: MIT
//
// How a command ends that has nothing to run: with a text, or with what was wrong.
#pragma once

#include <string_view>

#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// Says on standard error what was wrong; the exit status for it.
int bad_input(const Error& error);
/// Puts `text` on standard output: 0, or, if it cannot be written, as bad_input().
int print(std::string_view text);

}  // namespace vpmu::cli
