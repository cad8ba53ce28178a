// SPDX-License-Identifier: MIT
#include "profile/views/profile_builder.hpp"

#include "unit/profile/views/recording.hpp"

namespace vpmu::profile {
namespace {

using namespace test;

TEST(ProfileBuilder, TheSameStackIsOneGroup) {
  Recording recording;
  recording.shots = {{"ab"}, {"ab", 300}, {"ac"}};
  AddressSpaces spaces = recording.spaces();
  const Profile profile = recording.profile(spaces);
  ASSERT_EQ(profile.groups.size(), 2u);
  EXPECT_EQ(profile.groups[0].weight, (Weight{2, 400}));
  EXPECT_EQ(profile.groups[1].weight, (Weight{1, 100}));
  EXPECT_EQ(profile.events[0].total, (Weight{3, 500}));
  EXPECT_TRUE(profile.events[0].has_callers);
}

TEST(ProfileBuilder, VcpusModesAndEventsAreApart) {
  Recording recording;
  recording.info.events.push_back({"branches", {}, {}});
  recording.shots = {{.stack = "a"},
                     {.stack = "a", .vcpu = 1},
                     {.stack = "a", .mode = CpuMode::kGuestUser},
                     {.stack = "a", .event = 1},
                     {.stack = "a"}};
  AddressSpaces spaces = recording.spaces();
  EXPECT_EQ(recording.profile(spaces).groups.size(), 4u);
}

TEST(ProfileBuilder, AProcessThatRunsAnotherProgramHasNothingMapped) {
  perf_data::FileInfo info;
  info.events.push_back({"cycles", {}, {}});
  auto spaces = AddressSpaces::create();
  ASSERT_TRUE(spaces);
  ProfileBuilder builder{info, *spaces, {}};
  const perf_data::Task task{0, 7, 7, 0, CpuMode::kUser};
  perf_data::SampleRecord sample;
  sample.task = task;
  sample.ip = 0x1010;
  builder.on_mapping({task, 0x1000, 0x100, 0, "[old]", {}, true});
  builder.on_sample(sample);
  builder.on_comm({task, "only a name"});
  builder.on_sample(sample);
  builder.on_comm({task, "program", true});
  builder.on_sample(sample);
  const Profile profile = builder.finish(true);
  ASSERT_EQ(profile.frames.size(), 2u);
  EXPECT_NE(profile.frames[0].image, kNoImage);
  EXPECT_EQ(profile.frames[1].image, kNoImage);
}

TEST(ProfileBuilder, MemoryGoesWithStacksNotWithSamples) {
  Recording recording;
  for (int i = 0; i < 5'000; ++i) recording.shots.push_back({i % 2 == 0 ? "abc" : "dbc"});
  AddressSpaces spaces = recording.spaces();
  const Profile profile = recording.profile(spaces);
  EXPECT_EQ(profile.groups.size(), 2u);
  EXPECT_EQ(profile.frames.size(), 4u);
  EXPECT_EQ(profile.stacks.size(), 1u + 4u);
  EXPECT_TRUE(profile.timeline.empty());
  EXPECT_EQ(recording.profile(spaces, {.timeline = true}).timeline.size(), 5'000u);
}

TEST(ProfileBuilder, OnlyTheEventThatIsAskedFor) {
  Recording recording;
  recording.info.events.push_back({"branches", {}, {}});
  recording.shots = {{"a"}, {.stack = "b", .event = 1}};
  AddressSpaces spaces = recording.spaces();
  const Profile profile = recording.profile(spaces, {.event = 1});
  EXPECT_EQ(profile.events[0].total.samples, 0u);
  EXPECT_EQ(profile.events[1].total.samples, 1u);
}

TEST(ProfileBuilder, ASampleOfNoEventIsLeftOut) {
  Recording recording;
  recording.shots = {{.stack = "a", .event = 7}};
  AddressSpaces spaces = recording.spaces();
  EXPECT_TRUE(recording.profile(spaces).groups.empty());
}

TEST(ProfileBuilder, TimesAreThoseOfTheFirstAndTheLastSample) {
  Recording recording;
  recording.shots = {{.stack = "a", .time = 500}, {.stack = "a", .time = 900}};
  AddressSpaces spaces = recording.spaces();
  const Profile profile = recording.profile(spaces);
  EXPECT_EQ(profile.first_time, 500u);
  EXPECT_EQ(profile.last_time, 900u);
}

TEST(ProfileBuilder, CountsStayAtTheirMaximum) {
  Recording recording;
  recording.shots = {{"a", ~std::uint64_t{0}}, {"a", 2}};
  AddressSpaces spaces = recording.spaces();
  const Profile profile = recording.profile(spaces);
  EXPECT_EQ(profile.groups[0].weight, (Weight{2, ~std::uint64_t{0}}));
}

TEST(ProfileBuilder, SamplesWithoutSymbolAreCounted) {
  Recording recording;
  recording.shots = {{"?a"}, {"a?"}};
  AddressSpaces spaces = recording.spaces();
  EXPECT_EQ(recording.profile(spaces).events[0].without_symbol.samples, 1u);
}

TEST(ProfileBuilder, GuestsAreNamedByTheirGuest) {
  Recording recording;
  recording.shots = {{"a"}};
  AddressSpaces spaces = recording.spaces();
  Profile profile = recording.profile(spaces);
  EXPECT_EQ(profile.names[profile.groups[0].task], "vm:demo");
  EXPECT_EQ(profile.guests, std::vector<std::string>{"demo"});
  recording.guest = "";
  profile = recording.profile(spaces);
  EXPECT_EQ(profile.names[profile.groups[0].task], "vm:1") << "by its number";
}

TEST(ProfileBuilder, ProcessesAreNamedByTheirProcess) {
  Recording recording;
  AddressSpaces spaces = recording.spaces();
  ProfileBuilder builder{recording.info, spaces, {}};
  builder.on_comm({{0, 10, 10, kNoVcpu, CpuMode::kUser}, "server"});
  builder.on_comm({{0, 10, 11, kNoVcpu, CpuMode::kUser}, "worker"});
  perf_data::SampleRecord sample;
  sample.task = {0, 10, 11, kNoVcpu, CpuMode::kUser};
  sample.ip = in('a');
  builder.on_sample(sample);
  sample.task.pid = 20;
  builder.on_sample(sample);
  const Profile profile = builder.finish(true);
  ASSERT_EQ(profile.groups.size(), 2u);
  EXPECT_EQ(profile.names[profile.groups[0].task], "server");
  EXPECT_EQ(profile.names[profile.groups[1].task], ":20");
}

TEST(ProfileBuilder, AfterANewMappingAnAddressIsAnotherPlace) {
  Recording recording;
  AddressSpaces spaces = recording.spaces();
  ProfileBuilder builder{recording.info, spaces, {}};
  perf_data::SampleRecord sample;
  sample.task = {0, 10, 10, kNoVcpu, CpuMode::kUser};
  sample.ip = 0x70000;
  builder.on_sample(sample);
  perf_data::MappingRecord mapping;
  mapping.task = sample.task;
  mapping.start = 0x70000;
  mapping.length = 0x1000;
  mapping.file = "[somewhere]";
  builder.on_mapping(mapping);
  builder.on_sample(sample);
  const Profile profile = builder.finish(true);
  ASSERT_EQ(profile.frames.size(), 2u);
  EXPECT_EQ(profile.frames[0].image, kNoImage);
  EXPECT_NE(profile.frames[1].image, kNoImage);
}

TEST(ProfileBuilder, HostileStacksOfAllLengthsAreKept) {
  Recording recording;
  AddressSpaces spaces = recording.spaces();
  ProfileBuilder builder{recording.info, spaces, {.branches = true}};
  perf_data::SampleRecord sample;
  sample.task = {~0u, ~0u, ~0u, 3, CpuMode::kHypervisor};
  std::vector<std::uint64_t> chain;
  for (std::uint64_t i = 0; i < 8'000; ++i) {
    chain.push_back(i % 3 == 0 ? ~std::uint64_t{0} - i : i);
    sample.callchain = chain;
    if (i % 97 == 0) builder.on_sample(sample);
  }
  const Profile profile = builder.finish(true);
  for (const Group& group : profile.groups) {
    EXPECT_LE(profile.stacks[group.stack].depth, kMostFrames);
  }
}

}  // namespace
}  // namespace vpmu::profile
