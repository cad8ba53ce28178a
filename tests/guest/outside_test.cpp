// SPDX-License-Identifier: MIT
//
// Guests that `vpmu stat` counts and `vpmu record` samples, against what `vpmu run` says that they
// retired: the guest cannot tell, and not one event is missing.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "profile/perf_data/reader.hpp"
#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

namespace perf_data = profile::perf_data;
using nlohmann::json;

/// A guest and its options, as on the command line.
struct Setup {
  const char* name;
  const char* arguments;
};
void PrintTo(const Setup& setup, std::ostream* out) {
  *out << setup.name;
}

struct Modes {
  std::uint64_t user = 0, kernel = 0;
  [[nodiscard]] std::uint64_t total() const { return user + kernel; }
};

/// How many samples there are, by event and then by vCPU.
struct Samples final : perf_data::RecordVisitor {
  std::vector<std::map<std::uint32_t, std::uint64_t>> counts;
  std::uint64_t user = 0, periods = 0;
  void on_sample(const perf_data::SampleRecord& sample) override {
    ++counts[sample.event][sample.task.vcpu];
    if (sample.task.mode == perf_data::CpuMode::kGuestUser) ++user;
    periods += sample.period;
  }
};

class OutsideTest : public CommandTest, public testing::WithParamInterface<Setup> {
 protected:
  const std::string guest =
      std::string{"'" VPMU_GUESTS "/"} + GetParam().name + ".elf' " + GetParam().arguments + " ";

  json parsed(const std::string& file) {
    auto parsed = json::parse(content(path(file)), nullptr, false);
    EXPECT_FALSE(parsed.is_discarded()) << content(path("err"));
    return parsed;
  }
  json run() {
    EXPECT_EQ(vpmu("run " + guest + "--json '" + path("run.json") + "'").status, 1);
    return parsed("run.json");
  }
  json stat(const std::string& options) {
    EXPECT_EQ(vpmu("stat " + guest + options + " --json -o '" + path("stat.json") + "'").status, 1);
    return parsed("stat.json");
  }
  static Modes retired(const json& report, std::size_t vcpu, const char* event) {
    const json& counts = report["vcpus"][vcpu]["retired"][event];
    return {counts["user"], counts["kernel"]};
  }
  Samples record(const std::string& options, std::size_t events) {
    const std::string file = path("p.data");
    EXPECT_EQ(vpmu("record " + guest + options + " -o '" + file + "'").status, 1)
        << content(path("err"));
    Samples samples;
    samples.counts.resize(events);
    auto reader = perf_data::Reader::open(file);
    EXPECT_TRUE(reader.has_value());
    if (reader) {
      EXPECT_TRUE((*reader)->read(samples).has_value());
    }
    return samples;
  }
};

TEST_P(OutsideTest, CountsAreWhatTheGuestRetired) {
  const json report = run();
  const json counted = stat(
      "--per-vcpu -e instructions,instructions:u,instructions:k,branches,branches:u,branches:k");
  EXPECT_EQ(counted["outcome"], report["outcome"]);
  const std::size_t vcpus = report["vcpus"].size();
  ASSERT_EQ(counted["events"].size(), 6 * vcpus);
  for (std::size_t vcpu = 0; vcpu < vcpus; ++vcpu) {
    for (const auto& [first, event] : {std::pair{0, "instructions"}, std::pair{3, "branches"}}) {
      const Modes expected = retired(report, vcpu, event);
      const auto value = [&](std::size_t row) -> std::uint64_t {
        return counted["events"][row * vcpus + vcpu]["value"];
      };
      const auto row = static_cast<std::size_t>(first);
      EXPECT_EQ(value(row), expected.total()) << event << " on vCPU " << vcpu;
      EXPECT_EQ(value(row + 1), expected.user) << event << " on vCPU " << vcpu;
      EXPECT_EQ(value(row + 2), expected.kernel) << event << " on vCPU " << vcpu;
    }
  }
}

TEST_P(OutsideTest, IntervalsSumUpToTheWhole) {
  const json counted = stat("-I 33331 -e instructions:u,instructions:k,cycles");
  const json& intervals = counted["intervals"];
  // Fewer where all vCPUs slept through some.
  const auto cycles = counted["outcome"]["cycles"].get<std::uint64_t>();
  EXPECT_LE(intervals.size(), (cycles + 33'330) / 33'331);
  EXPECT_GT(intervals.size(), 1u);
  for (std::size_t event = 0; event < 3; ++event) {
    std::uint64_t sum = 0;
    for (const json& interval : intervals) {
      sum += interval["events"][event]["count"].get<std::uint64_t>();
    }
    EXPECT_EQ(sum, counted["events"][event]["count"]);
  }
}

TEST_P(OutsideTest, CountedTwiceIsTheSame) {
  const json first = stat("-I 1000000");
  EXPECT_EQ(first, stat("-I 1000000"));
}

TEST_P(OutsideTest, ThereIsASampleForEveryPeriod) {
  const json report = run();
  const Samples samples = record("-e instructions,branches:u -c 1009 -g", 2);
  for (std::uint32_t vcpu = 0; vcpu < report["vcpus"].size(); ++vcpu) {
    const auto taken = [&](std::size_t event) {
      const auto found = samples.counts[event].find(vcpu);
      return found == samples.counts[event].end() ? 0 : found->second;
    };
    EXPECT_EQ(taken(0), retired(report, vcpu, "instructions").total() / 1009) << vcpu;
    EXPECT_EQ(taken(1), retired(report, vcpu, "branches").user / 1009) << vcpu;
  }
}

TEST_P(OutsideTest, UserModeIsSampledAsMuchAsItRuns) {
  const json report = run();
  const Samples samples = record("-e instructions:p -c 101", 1);
  Modes modes;
  for (std::size_t vcpu = 0; vcpu < report["vcpus"].size(); ++vcpu) {
    modes.user += retired(report, vcpu, "instructions").user;
    modes.kernel += retired(report, vcpu, "instructions").kernel;
  }
  // A sample every 101 instructions, of which each stretch in a mode has at most one too many.
  const double expected = static_cast<double>(modes.user) / 101;
  EXPECT_NEAR(static_cast<double>(samples.user), expected, expected / 100 + 1);
  EXPECT_EQ(samples.periods % 101, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Guests, OutsideTest,
    testing::Values(Setup{"profiled", "--append parts=3"},
                    Setup{"profiled", "--smp 2 --append parts=2 --quantum 777"},
                    Setup{"profiled", "--smp 4 --host-cpus 2 --append parts=1 --cpu zen4"},
                    Setup{"interrupts", ""}, Setup{"privilege", "--cpu skylake-server"},
                    Setup{"smp", "--smp 3 --append cpus=3"}),
    [](const testing::TestParamInfo<Setup>& test) {
      return std::string{test.param.name} + std::to_string(test.index);
    });

}  // namespace
}  // namespace vpmu::test
