// SPDX-License-Identifier: MIT
//
// `vpmu filter`: builds, checks, explains and compares PMU event filters.
#pragma once

#include <string>

#include "cli/filter/build.hpp"
#include "cli/filter/check.hpp"
#include "cli/filter/diff.hpp"
#include "cli/filter/explain.hpp"
#include "cli/filter/kernel_test.hpp"
#include "cli/filter/list_events.hpp"

namespace CLI {
class App;
}  // namespace CLI

namespace vpmu::cli::filter {

/// Its subcommands and their options. Stays where it is once added.
class FilterCommand {
 public:
  explicit FilterCommand(CLI::App& vpmu);
  FilterCommand(const FilterCommand&) = delete;
  FilterCommand& operator=(const FilterCommand&) = delete;

  /// Whether the command line is this command's.
  [[nodiscard]] bool parsed() const;
  /// Does what the command line says, and prints; the exit status of the process.
  [[nodiscard]] int run() const;

 private:
  void add_build();
  void add_check();
  void add_explain();
  void add_diff();
  void add_test();
  void add_list_events();
  [[nodiscard]] Result<Output> result() const;

  CLI::App* filter_;
  CLI::App* build_ = nullptr;
  CLI::App* check_ = nullptr;
  CLI::App* explain_ = nullptr;
  CLI::App* diff_ = nullptr;
  CLI::App* test_ = nullptr;
  CLI::App* list_events_ = nullptr;

  BuildOptions build_options_;
  CheckOptions check_options_;
  ExplainOptions explain_options_;
  DiffOptions diff_options_;
  KernelTestOptions test_options_;
  bool on_kvm_ = false;
  ListEventsOptions list_options_;
};

}  // namespace vpmu::cli::filter
