// SPDX-License-Identifier: MIT
//
// `vpmu stat GUEST`: counts a guest's events from outside while it runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/guest_options.hpp"

namespace vpmu::cli::stat {

struct StatOptions {
  std::vector<std::string> events;  ///< values of -e
  bool per_vcpu = false;
  std::uint64_t interval = 0;            ///< cycles of machine time; 0: none
  std::optional<std::string> separator;  ///< of -x; none: no CSV
  bool json = false;
  std::string output;  ///< path, "-", or empty: standard error

  /// What is on standard error is for programs, and nothing else belongs there.
  [[nodiscard]] bool programs_read_errors() const {
    return output.empty() && (json || separator.has_value());
  }
};

/// Stays where it is once added.
class StatCommand {
 public:
  explicit StatCommand(CLI::App& vpmu);
  StatCommand(const StatCommand&) = delete;
  StatCommand& operator=(const StatCommand&) = delete;

  /// Whether the command line is this command's.
  [[nodiscard]] bool parsed() const;
  /// Runs the guest and shows its counts; the exit status of the process.
  [[nodiscard]] int run() const;

 private:
  CLI::App* stat_;
  GuestOptions guest_;
  StatOptions options_;
};

}  // namespace vpmu::cli::stat
