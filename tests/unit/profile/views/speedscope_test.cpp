// SPDX-License-Identifier: MIT
#include "profile/views/speedscope.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "unit/profile/views/recording.hpp"

namespace vpmu::profile {
namespace {

using namespace test;
using Json = nlohmann::json;

Json speedscope(Recording& recording) {
  AddressSpaces spaces = recording.spaces();
  const Profile profile = recording.profile(spaces, {.timeline = true});
  return Json::parse(
      written([&](const TextSink& sink) { return write_speedscope(profile, "a \"file\"", sink); }));
}

TEST(Speedscope, HasASampledProfileForEachVcpu) {
  Recording recording;
  recording.shots = {{.stack = "ba", .period = 5},
                     {.stack = "a", .period = 7, .vcpu = 1},
                     {.stack = "a", .period = 1},
                     {.stack = "ba", .period = 2}};
  const Json json = speedscope(recording);
  EXPECT_EQ(json["$schema"], "https://www.speedscope.app/file-format-schema.json");
  EXPECT_EQ(json["name"], "a \"file\"");
  const Json& frames = json["shared"]["frames"];
  const auto frame = [&](const std::string& name) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      if (frames[i]["name"] == name) return i;
    }
    return frames.size();
  };
  ASSERT_EQ(json["profiles"].size(), 2u);
  const Json& first = json["profiles"][0];
  EXPECT_EQ(first["type"], "sampled");
  EXPECT_EQ(first["name"], "cycles, vm:demo, vCPU 0");
  EXPECT_EQ(first["unit"], "none");
  EXPECT_EQ(first["startValue"], 0);
  EXPECT_EQ(first["endValue"], 8);
  EXPECT_EQ(first["weights"], Json({5, 1, 2})) << "in order of time";
  EXPECT_EQ(first["samples"][0], Json({frame("a [k]"), frame("b [k]")})) << "the outermost first";
  EXPECT_EQ(first["samples"][1], Json({frame("a [k]")}));
  EXPECT_EQ(json["profiles"][1]["weights"], Json({7}));
}

TEST(Speedscope, HostileNamesAreJson) {
  Recording recording{{"\"],\\\"x\x7f\xff"}};
  recording.shots = {{"a"}};
  EXPECT_EQ(speedscope(recording)["shared"]["frames"].size(), 1u);
}

TEST(Speedscope, NothingIsNoProfile) {
  Recording recording;
  EXPECT_TRUE(speedscope(recording)["profiles"].empty());
}

}  // namespace
}  // namespace vpmu::profile
