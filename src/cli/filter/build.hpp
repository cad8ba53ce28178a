// SPDX-License-Identifier: MIT
//
// `vpmu filter build`: from a policy to a filter that KVM takes.
#pragma once

#include <string>

#include "cli/filter/output.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::filter {

struct BuildOptions {
  std::string policy;
  std::string output;  ///< path, or "-" for standard output
  std::string format = "bin";
  std::string cpu;  ///< what the policy must say, or empty
};

/// Writes the filter; gives the summary, for standard error if the filter goes to standard output.
Result<Output> run_build(const BuildOptions& options);

}  // namespace vpmu::cli::filter
