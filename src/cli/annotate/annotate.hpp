// SPDX-License-Identifier: MIT
//
// What `vpmu annotate` prints: a function's code with the samples at each instruction.
#pragma once

#include <string>
#include <vector>

#include "cli/annotate/disassembly.hpp"
#include "cli/annotate/function_samples.hpp"
#include "cli/annotate/listing.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::annotate {

struct Annotation {
  std::string text;
  std::vector<std::string> warnings;  ///< one line each
};

Result<Annotation> annotate(const SampleChoice& choice, Syntax syntax, const ListingStyle& style);

}  // namespace vpmu::cli::annotate
