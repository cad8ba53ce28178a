// SPDX-License-Identifier: MIT
#include "profile/views/script.hpp"

#include <gtest/gtest.h>

#include "unit/profile/views/recording.hpp"

namespace vpmu::profile {
namespace {

using namespace test;

std::string script(Recording& recording, ProfileOptions options = {}) {
  AddressSpaces spaces = recording.spaces();
  return written([&](const TextSink& sink) {
    ScriptWriter writer{recording.info, spaces, options, sink};
    recording.replay(writer);
    return writer.finish();
  });
}

TEST(Script, IsWhatPerfScriptPrints) {
  Recording recording;
  recording.shots = {{.stack = "ba", .period = 5000, .vcpu = 1, .time = 1'234'567'890}};
  EXPECT_EQ(script(recording),
            "demo 2/2 [001] 1.234567:       5000 cycles: \n"
            "\t            1110 b+0x10 ([unknown])\n"
            "\t            1011 a+0x11 ([unknown])\n"
            "\n");
}

TEST(Script, WhatHasNoNameIsUnknown) {
  Recording recording;
  recording.guest = "";
  recording.shots = {{"?"}};
  EXPECT_EQ(script(recording),
            ":2 2/2 [000] 0.000000:        100 cycles: \n"
            "\t            9990 [unknown] ([unknown])\n"
            "\n");
}

TEST(Script, OnlyTheEventThatIsAskedFor) {
  Recording recording;
  recording.info.events.push_back({"branches", {}, {}});
  recording.shots = {{"a"}, {.stack = "a", .event = 1}};
  EXPECT_EQ(script(recording, {.event = 1}).find("cycles"), std::string::npos);
}

TEST(Script, ASinkThatFailsEndsIt) {
  Recording recording;
  recording.shots = {{"a"}};
  AddressSpaces spaces = recording.spaces();
  const TextSink full = [](std::string_view) -> Result<void> { return fail("full"); };
  ScriptWriter writer{recording.info, spaces, {}, full};
  recording.replay(writer);
  const auto done = writer.finish();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "full");
}

}  // namespace
}  // namespace vpmu::profile
