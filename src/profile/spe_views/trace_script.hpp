// SPDX-License-Identifier: MIT
//
// A trace of SPE as text: a line for each record, by time, in the columns that `perf script` has.
#pragma once

#include "profile/spe_views/trace_file.hpp"
#include "profile/views/text_sink.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::profile {

/// Task, vCPU, time; latency in cycles; operation; data address, physical address and source;
/// events; where the code is. What a record does not say is "-".
Result<void> write_spe_script(SpeTrace& trace, const TextSink& sink);

/// One line for each packet of each stream: offset, bytes, text.
Result<void> write_spe_packets(const SpeTrace& trace, const TextSink& sink);

}  // namespace vpmu::profile
