// SPDX-License-Identifier: MIT
//
// Shows counts where `vpmu stat` was told to: interval by interval while the guest runs, or all of
// it at the end.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/atomic_file.hpp"
#include "cli/guest_run.hpp"
#include "cli/stat/stat_command.hpp"
#include "cli/stat/stat_event.hpp"
#include "cli/stat/stat_rows.hpp"
#include "machine/profiler/event_counts.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::stat {

class StatPrinter final : public machine::CountsObserver {
 public:
  /// Opens the output. All three must outlive the printer. An error names the option.
  static Result<std::unique_ptr<StatPrinter>> create(const StatOptions& options,
                                                     const StatPlan& plan, const GuestRun& run);

  void on_interval(const machine::CountsReading& reading) override;
  /// Behind the run, once. An error, also one of an interval's, names the output.
  Result<void> finish(const machine::CountsReading& reading);

 private:
  StatPrinter(const StatOptions& options, const StatPlan& plan, const GuestRun& run);

  [[nodiscard]] std::uint64_t hz() const;
  [[nodiscard]] std::vector<StatRow> total_rows(const machine::CountsReading& reading) const;
  [[nodiscard]] std::string table(const machine::CountsReading& reading) const;
  [[nodiscard]] std::string document(const machine::CountsReading& reading) const;
  void write(std::string_view text);
  Result<void> close();

  const StatOptions& options_;
  const StatPlan& plan_;
  const GuestRun& run_;
  const std::uint64_t begin_;       ///< machine time at which counting began
  std::string separator_;           ///< empty: no CSV
  std::optional<AtomicFile> file_;  ///< none: a standard stream
  Result<void> error_;              ///< the first
  machine::CountsReading before_;   ///< at the last interval's end
  std::uint64_t intervals_ = 0;
  nlohmann::ordered_json json_intervals_ = nlohmann::ordered_json::array();
};

}  // namespace vpmu::cli::stat
