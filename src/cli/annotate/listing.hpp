// SPDX-License-Identifier: MIT
//
// A function's instructions with their samples, as text.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/annotate/disassembly.hpp"
#include "cli/annotate/function_samples.hpp"

namespace vpmu::cli::annotate {

struct ListingStyle {
  std::size_t columns = 0;  ///< what is longer is cut; 0: nothing is
  bool colour = false;      ///< for a terminal: instructions with many samples stand out
};

/// `lines`: of the image; null if it has none.
std::string listing(const FunctionSamples& function, const std::vector<Instruction>& instructions,
                    const profile::SourceLines* lines, const ListingStyle& style);

}  // namespace vpmu::cli::annotate
