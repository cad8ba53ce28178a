// SPDX-License-Identifier: MIT
#include "cli/record/recording_summary.hpp"

#include <gtest/gtest.h>

namespace vpmu::test {
namespace {

using cli::record::RecordedTotals;
using cli::record::why_no_samples;

/// Counted all the time.
RecordedTotals recorded(const char* name, std::uint64_t samples, std::uint64_t count = 0) {
  RecordedTotals recorded;
  recorded.event.name = name;
  recorded.totals.samples = samples;
  recorded.totals.count = count;
  recorded.totals.time_enabled_ns = recorded.totals.time_running_ns = 1000;
  return recorded;
}

TEST(RecordingSummary, HasSamplesSizeAndWhatWasLost) {
  const RecordedTotals one[] = {recorded("cycles:p", 1234)};
  EXPECT_EQ(cli::record::recording_summary({"perf.data", 57'344, 0}, one),
            "perf.data: 1,234 samples of cycles:p, 56 KiB, 0 lost");
  const RecordedTotals single[] = {recorded("cycles", 1)};
  EXPECT_EQ(cli::record::recording_summary({"a\nb", 999, 1000}, single),
            "a?b: 1 sample of cycles, 999 bytes, 1,000 lost");
  const RecordedTotals two[] = {recorded("cycles", 1200), recorded("branches", 34)};
  EXPECT_EQ(cli::record::recording_summary({"x", 1536, 0}, two),
            "x: 1,234 samples (1,200 of cycles, 34 of branches), 1.5 KiB, 0 lost");
}

TEST(NoSamples, HasAReason) {
  const auto why = [](const RecordedTotals& event) { return why_no_samples(event, 2); };
  EXPECT_EQ(why(recorded("cycles", 1)), "");

  RecordedTotals in_error = recorded("cycles:D", 0);
  in_error.totals.in_error = 2;
  EXPECT_NE(why(in_error).find("pinned and did not fit"), std::string::npos);

  RecordedTotals starved = recorded("cycles", 0);
  starved.totals.time_running_ns = 0;
  EXPECT_NE(why(starved).find("never got a counter"), std::string::npos);

  RecordedTotals of_host = recorded("cycles:H", 0);
  of_host.event.attr.exclude_guest = true;
  EXPECT_NE(why(of_host).find("excludes guests"), std::string::npos);

  EXPECT_EQ(why(recorded("branches", 0)), "the guest did none of it");
  RecordedTotals of_user = recorded("branches:u", 0);
  of_user.event.attr.exclude_kernel = true;
  EXPECT_EQ(why(of_user), "the guest did none of it in user mode");
  RecordedTotals of_kernel = recorded("branches:k", 0);
  of_kernel.event.attr.exclude_user = true;
  EXPECT_EQ(why(of_kernel), "the guest did none of it in kernel mode");

  RecordedTotals early = recorded("cycles", 0, 1234);
  early.event.attr.period = 1'000'000;
  EXPECT_EQ(why(early),
            "the guest ended after 1,234 of it, and a sample is taken every 1,000,000; give a "
            "smaller period with -c");
  early.event.attr.period = 0;
  early.event.frequency = 1;
  EXPECT_NE(why(early).find("after 1,234 of it, before the first sample; give a larger -F"),
            std::string::npos);
}

}  // namespace
}  // namespace vpmu::test
