// SPDX-License-Identifier: MIT
//
// A child process, run to its end and measured from outside: what `time` would say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vpmu/base/result.hpp"

namespace vpmu::bench {

struct ChildRun {
  int status = 0;          ///< exit status, or 128 + signal
  double cpu_seconds = 0;  ///< user and system, of the child and its children
  double wall_seconds = 0;
  std::uint64_t peak_bytes = 0;  ///< most resident memory of the child; 0 if it was too short
  std::string output;            ///< standard output and error, as they came
};

/// `command`: program (looked for in PATH) and arguments. Fails if it cannot be started.
Result<ChildRun> run_child(const std::vector<std::string>& command);

/// True if a program of that name is in PATH.
bool in_path(const std::string& program);

/// The number behind `label` in `text`, digit groups allowed ("1,234"). Fails if there is none.
Result<double> number_behind(const std::string& text, const std::string& label);

}  // namespace vpmu::bench
