// SPDX-License-Identifier: MIT
//
// Where samples go while the guest runs: to the file, with progress on a terminal. When the file
// can take no more the machine stops.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "cli/record/progress_line.hpp"
#include "machine/guest_machine.hpp"
#include "profile/perf_data/writer.hpp"
#include "vpmu/hostperf/sample.hpp"

namespace vpmu::cli::record {

class Recording final : public hostperf::SampleSink {
 public:
  /// `console_at_line_start`: whether the terminal's current line has nothing of the guest's on it.
  Recording(machine::GuestMachine& machine, ProgressLine& progress,
            std::function<bool()> console_at_line_start);

  /// Before the first sample.
  void write_to(std::unique_ptr<profile::perf_data::Writer> writer) { writer_ = std::move(writer); }
  [[nodiscard]] profile::perf_data::Writer& writer() { return *writer_; }

  void on_sample(const hostperf::Sample& sample) override;

 private:
  machine::GuestMachine& machine_;
  ProgressLine& progress_;
  std::function<bool()> console_at_line_start_;
  std::unique_ptr<profile::perf_data::Writer> writer_;
  const std::uint64_t instructions_before_;
};

}  // namespace vpmu::cli::record
