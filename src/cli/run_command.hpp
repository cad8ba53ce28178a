// SPDX-License-Identifier: MIT
//
// `vpmu run GUEST`.
#pragma once

#include <string>
#include <vector>

#include "cli/guest_options.hpp"

namespace vpmu::cli {

/// Stays where it is once added.
class RunCommand {
 public:
  explicit RunCommand(CLI::App& vpmu);
  RunCommand(const RunCommand&) = delete;
  RunCommand& operator=(const RunCommand&) = delete;

  /// Whether the command line is this command's.
  [[nodiscard]] bool parsed() const;
  /// Runs the guest; the exit status of the process.
  [[nodiscard]] int run() const;

 private:
  struct Options {
    std::string json;  ///< path, "-", or empty
    bool host_times = false;
    std::vector<std::string> trace;
    std::vector<std::string> save_at;  ///< INSTRUCTIONS=FILE
    std::string spe_dump;              ///< path, or empty
  };

  CLI::App* run_;
  GuestOptions guest_;
  Options options_;
};

}  // namespace vpmu::cli
