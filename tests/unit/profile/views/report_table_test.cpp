// SPDX-License-Identifier: MIT
#include "profile/views/report_table.hpp"

#include <gtest/gtest.h>

#include <map>

#include "unit/profile/views/recording.hpp"

namespace vpmu::profile {
namespace {

using namespace test;

class ReportTableTest : public testing::Test {
 protected:
  ReportTable table(const ReportOptions& options = {}, std::uint32_t event = 0) {
    spaces_ = std::make_unique<AddressSpaces>(recording.spaces());
    profile = recording.profile(*spaces_);
    return make_report_table(profile, *spaces_, event, options);
  }
  [[nodiscard]] std::string symbol(const RowKey& key) const { return profile.names[key.symbol]; }
  /// Rows by symbol.
  [[nodiscard]] std::map<std::string, ReportRow> rows(const ReportOptions& options = {}) {
    std::map<std::string, ReportRow> found;
    for (const ReportRow& row : table(options).rows) found[symbol(row.key)] = row;
    return found;
  }

  Recording recording;
  Profile profile;

 private:
  std::unique_ptr<AddressSpaces> spaces_;
};

TEST_F(ReportTableTest, SelfIsTheInnermostAndTotalAllOfTheStack) {
  recording.shots = {{"abc", 100}, {"bc", 50}, {"abd", 10}};
  auto row = rows();
  EXPECT_EQ(row["a"].self, (Weight{2, 110}));
  EXPECT_EQ(row["a"].total, (Weight{2, 110}));
  EXPECT_EQ(row["b"].self, (Weight{1, 50}));
  EXPECT_EQ(row["b"].total, (Weight{3, 160}));
  EXPECT_EQ(row["c"].self, (Weight{0, 0}));
  EXPECT_EQ(row["c"].total, (Weight{2, 150}));
  EXPECT_EQ(row["d"].total, (Weight{1, 10}));
}

TEST_F(ReportTableTest, RecursionCountsOnce) {
  recording.shots = {{"aaba", 100}, {"ab", 1}};
  auto row = rows();
  EXPECT_EQ(row["a"].total, (Weight{2, 101}));
  EXPECT_EQ(row["b"].total, (Weight{2, 101}));
}

TEST_F(ReportTableTest, TheLargestSelfIsFirstAndNamesDecideTies) {
  recording.shots = {{"b", 10}, {"a", 10}, {"c", 20}, {"c", 1}};
  std::string order;
  for (const ReportRow& row : table().rows) order += symbol(row.key);
  EXPECT_EQ(order, "cab");
}

TEST_F(ReportTableTest, LimitsHideRows) {
  recording.shots = {{"a", 90}, {"b", 9}, {"c", 1}};
  ReportTable found = table({.percent_limit = 5});
  EXPECT_EQ(found.rows.size(), 2u);
  EXPECT_EQ(found.hidden, 1u);
  found = table({.limit = 1});
  EXPECT_EQ(found.rows.size(), 1u);
  EXPECT_EQ(found.hidden, 2u);
}

TEST_F(ReportTableTest, EventsHaveTablesOfTheirOwn) {
  recording.info.events.push_back({"branches", {}, {}});
  recording.shots = {{"a", 90}, {.stack = "b", .period = 3, .event = 1}};
  EXPECT_EQ(table({}, 0).total, (Weight{1, 90}));
  const ReportTable second = table({}, 1);
  ASSERT_EQ(second.rows.size(), 1u);
  EXPECT_EQ(symbol(second.rows[0].key), "b");
  EXPECT_EQ(second.rows[0].self, (Weight{1, 3}));
}

TEST_F(ReportTableTest, VcpusAreRowsIfAskedFor) {
  recording.shots = {
      {.stack = "ab", .vcpu = 0}, {.stack = "ab", .vcpu = 1}, {.stack = "b", .vcpu = 1}};
  const ReportTable by_vcpu = table({.keys = {SortKey::kVcpu}});
  ASSERT_EQ(by_vcpu.rows.size(), 2u);
  EXPECT_EQ(by_vcpu.rows[0].key.vcpu, 1u);
  EXPECT_EQ(by_vcpu.rows[0].self, (Weight{2, 200}));
  EXPECT_EQ(by_vcpu.rows[0].total, (Weight{2, 200})) << "not once for each frame";
  EXPECT_EQ(table({.keys = {SortKey::kSymbol, SortKey::kVcpu}}).rows.size(), 4u);
}

TEST_F(ReportTableTest, ModesAreThoseOfFrames) {
  recording.shots = {{.stack = "a", .mode = CpuMode::kGuestUser}, {.stack = "b"}, {.stack = "c"}};
  const ReportTable by_mode = table({.keys = {SortKey::kMode}});
  ASSERT_EQ(by_mode.rows.size(), 2u);
  EXPECT_EQ(by_mode.rows[0].key.mode, CpuMode::kGuestKernel);
  EXPECT_EQ(by_mode.rows[0].self.samples, 2u);
}

TEST_F(ReportTableTest, KernelAndUserCodeOfOneNameAreTwoRows) {
  recording.shots = {{.stack = "a", .mode = CpuMode::kGuestUser}, {.stack = "a"}};
  EXPECT_EQ(table().rows.size(), 2u);
}

TEST_F(ReportTableTest, WithoutSymbolTheAddressIsTheRow) {
  recording.shots = {{"?"}, {"?"}};
  const ReportTable found = table();
  ASSERT_EQ(found.rows.size(), 1u);
  EXPECT_TRUE(found.rows[0].key.by_address);
  EXPECT_EQ(found.rows[0].key.address, 0x9990u);
}

TEST_F(ReportTableTest, WherePeriodsAreNotRecordedSamplesAreThePercent) {
  recording.shots = {{"a", 0}, {"a", 0}, {"a", 0}, {"b", 0}};
  const ReportTable found = table();
  EXPECT_DOUBLE_EQ(percent(found.rows[0].self, found.total), 75);
}

TEST_F(ReportTableTest, CallersAreATreeFromEachRow) {
  recording.shots = {{"abd", 50}, {"acd", 30}, {"ad", 20}};
  const ReportRow row = rows({.callers = true})["a"];
  ASSERT_EQ(row.callers.size(), 3u);
  EXPECT_EQ(symbol(row.callers[0].key), "b");
  EXPECT_EQ(row.callers[0].weight, (Weight{1, 50}));
  ASSERT_EQ(row.callers[0].callers.size(), 1u);
  EXPECT_EQ(symbol(row.callers[0].callers[0].key), "d");
  EXPECT_EQ(symbol(row.callers[1].key), "c");
  EXPECT_EQ(symbol(row.callers[2].key), "d");
}

TEST_F(ReportTableTest, CallersOfWhatIsInsideOfOthersCountTheirSamplesToo) {
  recording.shots = {{"abd", 50}, {"bd", 20}};
  const ReportRow row = rows({.callers = true})["b"];
  ASSERT_EQ(row.callers.size(), 1u);
  EXPECT_EQ(row.callers[0].weight, (Weight{2, 70}));
}

TEST_F(ReportTableTest, OfRecursionTheInnermostCallIsTheTreesRoot) {
  recording.shots = {{"abad", 50}};
  const ReportRow row = rows({.callers = true})["a"];
  ASSERT_EQ(row.callers.size(), 1u);
  EXPECT_EQ(row.callers[0].weight, (Weight{1, 50})) << "once";
  EXPECT_EQ(symbol(row.callers[0].key), "b");
  EXPECT_EQ(symbol(row.callers[0].callers[0].key), "a");
  EXPECT_EQ(symbol(row.callers[0].callers[0].callers[0].key), "d");
}

TEST_F(ReportTableTest, RareCallersAreHidden) {
  recording.shots = {{"ab", 99}, {"ac", 1}};
  EXPECT_EQ(rows({.callers = true, .percent_limit = 2})["a"].callers.size(), 1u);
}

TEST(SortKeys, AreNamesWithCommas) {
  EXPECT_EQ(parse_sort_keys("vcpu,symbol").value(),
            (std::vector{SortKey::kVcpu, SortKey::kSymbol}));
  for (const char* bad : {"", "symbol,", "colour", "symbol,symbol", "symbol vcpu"}) {
    EXPECT_FALSE(parse_sort_keys(bad)) << bad;
  }
  EXPECT_NE(parse_sort_keys("co\nlour").error().message.find("'co?lour'"), std::string::npos);
}

}  // namespace
}  // namespace vpmu::profile
