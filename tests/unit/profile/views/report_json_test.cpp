// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "profile/views/report_text.hpp"
#include "unit/profile/views/recording.hpp"

namespace vpmu::profile {
namespace {

using namespace test;
using Json = nlohmann::ordered_json;

TEST(ReportJson, HasWhatTheTableHasAndAllDigits) {
  Recording recording;
  recording.shots = {{"ba", 3'000'001}, {"a", 1'000'000}};
  recording.lost = 2;
  AddressSpaces spaces = recording.spaces();
  const Profile profile = recording.profile(spaces);
  const ReportOptions options{.callers = true};
  const Json json =
      report_json(profile, "x\x01.data", {make_report_table(profile, spaces, 0, options)}, options);
  EXPECT_EQ(json["vpmu_report"], 1);
  EXPECT_EQ(json["file"], "x?.data");
  EXPECT_EQ(json["guests"], Json({"demo"}));
  EXPECT_EQ(json["complete"], true);
  EXPECT_EQ(json["lost_samples"], 2);
  ASSERT_EQ(json["events"].size(), 1u);
  EXPECT_EQ(json["events"][0]["event"], "cycles");
  EXPECT_EQ(json["events"][0]["count"], 4'000'001);
  const Json& row = json["events"][0]["rows"][0];
  EXPECT_EQ(row["symbol"], "b");
  EXPECT_EQ(row["kind"], "k");
  EXPECT_EQ(row["self"]["samples"], 1);
  EXPECT_EQ(row["self"]["count"], 3'000'001);
  EXPECT_EQ(row["callers"][0]["symbol"], "a");
  EXPECT_EQ(row["callers"][0]["weight"]["count"], 3'000'001);
}

TEST(ReportJson, WhatIsNotKnownIsNull) {
  Recording recording;
  recording.shots = {{"?"}};
  AddressSpaces spaces = recording.spaces();
  const Profile profile = recording.profile(spaces);
  const ReportOptions options{
      .keys = {SortKey::kSymbol, SortKey::kLine, SortKey::kImage, SortKey::kVcpu, SortKey::kMode}};
  const Json json =
      report_json(profile, "f", {make_report_table(profile, spaces, 0, options)}, options);
  const Json& row = json["events"][0]["rows"][0];
  EXPECT_TRUE(row["symbol"].is_null());
  EXPECT_TRUE(row["file"].is_null());
  EXPECT_TRUE(row["line"].is_null());
  EXPECT_TRUE(row["image"].is_null());
  EXPECT_EQ(row["address"], 0x9990);
  EXPECT_EQ(row["vcpu"], 0);
  EXPECT_EQ(row["mode"], "guest kernel");
}

}  // namespace
}  // namespace vpmu::profile
