// SPDX-License-Identifier: MIT
//
// What people are told when a recording is over.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "machine/profiler/profiler.hpp"

namespace vpmu::cli::record {

/// One event, and what became of it.
struct RecordedTotals {
  machine::SamplingEvent event;
  machine::SamplingTotals totals;
};

struct RecordedFile {
  std::string path;
  std::uint64_t bytes = 0;
  std::uint64_t lost = 0;  ///< samples
};

/// "perf.data: 1,234 samples of cycles:p, 56 KiB, 0 lost", without a newline.
std::string recording_summary(const RecordedFile& file, std::span<const RecordedTotals> events);

/// Why there is no sample of an event; empty if there is one. `targets`: vCPUs, or host CPUs.
std::string why_no_samples(const RecordedTotals& event, std::uint64_t targets);

}  // namespace vpmu::cli::record
