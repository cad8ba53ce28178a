// SPDX-License-Identifier: MIT
//
// Files by the perf that is installed, of software events, which need no PMU: what the reader says
// is what perf itself says. Without perf, or without leave to use it, nothing is tested.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "recorded.hpp"

namespace vpmu::profile::perf_data {
namespace {

constexpr const char* kWork = "sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; ls /'";

bool run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

/// Output's lines, without blanks in front.
std::vector<std::string> lines_of(const std::string& command) {
  std::vector<std::string> lines;
  FILE* const output = popen((command + " 2>/dev/null").c_str(), "r");
  if (output == nullptr) return lines;
  char line[4096];
  while (std::fgets(line, sizeof line, output) != nullptr) {
    std::string text{line};
    text.erase(0, text.find_first_not_of(' '));
    text.erase(text.find_last_not_of(" \n") + 1);
    if (!text.empty()) lines.push_back(std::move(text));
  }
  pclose(output);
  return lines;
}

class StockPerf : public ::testing::Test {
 protected:
  /// Records into `path`; false, and the test is skipped: this machine does not let us.
  static bool record(const std::string& path, const std::string& options) {
    return run(fmt::format("perf record -q {} -o '{}' -- {}", options, path, kWork));
  }
  static bool record_in_a_pipe(const std::string& path, const std::string& options) {
    return std::system(fmt::format("perf record -q {} -o - -- {} 2>/dev/null > '{}'", options,
                                   "sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'", path)
                           .c_str()) == 0;
  }
  static void expect_what_perf_says(const std::string& path) {
    const Everything all = read_everything(path);
    ASSERT_EQ(all.error, "");
    EXPECT_TRUE(all.info.complete);
    std::vector<std::string> ours;
    for (const ReadSample& sample : all.samples) {
      ours.push_back(fmt::format("{}/{} {}.{:09}: {} {}:", sample.task.pid, sample.task.tid,
                                 sample.time / 1'000'000'000, sample.time % 1'000'000'000,
                                 sample.period, all.info.events.at(sample.event).name));
    }
    std::vector<std::string> theirs;
    for (const std::string& line :
         lines_of(fmt::format("perf script -i '{}' -F pid,tid,time,period,event --ns", path))) {
      std::string squeezed;
      for (const char c : line) {
        if (c != ' ' || squeezed.empty() || squeezed.back() != ' ') squeezed += c;
      }
      theirs.push_back(std::move(squeezed));
    }
    EXPECT_GT(ours.size(), 10u);
    EXPECT_EQ(ours, theirs);
    const bool has_program =
        std::any_of(all.mappings.begin(), all.mappings.end(), [](const ReadMapping& mapping) {
          return mapping.file.find("/bin/") != std::string::npos && mapping.executable;
        });
    EXPECT_TRUE(has_program);
  }
};

#define SKIP_WITHOUT_PERF(recorded) \
  if (!(recorded)) GTEST_SKIP() << "perf record -e task-clock does not work here: not tested"

TEST_F(StockPerf, OneEventReadsAsPerfReadsIt) {
  const TestPath path;
  SKIP_WITHOUT_PERF(record(path.str(), "-e task-clock -c 100000"));
  expect_what_perf_says(path.str());
}

TEST_F(StockPerf, SeveralEventsWithCallChainsReadAsPerfReadsThem) {
  const TestPath path;
  SKIP_WITHOUT_PERF(record(path.str(), "-e task-clock,cpu-clock:u,page-faults -g -F 5000"));
  const Everything all = read_everything(path.str());
  ASSERT_EQ(all.error, "");
  EXPECT_EQ(all.info.events.size(), 3u);
  const bool chains =
      std::any_of(all.samples.begin(), all.samples.end(),
                  [](const ReadSample& sample) { return sample.callchain.size() > 1; });
  EXPECT_TRUE(chains);
  std::size_t theirs = 0;
  for (const std::string& line : lines_of(fmt::format("perf script -i '{}' -F time", path.str()))) {
    theirs += line.find(':') != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(all.samples.size(), theirs);
}

TEST_F(StockPerf, RegistersStacksAndAddressesArePassedOver) {
  const TestPath path;
  SKIP_WITHOUT_PERF(
      record(path.str(),
             "-e task-clock -c 100000 -d -W --phys-data --user-regs=ip,sp --call-graph dwarf"));
  const Everything all = read_everything(path.str());
  ASSERT_EQ(all.error, "");
  EXPECT_GT(all.samples.size(), 10u);
}

TEST_F(StockPerf, ThePipeFormReadsAsPerfReadsIt) {
  const TestPath path;
  SKIP_WITHOUT_PERF(record_in_a_pipe(path.str(), "-e task-clock,page-faults -c 100000"));
  expect_what_perf_says(path.str());
}

TEST_F(StockPerf, CompressedRecordsAreRefused) {
  const TestPath path;
  SKIP_WITHOUT_PERF(record(path.str(), "-z -e task-clock"));
  EXPECT_NE(read_everything(path.str()).error.find("without -z"), std::string::npos);
}

}  // namespace
}  // namespace vpmu::profile::perf_data
