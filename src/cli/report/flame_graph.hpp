// SPDX-License-Identifier: MIT
//
// `vpmu flamegraph`.
#pragma once

#include <string>

#include "cli/report/loaded_profile.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::report {

struct FlameGraphCommandOptions {
  ProfileSource source;
  std::string output = "flamegraph.svg";
  std::string title;
  unsigned width = 1200;
  double min_width = 0.1;
  bool inverted = false;
};

Result<void> run_flame_graph(const FlameGraphCommandOptions& options);

}  // namespace vpmu::cli::report
