// SPDX-License-Identifier: MIT
#include "cli/record/recording_summary.hpp"

#include <vector>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "base/user_text.hpp"
#include "cli/record/progress_line.hpp"

namespace vpmu::cli::record {

namespace {
std::string samples_text(std::span<const RecordedTotals> events) {
  std::uint64_t all = 0;
  std::vector<std::string> each;
  for (const RecordedTotals& event : events) {
    all += event.totals.samples;
    each.push_back(fmt::format("{} of {}", grouped(event.totals.samples), event.event.name));
  }
  const std::string text = fmt::format("{} sample{}", grouped(all), all == 1 ? "" : "s");
  if (events.size() == 1) return fmt::format("{} of {}", text, events[0].event.name);
  return fmt::format("{} ({})", text, fmt::join(each, ", "));
}

/// What the event leaves out, as far as that may be why it counted nothing.
std::string modes(const hostperf::EventAttr& attr) {
  if (attr.exclude_user) return " in kernel mode";
  if (attr.exclude_kernel) return " in user mode";
  return "";
}
}  // namespace

std::string recording_summary(const RecordedFile& file, std::span<const RecordedTotals> events) {
  return fmt::format("{}: {}, {}, {} lost", printable(file.path), samples_text(events),
                     bytes_text(file.bytes), grouped(file.lost));
}

std::string why_no_samples(const RecordedTotals& recorded, std::uint64_t targets) {
  const machine::SamplingTotals& totals = recorded.totals;
  const hostperf::EventAttr& attr = recorded.event.attr;
  if (totals.samples != 0) return {};
  if (totals.in_error == targets) {
    return "it is pinned and did not fit: its counter, or the branch records, had another user; "
           "leave out :D, or what uses them";
  }
  if (totals.time_running_ns == 0) {
    return "it never got a counter, or not the branch records: others had them all the time; give "
           "fewer events, or take them from the guest with :D";
  }
  if (attr.exclude_guest) return "it excludes guests; leave out :H";
  if (totals.count == 0) {
    return fmt::format("the guest did none of it{}", modes(attr));
  }
  if (recorded.event.frequency != 0) {
    return fmt::format(
        "the guest ended after {} of it, before the first sample; give a larger -F, "
        "or a small period with -c",
        grouped(totals.count));
  }
  return fmt::format(
      "the guest ended after {} of it, and a sample is taken every {}; give a "
      "smaller period with -c",
      grouped(totals.count), grouped(attr.period));
}

}  // namespace vpmu::cli::record
