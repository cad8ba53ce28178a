// SPDX-License-Identifier: MIT
#include "cli/record/recording.hpp"

#include <utility>

namespace vpmu::cli::record {

Recording::Recording(machine::GuestMachine& machine, ProgressLine& progress,
                     std::function<bool()> console_at_line_start)
    : machine_{machine},
      progress_{progress},
      console_at_line_start_{std::move(console_at_line_start)},
      instructions_before_{machine.instructions()} {}

void Recording::on_sample(const hostperf::Sample& sample) {
  writer_->on_sample(sample);
  if (writer_->failed()) return machine_.stop();
  if (!progress_.due() || !console_at_line_start_()) return;
  progress_.show({.samples = writer_->samples(),
                  .instructions = machine_.instructions() - instructions_before_,
                  .file_bytes = writer_->bytes()});
}

}  // namespace vpmu::cli::record
