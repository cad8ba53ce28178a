// SPDX-License-Identifier: MIT
#include "profile/views/report_text.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <sstream>

#include "profile/views/columns.hpp"
#include "unit/profile/views/recording.hpp"

namespace vpmu::profile {
namespace {

using namespace test;

class ReportTextTest : public testing::Test {
 protected:
  std::string text(const ReportOptions& options = {}, std::size_t columns = 80) {
    spaces_ = std::make_unique<AddressSpaces>(recording.spaces());
    const Profile profile = recording.profile(*spaces_);
    return report_text(profile, make_report_table(profile, *spaces_, 0, options), options, columns);
  }
  std::string header() {
    spaces_ = std::make_unique<AddressSpaces>(recording.spaces());
    return report_header(recording.profile(*spaces_), "perf.data", 80);
  }

  Recording recording;

 private:
  std::unique_ptr<AddressSpaces> spaces_;
};

TEST_F(ReportTextTest, IsATableOfSelfAndTotal) {
  recording.shots = {{"ba", 3'000'000}, {.stack = "a", .mode = CpuMode::kGuestUser}};
  recording.shots[1].period = 1'000'000;
  EXPECT_EQ(text(),
            "event     cycles\n"
            "          2 samples, count 4,000,000\n"
            "\n"
            "         self                     total\n"
            "      % samples   count        % samples   count  symbol\n"
            " 75.00%       1  3.000M   75.00%       1  3.000M  [k] b\n"
            " 25.00%       1  1.000M   25.00%       1  1.000M  [u] a\n"
            "  0.00%       0       0   75.00%       1  3.000M  [k] a\n");
}

TEST_F(ReportTextTest, CallersGoToTheRightWhereTheyFork) {
  recording.shots = {{"abd", 60}, {"acd", 40}};
  const std::string shown = text({.callers = true, .limit = 1});
  EXPECT_NE(shown.find("[k] a\n"
                       "         60.00% [k] b\n"
                       "                [k] d\n"
                       "         40.00% [k] c\n"
                       "                [k] d\n"
                       "\n3 more rows (--limit, --percent-limit)\n"),
            std::string::npos)
      << shown;
}

TEST_F(ReportTextTest, HeaderSaysWhatWasRecorded) {
  recording.shots = {{.stack = "a", .time = 1'000'000'000}, {.stack = "a", .time = 3'500'000'000}};
  recording.lost = 7;
  EXPECT_EQ(header(),
            "file      perf.data\n"
            "guest     demo\n"
            "samples   2, 7 lost\n"
            "duration  2.500000 s from the first sample to the last\n");
}

TEST_F(ReportTextTest, HeaderNamesTheProcessesWhereThereIsNoGuest) {
  Profile profile;
  profile.processes = {"server", "client"};
  EXPECT_NE(report_header(profile, "f", 80).find("process   server, client\n"), std::string::npos);
  profile.processes = {std::string(200, 'x')};
  std::stringstream lines{report_header(profile, std::string(200, 'f'), 80)};
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u);
}

TEST_F(ReportTextTest, ACutRecordingIsSaidToBeOne) {
  recording.shots = {{"a"}};
  recording.info.complete = false;
  EXPECT_NE(header().find("The recording was cut short"), std::string::npos);
}

TEST_F(ReportTextTest, NoSamplesAreSaidToBeNone) {
  EXPECT_NE(text().find("No samples of this event."), std::string::npos);
}

TEST_F(ReportTextTest, NoLineIsLongerThanTheTerminal) {
  const std::string names[] = {std::string(300, 'x'), "\u4e2d\u6587" + std::string(100, 'y')};
  Recording long_names{{names[0], names[1]}};
  long_names.info.events[0].name = std::string(200, 'e');
  for (int i = 0; i < 40; ++i) {
    std::string stack;
    for (int depth = 0; depth < i; ++depth) stack += depth % 3 == 0 ? 'a' : 'b';
    long_names.shots.push_back({stack + "ab", 1'000'000'007});
  }
  AddressSpaces spaces = long_names.spaces();
  const Profile profile = long_names.profile(spaces);
  const ReportOptions options{
      .keys = {SortKey::kVcpu, SortKey::kMode, SortKey::kImage, SortKey::kLine, SortKey::kSymbol},
      .callers = true};
  for (const std::size_t columns : {80u, 100u, 200u}) {
    std::stringstream lines{
        report_text(profile, make_report_table(profile, spaces, 0, options), options, columns)};
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(columns_of(line), columns) << line;
    }
  }
}

TEST_F(ReportTextTest, KeysAreColumnsInTheirOrder) {
  recording.shots = {{.stack = "a", .vcpu = 3}};
  const std::string shown = text({.keys = {SortKey::kVcpu, SortKey::kMode, SortKey::kSymbol}});
  EXPECT_NE(shown.find("vcpu  mode          symbol\n"), std::string::npos) << shown;
  EXPECT_NE(shown.find("3     guest kernel  [k] a\n"), std::string::npos) << shown;
}

}  // namespace
}  // namespace vpmu::profile
