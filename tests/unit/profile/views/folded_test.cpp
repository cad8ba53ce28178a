// SPDX-License-Identifier: MIT
#include "profile/views/folded.hpp"

#include <gtest/gtest.h>

#include "unit/profile/views/recording.hpp"

namespace vpmu::profile {
namespace {

using namespace test;

std::string folded(Recording& recording, WeightKind weight = WeightKind::kSamples) {
  AddressSpaces spaces = recording.spaces();
  const Profile profile = recording.profile(spaces);
  return written([&](const TextSink& sink) { return write_folded(profile, 0, weight, sink); });
}

TEST(Folded, AStackIsALineWithTheOutermostFirst) {
  Recording recording;
  recording.shots = {{"cba", 100}, {"cba", 30}, {"ba", 7}};
  EXPECT_EQ(folded(recording), "vm:demo;a_[k];b_[k] 1\nvm:demo;a_[k];b_[k];c_[k] 2\n");
  EXPECT_EQ(folded(recording, WeightKind::kCount),
            "vm:demo;a_[k];b_[k] 7\nvm:demo;a_[k];b_[k];c_[k] 130\n");
}

TEST(Folded, OnlyKernelFramesAreMarked) {
  Recording recording;
  recording.shots = {{.stack = "a", .mode = CpuMode::kGuestUser}, {"?"}};
  EXPECT_EQ(folded(recording), "vm:demo;[unknown]_[k] 1\nvm:demo;a 1\n");
}

TEST(Folded, BlanksInGuestsNamesAreUnderscores) {
  Recording recording;
  recording.guest = "my big;guest";
  recording.shots = {{"a"}};
  EXPECT_EQ(folded(recording), "vm:my_big:guest;a_[k] 1\n");
}

TEST(Folded, FunctionsThatDifferInTheirArgumentsAreOne) {
  Recording recording{{"f(int)", "f(char)"}};
  recording.shots = {{"a"}, {"b"}};
  EXPECT_EQ(folded(recording), "vm:demo;f_[k] 2\n");
}

TEST(Folded, NothingIsNoLine) {
  Recording recording;
  EXPECT_EQ(folded(recording), "");
}

TEST(FoldedName, HasNoArgumentsAndNothingThatReadersSplitAt) {
  EXPECT_EQ(folded_name("f"), "f");
  EXPECT_EQ(folded_name("f(int, char)"), "f");
  EXPECT_EQ(folded_name("a::f(void (*)(int)) const"), "a::f");
  EXPECT_EQ(folded_name("f(int) [clone .cold]"), "f");
  EXPECT_EQ(folded_name("(anonymous namespace)::f(int)"), "(anonymous namespace)::f");
  EXPECT_EQ(folded_name("a::operator()(int) const"), "a::operator()");
  EXPECT_EQ(folded_name("a::operator()"), "a::operator()");
  EXPECT_EQ(folded_name("v<int>::at"), "vint::at");
  EXPECT_EQ(folded_name("a;b'\""), "a:b");
  EXPECT_EQ(folded_name(")"), ")");
  EXPECT_EQ(folded_name("()"), "()");
  EXPECT_EQ(folded_name("<>"), "[unknown]");
}

}  // namespace
}  // namespace vpmu::profile
