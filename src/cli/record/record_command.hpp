// SPDX-License-Identifier: MIT
//
// `vpmu record GUEST`: samples a guest from outside while it runs, into a perf.data file.
#pragma once

#include <string>
#include <vector>

#include "cli/guest_options.hpp"
#include "cli/record/record_options.hpp"

namespace CLI {
class Option;
}  // namespace CLI

namespace vpmu::cli::record {

/// Stays where it is once added.
class RecordCommand {
 public:
  explicit RecordCommand(CLI::App& vpmu);
  RecordCommand(const RecordCommand&) = delete;
  RecordCommand& operator=(const RecordCommand&) = delete;

  /// Whether the command line is this command's.
  [[nodiscard]] bool parsed() const;
  /// Runs the guest and records it; the exit status of the process.
  [[nodiscard]] int run() const;

 private:
  void add_event_options();
  void add_sample_options();
  void add_file_options();
  /// Behind all the others, of which it excludes some.
  void add_real_time_option();
  void add_spe_option();
  /// As it is written into the file: without the file's own name, so that the same recording is the
  /// same file whatever it is called.
  [[nodiscard]] std::vector<std::string> command_line() const;

  CLI::App* record_;
  GuestOptions guest_;
  RecordOptions options_;
  std::string layout_ = "guest";
};

}  // namespace vpmu::cli::record
