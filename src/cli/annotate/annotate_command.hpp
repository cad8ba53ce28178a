// SPDX-License-Identifier: MIT
//
// `vpmu annotate`: the code of a function with the samples of a profile.
#pragma once

#include <cstdint>
#include <string>

#include "cli/annotate/function_samples.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace vpmu::cli::annotate {

/// Its options. Stays where it is once added.
class AnnotateCommand {
 public:
  explicit AnnotateCommand(CLI::App& vpmu);
  AnnotateCommand(const AnnotateCommand&) = delete;
  AnnotateCommand& operator=(const AnnotateCommand&) = delete;

  /// Whether the command line is this command's.
  [[nodiscard]] bool parsed() const;
  /// Does what the command line says, and prints; the exit status of the process.
  [[nodiscard]] int run() const;

 private:
  CLI::App* annotate_;
  CLI::Option* vcpu_option_ = nullptr;
  std::string first_, second_;  ///< of one argument it is the symbol, of two the file comes first
  std::uint32_t vcpu_ = 0;
  std::string syntax_ = "att";
  SampleChoice choice_;
};

}  // namespace vpmu::cli::annotate
