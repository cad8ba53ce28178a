// SPDX-License-Identifier: MIT
#include "profile/views/flame_graph.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <regex>

#include "unit/profile/views/recording.hpp"

namespace vpmu::profile {
namespace {

using namespace test;

struct Box {
  std::string title, name, fill;
  double x = 0, y = 0, width = 0;
};

class FlameGraphTest : public testing::Test {
 protected:
  std::string svg(const FlameGraphOptions& options = {}) {
    AddressSpaces spaces = recording.spaces();
    const Profile profile = recording.profile(spaces);
    return written([&](const TextSink& sink) { return write_flame_graph(profile, options, sink); });
  }
  /// By the first word of their titles.
  std::map<std::string, Box> boxes(const FlameGraphOptions& options = {}) {
    static const std::regex frame{
        "<g class=\"f\" data-v=\"[0-9]+\"><title>([^<]*)</title><rect x=\"([0-9.]+)\" "
        "y=\"([0-9.]+)\" "
        "width=\"([0-9.]+)\" height=\"17\" fill=\"([^\"]*)\" rx=\"1.5\"/><text "
        "[^>]*>([^<]*)</text></g>"};
    const std::string text = svg(options);
    std::map<std::string, Box> found;
    for (auto at = std::sregex_iterator{text.begin(), text.end(), frame};
         at != std::sregex_iterator{}; ++at) {
      const std::string title = (*at)[1];
      found[title.substr(0, title.find_first_of(" \n"))] = {
          title, (*at)[6], (*at)[5], std::stod((*at)[2]), std::stod((*at)[3]), std::stod((*at)[4])};
    }
    return found;
  }

  Recording recording;
};

TEST_F(FlameGraphTest, WidthsAreShares) {
  recording.shots = {{"ba", 300}, {"ca", 100}};
  auto box = boxes({.width = 1020});
  EXPECT_DOUBLE_EQ(box["all"].width, 1000);
  EXPECT_DOUBLE_EQ(box["vm:demo"].width, 1000);
  EXPECT_DOUBLE_EQ(box["a"].width, 1000);
  EXPECT_DOUBLE_EQ(box["b"].width, 750);
  EXPECT_DOUBLE_EQ(box["c"].width, 250);
  EXPECT_DOUBLE_EQ(box["b"].x, 10);
  EXPECT_DOUBLE_EQ(box["c"].x, 760);
}

TEST_F(FlameGraphTest, CallersAreBelowAndInAnIcicleAbove) {
  recording.shots = {{"ba"}};
  auto box = boxes();
  EXPECT_GT(box["all"].y, box["a"].y);
  EXPECT_GT(box["a"].y, box["b"].y);
  box = boxes({.inverted = true});
  EXPECT_LT(box["all"].y, box["a"].y);
  EXPECT_LT(box["a"].y, box["b"].y);
}

TEST_F(FlameGraphTest, TitlesOfFramesSayWhatAndHowMuch) {
  recording.shots = {{"ba", 3000}, {"a", 1000}};
  EXPECT_EQ(boxes()["a"].title, "a (kernel)\n100.00%, 2 samples, count 4,000; self 25.00%");
}

TEST_F(FlameGraphTest, NarrowFramesAreLeftOutAndCounted) {
  recording.shots = {{"a", 9999}, {"b", 1}};
  EXPECT_FALSE(boxes({.width = 1020, .min_width = 0.5}).contains("b"));
  EXPECT_NE(svg({.width = 1020, .min_width = 0.5}).find("1 too narrow to show"), std::string::npos);
  EXPECT_TRUE(boxes({.width = 1020, .min_width = 0}).contains("b"));
}

/// Of sRGB, as eyes and printers without colours see it; 0 black, 100 white (CIE L*).
double lightness(const std::string& colour) {
  const auto part = [&](std::size_t at) {
    const double value = std::stoi(colour.substr(at, 2), nullptr, 16) / 255.0;
    return value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
  };
  const double luminance = 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
  return 116 * std::cbrt(luminance) - 16;
}

TEST_F(FlameGraphTest, KernelAndUserDifferInLightnessWhateverTheName) {
  std::vector<double> kernel, user;
  for (const char c : std::string{"abcdefghij"}) {
    recording.shots = {{std::string(1, c)}};
    kernel.push_back(lightness(boxes()[std::string(1, c)].fill));
    recording.shots = {{.stack = std::string(1, c), .mode = CpuMode::kGuestUser}};
    user.push_back(lightness(boxes()[std::string(1, c)].fill));
  }
  EXPECT_GT(*std::ranges::min_element(user) - *std::ranges::max_element(kernel), 8);
  EXPECT_GT(*std::ranges::min_element(kernel), 50) << "black text must be legible";
}

TEST_F(FlameGraphTest, UnknownCodeIsHatched) {
  recording.shots = {{"?"}};
  EXPECT_EQ(boxes()["[unknown]"].fill, "url(#hatch)");
}

TEST_F(FlameGraphTest, TheSameNameHasTheSameColour) {
  recording.shots = {{"ab"}, {"cba"}};
  const std::string one = boxes()["b"].fill;
  recording.shots = {{"b"}};
  EXPECT_EQ(boxes()["b"].fill, one);
}

TEST_F(FlameGraphTest, NamesFitTheirBoxes) {
  const std::string text(200, 'x');
  recording.shots = {{"a", 50}, {"b", 50}};
  recording.guest = text;
  const auto box = boxes({.width = 320})["vm:" + text];
  EXPECT_TRUE(box.name.ends_with("..."));
  EXPECT_LE(static_cast<double>(box.name.size()) * 7.3, 300 - 8);
}

TEST(HostileFlameGraph, NamesAreEscaped) {
  Recording recording{{"</title><script>alert(1)</script>", "a]]>b&\"'"}};
  recording.shots = {{"ab"}};
  recording.guest = "<g onload=\"x\">";
  AddressSpaces spaces = recording.spaces();
  const Profile profile = recording.profile(spaces);
  const std::string text = written([&](const TextSink& sink) {
    return write_flame_graph(profile, {.title = "<b>&\x01"}, sink);
  });
  EXPECT_EQ(text.find("<script>alert"), std::string::npos);
  EXPECT_EQ(text.find("<g onload"), std::string::npos);
  EXPECT_NE(text.find("&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;"), std::string::npos);
  EXPECT_NE(text.find("&lt;b&gt;&amp;?"), std::string::npos);
  EXPECT_EQ(text.find("]]>"), text.rfind("]]>")) << "only the script's end";
}

TEST_F(FlameGraphTest, NothingIsSaid) {
  EXPECT_NE(svg().find("No samples of this event."), std::string::npos);
}

TEST_F(FlameGraphTest, LossAndCutsAreSaid) {
  recording.shots = {{"a"}};
  recording.lost = 1234;
  recording.info.complete = false;
  const std::string text = svg();
  EXPECT_NE(text.find("1,234 samples lost"), std::string::npos);
  EXPECT_NE(text.find("cut short"), std::string::npos);
}

}  // namespace
}  // namespace vpmu::profile
