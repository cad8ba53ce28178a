// SPDX-License-Identifier: MIT
//
// What a subcommand of `vpmu filter` gives back, for the command to print.
#pragma once

#include <string>

namespace vpmu::cli::filter {

/// Of `check`, `diff` and `test`: the answer is no. Not that something went wrong.
inline constexpr int kStatusNo = 1;

struct Output {
  std::string text;     ///< for standard output
  std::string remarks;  ///< for standard error: what the user should know besides
  int status = 0;
};

}  // namespace vpmu::cli::filter
