// SPDX-License-Identifier: MIT
//
// The events that `vpmu record` samples: what the profiler is to do for them, and how the file
// describes them.
#pragma once

#include <vector>

#include "cli/record/record_options.hpp"
#include "machine/profiler/profiler.hpp"
#include "profile/perf_data/writer.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/host_cpu_model.hpp"

namespace vpmu::cli::record {

struct RecordedEvents {
  std::vector<machine::SamplingEvent> sampled;
  std::vector<profile::perf_data::WrittenEvent> written;  ///< the same ones
};

/// A period or a frequency of an event's own goes before that of all. An error names the option.
Result<RecordedEvents> recorded_events(const RecordOptions& options,
                                       const hostperf::HostCpuModel& model);

/// The one "event" of real-time sampling: the host's clock.
profile::perf_data::WrittenEvent real_time_event(std::uint64_t frequency);

}  // namespace vpmu::cli::record
