// SPDX-License-Identifier: MIT
//
// Events as people write them, in perf's notation:
//
//   cycles  branch-misses  ...        generic names, for what the CPU model has of them
//   BR_INST_RETIRED.COND              names of the CPU model's events, upper or lower case
//   r01c4                             raw: event select bits, hexadecimal
//   cpu/event=0xc4,umask=0x1,period=1000/
//                                     terms: event, umask, cmask, inv, edge, in_tx, in_tx_cp,
//                                     config, period, freq, name; or one of the names above, then
//                                     terms
//   armv8_pmuv3/event=0x11/           the same on AArch64, where an event is one number: event,
//                                     config, period, freq, name; "cpu/event=0x11/" will do
//
// and behind any of these `:` (or nothing, behind a slash) and modifiers: u user, k kernel, G
// guests only, H host only, D pinned, e exclusive, p precise (up to three of them, all the same).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/host_cpu_model.hpp"
#include "vpmu/hostperf/host_perf.hpp"

namespace vpmu::cli {

struct EventSpec {
  std::string name;  ///< as written, or as the term `name` says
  hostperf::EventAttr attr;
  /// Samples in a second; 0: not given. Not together with attr.period.
  std::uint64_t frequency = 0;
  bool precise = false;  ///< a sample's address is that of the instruction that overflowed
};

/// An error is one line that names what was not understood, and where a name is unknown, names like
/// it.
Result<EventSpec> parse_event(std::string_view text, const hostperf::HostCpuModel& model);

/// The same for an event that nobody samples: refuses what only samples have, `p` and `freq`.
Result<EventSpec> parse_unsampled_event(std::string_view text, const hostperf::HostCpuModel& model);

}  // namespace vpmu::cli
