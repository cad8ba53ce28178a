// SPDX-License-Identifier: MIT
//
// `vpmu report`, `vpmu flamegraph` and `vpmu export`: their options.
#pragma once

#include "cli/report/export.hpp"
#include "cli/report/flame_graph.hpp"
#include "cli/report/report.hpp"

namespace CLI {
class App;
}  // namespace CLI

namespace vpmu::cli::report {

/// Stays where it is once added.
class ProfileCommands {
 public:
  explicit ProfileCommands(CLI::App& vpmu);
  ProfileCommands(const ProfileCommands&) = delete;
  ProfileCommands& operator=(const ProfileCommands&) = delete;

  /// Whether the command line is one of theirs.
  [[nodiscard]] bool parsed() const;
  /// Does what the command line says; the exit status of the process.
  [[nodiscard]] int run() const;

 private:
  void add_report(CLI::App& vpmu);
  void add_flame_graph(CLI::App& vpmu);
  void add_export(CLI::App& vpmu);

  CLI::App* report_ = nullptr;
  CLI::App* flame_graph_ = nullptr;
  CLI::App* export_ = nullptr;
  ReportCommandOptions report_options_;
  FlameGraphCommandOptions flame_graph_options_;
  ExportOptions export_options_;
};

}  // namespace vpmu::cli::report
