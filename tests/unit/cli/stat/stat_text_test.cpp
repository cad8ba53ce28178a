// SPDX-License-Identifier: MIT
#include "cli/stat/stat_text.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "unit/cli/stat/stat_fixture.hpp"

namespace vpmu::test {
namespace {

using cli::stat::StatRow;

std::vector<StatRow> rows(const cli::stat::StatPlan& plan, const CountsReading& reading,
                          bool per_vcpu = false) {
  return cli::stat::stat_rows(plan, reading, icelake().hz, per_vcpu);
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream{text};
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(StatTable, HasValueUnitNameRatioAndShare) {
  const auto events = plan("task-clock,cycles,instructions,branches,branch-misses,branches:D");
  auto counts = reading(
      {{count(2'000'000)}, {count(500'000)}, {count(100'000, 500)}, {count(1'234)}, {in_error()}});
  const auto table = lines(cli::stat::stat_table(rows(events, counts)));
  ASSERT_EQ(table.size(), 6u);
  // 1000 ns; 2,000,000 cycles in them; 500,000 / 2,000,000; 100,000 * 1000 / 500; 1234 of 200,000
  EXPECT_EQ(table[0], "           0.00  msec task-clock           #   1.000 CPUs utilized");
  EXPECT_EQ(table[1], "      2,000,000       cycles               # 2000.000 GHz");
  EXPECT_EQ(table[2], "        500,000       instructions         #    0.25 insn per cycle");
  EXPECT_EQ(table[3],
            "        200,000       branches                                         (50.00%)");
  EXPECT_EQ(table[4], "          1,234       branch-misses        #   0.62% of all branches");
  EXPECT_EQ(table[5], "  <not counted>       branches:D           (pinned, and did not fit)");
}

TEST(StatTable, FitsEightyColumnsWithUsualNames) {
  const auto events = cli::stat::plan_stat({}, icelake());
  ASSERT_TRUE(events.has_value());
  const auto counts = reading({6, {count(999'999'999'999 / 4, 250)}});
  for (const std::string& line : lines(cli::stat::stat_table(rows(*events, counts)))) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(StatTable, NamesTheVcpuAndBeginsWithThePrefix) {
  const auto table = lines(cli::stat::stat_table(
      rows(plan("branches"), reading({{count(7), count(1'234)}}), true), "0.5 "));
  ASSERT_EQ(table.size(), 2u);
  EXPECT_EQ(table[0], "0.5 vCPU0               7  branches");
  EXPECT_EQ(table[1], "0.5 vCPU1           1,234  branches");
}

TEST(StatTable, SomeVcpusInErrorAreMentioned) {
  const auto table =
      cli::stat::stat_table(rows(plan("branches:D"), reading({{count(7), in_error()}})));
  EXPECT_EQ(table,
            "              7  branches:D           (not on 1 of the vCPUs: pinned, and did not "
            "fit)\n");
}

TEST(StatCsv, HasPerfsFields) {
  const auto events =
      plan("cycles,branch-misses,branches,cpu/event=0xc4,umask=1/,branches:D,task-clock");
  const auto counts =
      reading({{count(1500)}, {count(1, 500)}, {count(8)}, {count(3)}, {in_error()}});
  EXPECT_EQ(cli::stat::stat_csv(rows(events, counts), ","),
            "1500,,cycles,1000,100.00,1.500,GHz\n"
            "2,,branch-misses,500,50.00,25.00,of all branches\n"
            "8,,branches,1000,100.00,,\n"
            "3,,\"cpu/event=0xc4,umask=1/\",1000,100.00,,\n"
            "<not counted>,,branches:D,0,0.00,,\n"
            "0.00,msec,task-clock,1000,100.00,1.000,CPUs utilized\n");
  EXPECT_EQ(cli::stat::stat_csv(rows(plan("branches"), reading({{count(1), count(2)}}), true), ";",
                                "0.25"),
            "0.25;vCPU0;1;;branches;1000;100.00;;\n"
            "0.25;vCPU1;2;;branches;1000;100.00;;\n");
}

TEST(StatCsv, SeparatorsTellFieldsApart) {
  for (const char* good : {",", ";", "|", ":", "\t", " ", "::"}) {
    EXPECT_EQ(cli::stat::parse_separator(good).value_or("refused"), good);
  }
  EXPECT_EQ(cli::stat::parse_separator("\\t").value_or("refused"), "\t");
  for (const char* bad : {"", "\n", "\"", "1", "a", ".", "<", ",\n"}) {
    EXPECT_FALSE(cli::stat::parse_separator(bad).has_value()) << bad;
  }
}

TEST(StatJson, HasValuesAndWhatTheyAreMadeOf) {
  const auto events = plan("branches,branch-misses,cycles:D,task-clock");
  const auto json =
      cli::stat::stat_json(rows(events, reading({{count(8, 500)}, {count(4)}, {in_error()}})));
  ASSERT_EQ(json.size(), 4u);
  EXPECT_EQ(json[0]["event"], "branches");
  EXPECT_EQ(json[0]["value"], 16);
  EXPECT_EQ(json[0]["count"], 8);
  EXPECT_EQ(json[0]["time_enabled_ns"], 1000);
  EXPECT_EQ(json[0]["time_running_ns"], 500);
  EXPECT_EQ(json[0]["running_percent"], 50.0);
  EXPECT_FALSE(json[0].contains("metric"));
  EXPECT_EQ(json[1]["metric"]["value"], 25.0);
  EXPECT_EQ(json[1]["metric"]["unit"], "% of all branches");
  EXPECT_TRUE(json[2]["value"].is_null());
  EXPECT_EQ(json[2]["not_counted"], "pinned, and did not fit");
  EXPECT_EQ(json[3]["unit"], "msec");
  EXPECT_EQ(json[3]["value"], 0.001);
}

TEST(StatTime, HasNineDecimals) {
  EXPECT_EQ(cli::stat::seconds_text(0, 2'000'000'000), "0.000000000");
  EXPECT_EQ(cli::stat::seconds_text(3, 2'000'000'000), "0.000000001");
  EXPECT_EQ(cli::stat::seconds_text(4'200'000'002, 2'000'000'000), "2.100000001");
  EXPECT_EQ(cli::stat::seconds_text(~std::uint64_t{0}, 3'000'000'000), "6148914691.236517205");
}

}  // namespace
}  // namespace vpmu::test
