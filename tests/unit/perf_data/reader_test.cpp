// SPDX-License-Identifier: MIT
//
// Files that are not ours: other sample types, forms and versions.
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "file_builder.hpp"
#include "recorded.hpp"

namespace vpmu::profile::perf_data {
namespace {

constexpr std::uint64_t kPlain = kSampleIp | kSampleTid | kSampleTime;
constexpr std::uint64_t kAll = flag(AttrFlag::kSampleIdAll);

Everything read_bytes(const std::string& bytes) {
  const TestPath path;
  write_content(path.str(), bytes);
  return read_everything(path.str());
}

std::vector<std::uint64_t> addresses(const Everything& all) {
  std::vector<std::uint64_t> ips;
  for (const ReadSample& sample : all.samples) ips.push_back(sample.ip);
  return ips;
}

TEST(Reader, ReadsOneEventWithoutIds) {
  const Everything all = read_bytes(
      FileBuilder{.events = {{attr_with(kPlain)}}, .records = sample({0x1234, pair(10, 11), 500})}
          .bytes());
  ASSERT_EQ(all.error, "");
  ASSERT_EQ(all.samples.size(), 1u);
  EXPECT_EQ(all.samples[0].ip, 0x1234u);
  EXPECT_EQ(all.samples[0].task.pid, 10u);
  EXPECT_EQ(all.samples[0].task.tid, 11u);
  EXPECT_EQ(all.samples[0].task.mode, CpuMode::kUser);
  EXPECT_EQ(all.samples[0].time, 500u);
  EXPECT_TRUE(all.info.complete);
}

TEST(Reader, ReadsEventsOfEverySize) {
  // 136 and 144 are of newer versions; what they add changes nothing here.
  for (const std::uint32_t size : {64u, 72u, 80u, 96u, 104u, 112u, 120u, 128u, 136u, 144u}) {
    Attr attr = attr_with(kPlain);
    attr.size = size;
    attr.config = 7;
    attr.type = 4;
    const Everything all =
        read_bytes(FileBuilder{.events = {{attr}}, .records = sample({1, pair(2, 3), 4})}.bytes());
    ASSERT_EQ(all.error, "") << size;
    EXPECT_EQ(addresses(all), std::vector<std::uint64_t>{1}) << size;
    EXPECT_EQ(all.info.events[0].attr.config, 7u) << size;
    EXPECT_EQ(all.info.events[0].name, "r7") << size;
  }
}

TEST(Reader, ReadsAHeaderWithoutFeatures) {
  const Everything all = read_bytes(FileBuilder{.events = {{attr_with(kPlain)}},
                                                .records = sample({1, pair(2, 3), 4}),
                                                .features = {},
                                                .header_bytes = 72}
                                        .bytes());
  ASSERT_EQ(all.error, "");
  EXPECT_EQ(all.samples.size(), 1u);
}

TEST(Reader, ReadsRecordsThatLieAskew) {
  FileBuilder file{.events = {{attr_with(kPlain | kSampleCallchain)}},
                   .records = sample({1, pair(2, 3), 4, 2, kContextUser, 77})};
  for (std::size_t gap = 1; gap < 8; ++gap) {
    file.gap = gap;
    const Everything all = read_bytes(file.bytes());
    ASSERT_EQ(all.error, "") << gap;
    ASSERT_EQ(all.samples.size(), 1u) << gap;
    EXPECT_EQ(all.samples[0].callchain, (std::vector<std::uint64_t>{kContextUser, 77})) << gap;
  }
}

/// A field that is passed over, with what it takes in a body.
struct Skipped {
  const char* name;
  std::uint64_t type;
  std::uint64_t read_format;
  std::string content;
};

/// In front of the branches; all with one frame in front, and one branch behind.
const std::vector<Skipped>& skipped_fields() {
  static const std::vector<Skipped> fields{
      {"value", kSampleRead, 0, words({5})},
      {"value and times", kSampleRead, 1 | 2, words({5, 6, 7})},
      {"value, id and lost", kSampleRead, 4 | 16, words({5, 6, 7})},
      {"group of none", kSampleRead, 8, words({0})},
      {"group of two", kSampleRead, 8, words({2, 5, 6})},
      {"group of two with all", kSampleRead, 1 | 2 | 4 | 8 | 16,
       words({2, 100, 101, 5, 1, 0, 6, 2, 0})},
      {"raw of 4", kSampleRaw, 0, half_words({4, 1})},
      {"raw of 12", kSampleRaw, 0, half_words({12, 1, 2, 3})},
      {"raw of 6, padded", kSampleRaw, 0, half_words({6, 1, 2, 0})},
  };
  return fields;
}

TEST(Reader, PassesOverWhatItDoesNotUse) {
  for (const Skipped& skipped : skipped_fields()) {
    Attr attr = attr_with(kPlain | kSampleBranchStack | kSampleCallchain | skipped.type);
    attr.read_format = skipped.read_format;
    const std::string chain = words({1, 0x99});
    const bool behind_chain = skipped.type == kSampleRaw;
    const std::string body = words({1, pair(2, 3), 4}) +
                             (behind_chain ? chain + skipped.content : skipped.content + chain) +
                             words({1, 0x10, 0x20, 2});
    const Everything all = read_bytes(
        FileBuilder{.events = {{attr}}, .records = record(RecordType::kSample, body)}.bytes());
    ASSERT_EQ(all.error, "") << skipped.name;
    ASSERT_EQ(all.samples.size(), 1u) << skipped.name;
    EXPECT_EQ(all.samples[0].callchain, std::vector<std::uint64_t>{0x99}) << skipped.name;
    ASSERT_EQ(all.samples[0].branches.size(), 1u) << skipped.name;
    EXPECT_EQ(all.samples[0].branches[0].from, 0x10u) << skipped.name;
    EXPECT_EQ(all.samples[0].branches[0].to, 0x20u) << skipped.name;
  }
}

TEST(Reader, KnowsTheOrderOfAllFixedFields) {
  const std::uint64_t type = kSampleIdentifier | kSampleIp | kSampleTid | kSampleTime |
                             kSampleAddr | kSampleId | kSampleStreamId | kSampleCpu | kSamplePeriod;
  const Everything all =
      read_bytes(FileBuilder{.events = {{attr_with(type), {42}}},
                             .records = sample({42, 1, pair(2, 3), 4, 5, 42, 6, pair(7, 0), 8})}
                     .bytes());
  ASSERT_EQ(all.error, "");
  ASSERT_EQ(all.samples.size(), 1u);
  EXPECT_EQ(all.samples[0].ip, 1u);
  EXPECT_EQ(all.samples[0].task.tid, 3u);
  EXPECT_EQ(all.samples[0].time, 4u);
  EXPECT_EQ(all.samples[0].cpu, 7u);
  EXPECT_EQ(all.samples[0].period, 8u);
}

TEST(Reader, PassesOverTheHardwareIndexOfBranches) {
  Attr attr = attr_with(kPlain | kSampleBranchStack);
  attr.branch_sample_type = 1u << 17 | 1u << 3;
  const Everything all = read_bytes(
      FileBuilder{.events = {{attr}}, .records = sample({1, pair(2, 3), 4, 1, 31, 0x10, 0x20, 2})}
          .bytes());
  ASSERT_EQ(all.samples.size(), 1u);
  ASSERT_EQ(all.samples[0].branches.size(), 1u);
  EXPECT_EQ(all.samples[0].branches[0].from, 0x10u);
}

TEST(Reader, ASampleWithoutPeriodStandsForTheEventsPeriod) {
  Attr fixed = attr_with(kPlain);
  fixed.sample_period = 1000;
  Attr by_frequency = fixed;
  by_frequency.flags = flag(AttrFlag::kFreq);
  for (const auto& [attr, period] : {std::pair{fixed, 1000u}, {by_frequency, 1u}}) {
    const Everything all =
        read_bytes(FileBuilder{.events = {{attr}}, .records = sample({1, pair(2, 3), 4})}.bytes());
    ASSERT_EQ(all.samples.size(), 1u);
    EXPECT_EQ(all.samples[0].period, period);
  }
}

TEST(Reader, TellsEventsApartByIdentifier) {
  // The events' samples differ behind it.
  const Everything all = read_bytes(
      FileBuilder{.events = {{attr_with(kSampleIdentifier | kPlain), {10, 11}},
                             {attr_with(kSampleIdentifier | kPlain | kSamplePeriod), {20}}},
                  .records = sample({11, 1, pair(2, 3), 4}) + sample({20, 5, pair(2, 3), 6, 7}) +
                             sample({10, 8, pair(2, 3), 9})}
          .bytes());
  ASSERT_EQ(all.error, "");
  ASSERT_EQ(all.samples.size(), 3u);
  EXPECT_EQ(all.samples[0].event, 0u);
  EXPECT_EQ(all.samples[1].event, 1u);
  EXPECT_EQ(all.samples[1].period, 7u);
  EXPECT_EQ(all.samples[2].event, 0u);
}

TEST(Reader, TellsEventsApartById) {
  const std::uint64_t type = kPlain | kSampleId;
  const Everything all = read_bytes(
      FileBuilder{.events = {{attr_with(type), {10}}, {attr_with(type), {20}}},
                  .records = sample({1, pair(2, 3), 4, 20}) + sample({5, pair(2, 3), 6, 10})}
          .bytes());
  ASSERT_EQ(all.error, "");
  ASSERT_EQ(all.samples.size(), 2u);
  EXPECT_EQ(all.samples[0].event, 1u);
  EXPECT_EQ(all.samples[1].event, 0u);
}

TEST(Reader, NamesEventsAsTheFileDoesOrByTheirNumbers) {
  Attr hardware = attr_with(kPlain | kSampleIdentifier);
  Attr software = hardware, raw = hardware;
  hardware.config = 1;
  software.type = 1;
  software.config = 1;
  raw.type = 4;
  raw.config = 0x1c2;
  FileBuilder file{.events = {{hardware, {1}}, {software, {2}}, {raw, {3}}},
                   .records = sample({1, 1, pair(2, 3), 4})};
  const auto names = [&file] {
    std::vector<std::string> of_events;
    for (const FileEvent& event : read_bytes(file.bytes()).info.events) {
      of_events.push_back(event.name);
    }
    return of_events;
  };
  EXPECT_EQ(names(), (std::vector<std::string>{"instructions", "task-clock", "r1c2"}));
  std::string description = half_words({3, kAttrBytes});
  for (const char* name : {"one", "two", "three"}) {
    description +=
        std::string(kAttrBytes, '\0') + half_words({1, 64}) + text(name, 64) + words({9});
  }
  file.features = {{12, description}};
  EXPECT_EQ(names(), (std::vector<std::string>{"one", "two", "three"}));
}

TEST(Reader, ReadsRecordsBesideSamplesWithTheirTrailers) {
  const std::string trailer = words({pair(10, 11), 50});
  const std::string mapping =
      words({pair(10, 11), 0x400000, 0x1000, 0x2000, 1, 2, 3}) + half_words({5, 2});
  const Everything all = read_bytes(FileBuilder{
      .events = {{attr_with(kPlain, kAll)}},
      .records = record(RecordType::kComm, half_words({10, 11}) + text("sort") + trailer, 1 << 13) +
                 record(RecordType::kMmap2, mapping + text("/bin/sort") + trailer, 2) +
                 record(RecordType::kFork, half_words({12, 10, 13, 11}) + words({49}) + trailer) +
                 record(RecordType::kMmap,
                        words({pair(10, 11), 0x600000, 0x1000, 0}) + text("//anon") + trailer,
                        2 | 1 << 13) +
                 record(RecordType::kLostSamples, words({5}) + trailer) +
                 record(RecordType::kLost, words({0, 6}) + trailer) + sample({1, pair(2, 3), 60})}
                                        .bytes());
  ASSERT_EQ(all.error, "");
  ASSERT_EQ(all.names.size(), 1u);
  EXPECT_EQ(all.names[0].name, "sort");
  EXPECT_TRUE(all.names[0].exec);
  EXPECT_EQ(all.names[0].task.pid, 10u);
  EXPECT_EQ(all.names[0].task.tid, 11u);
  ASSERT_EQ(all.mappings.size(), 2u);
  EXPECT_EQ(all.mappings[0].start, 0x400000u);
  EXPECT_EQ(all.mappings[0].length, 0x1000u);
  EXPECT_EQ(all.mappings[0].file_offset, 0x2000u);
  EXPECT_EQ(all.mappings[0].file, "/bin/sort");
  EXPECT_TRUE(all.mappings[0].executable);
  EXPECT_FALSE(all.mappings[1].executable);
  ASSERT_EQ(all.forks.size(), 1u);
  EXPECT_EQ(all.forks[0].task.pid, 12u);
  EXPECT_EQ(all.forks[0].task.tid, 13u);
  EXPECT_EQ(all.forks[0].parent_pid, 10u);
  EXPECT_EQ(all.lost, 11u);
}

TEST(Reader, TakesBuildIdsFromMappingsOrFromTheFilesList) {
  const std::string identity = half_words({4, 0x04030201, 0, 0, 0, 0});
  const std::string place = words({pair(10, 11), 0x400000, 0x1000, 0});
  const std::string listed = half_words({67, 2 | 100u << 16, ~0u}) + "ABCDEFGHIJKLMNOPQRST" +
                             std::string(4, '\0') + text("/bin/b", 64);
  const Everything all = read_bytes(FileBuilder{
      .events = {{attr_with(kPlain)}},
      .records = record(RecordType::kMmap2, place + identity + half_words({5, 2}) + text("/bin/a"),
                        2 | 1 << 14) +
                 record(RecordType::kMmap, place + text("/bin/b"), 2) +
                 record(RecordType::kMmap, place + text("/bin/c"), 2),
      .features = {{2, listed}}}.bytes());
  ASSERT_EQ(all.error, "");
  ASSERT_EQ(all.mappings.size(), 3u);
  EXPECT_EQ(all.mappings[0].build_id, (std::vector<std::uint8_t>{1, 2, 3, 4}));
  ASSERT_EQ(all.mappings[1].build_id.size(), 20u);
  EXPECT_EQ(all.mappings[1].build_id[0], 'A');
  EXPECT_TRUE(all.mappings[2].build_id.empty());
}

TEST(Reader, KnowsVcpusByTheNamesOfTheirThreads) {
  const Everything all = read_bytes(
      FileBuilder{.events = {{attr_with(kPlain)}},
                  .records = record(RecordType::kComm, half_words({10, 17}) + text("CPU 3/KVM")) +
                             record(RecordType::kComm, half_words({10, 18}) + text("CPU x/KVM")) +
                             sample({1, pair(10, 17), 4}) + sample({1, pair(10, 18), 5})}
          .bytes());
  ASSERT_EQ(all.samples.size(), 2u);
  EXPECT_EQ(all.samples[0].task.vcpu, 3u);
  EXPECT_EQ(all.samples[1].task.vcpu, ~0u);
}

TEST(Reader, OrdersRecordsByTimeWithinTwoRounds) {
  const std::string round = record(RecordType::kFinishedRound, "");
  const auto at = [](std::uint64_t time) { return sample({time, pair(2, 3), time}); };
  const Everything all =
      read_bytes(FileBuilder{.events = {{attr_with(kPlain)}},
                             .records = at(30) + at(10) + round + at(20) + at(50) + round + at(40) +
                                        at(60) + at(45) + round + at(55)}
                     .bytes());
  EXPECT_EQ(addresses(all), (std::vector<std::uint64_t>{10, 20, 30, 40, 45, 50, 55, 60}));
}

TEST(Reader, WhatComesTooLateIsLate) {
  const std::string round = record(RecordType::kFinishedRound, "");
  const auto at = [](std::uint64_t time) { return sample({time, pair(2, 3), time}); };
  const Everything all = read_bytes(FileBuilder{
      .events = {{attr_with(kPlain)}}, .records = at(30) + round + at(40) + round + at(20) + round}
                                        .bytes());
  EXPECT_EQ(addresses(all), (std::vector<std::uint64_t>{30, 20, 40}));
}

TEST(Reader, WithoutTimeRecordsComeAsTheyStand) {
  const Everything all = read_bytes(FileBuilder{.events = {{attr_with(kSampleIp)}},
                                                .records = sample({3}) + sample({1}) + sample({2})}
                                        .bytes());
  EXPECT_EQ(addresses(all), (std::vector<std::uint64_t>{3, 1, 2}));
}

TEST(Reader, CountsAndPassesOverTypesThatAreNew) {
  const Everything all = read_bytes(FileBuilder{
      .events = {{attr_with(kPlain)}},
      .records = record(40, words({1})) + record(90, words({1, 2})) +
                 record(RecordType::kThreadMap, words({0})) + sample({1, pair(2, 3), 4})}
                                        .bytes());
  ASSERT_EQ(all.error, "");
  EXPECT_EQ(all.samples.size(), 1u);
  EXPECT_EQ(all.unknown, 2u);
}

TEST(Reader, PassesOverDataThatFollowsARecord) {
  const std::string data = sample({0x666, pair(2, 3), 4});
  const Everything all = read_bytes(
      FileBuilder{.events = {{attr_with(kPlain)}},
                  .records = record(RecordType::kAuxtrace, words({data.size(), 0, 0, 0, 0})) +
                             data + sample({1, pair(2, 3), 4})}
          .bytes());
  EXPECT_EQ(addresses(all), std::vector<std::uint64_t>{1});
}

std::string pipe(const std::string& records) {
  return std::string{kMagic, sizeof kMagic} + words({16}) + records;
}
std::string attr_record(const Attr& attr, std::initializer_list<Word> ids) {
  return record(RecordType::kHeaderAttr,
                std::string{reinterpret_cast<const char*>(&attr), sizeof attr} + words(ids));
}

TEST(Reader, ReadsThePipeForm) {
  // A feature's record may be of any size: what follows lies askew.
  const std::string feature = words({3}) + half_words({64}) + text("a.host", 64);
  const Everything all =
      read_bytes(pipe(record(RecordType::kHeaderFeature, feature) +
                      attr_record(attr_with(kPlain | kSampleIdentifier), {1, 2}) +
                      attr_record(attr_with(kPlain | kSampleIdentifier), {3}) +
                      record(RecordType::kEventUpdate, words({2, 3}) + text("my-event")) +
                      sample({3, 0x10, pair(2, 3), 4}) + sample({2, 0x20, pair(2, 3), 5})));
  ASSERT_EQ(all.error, "");
  EXPECT_EQ(all.info.hostname, "a.host");
  ASSERT_EQ(all.info.events.size(), 2u);
  EXPECT_EQ(all.info.events[1].name, "my-event");
  ASSERT_EQ(all.samples.size(), 2u);
  EXPECT_EQ(all.samples[0].event, 1u);
  EXPECT_EQ(all.samples[1].event, 0u);
  EXPECT_TRUE(all.info.complete);
}

TEST(Reader, PassesOverTracepointFormatsInAPipe) {
  // 13 bytes, and up to a multiple of 8.
  const std::string formats =
      record(RecordType::kTracingData, half_words({13, 0})) + std::string(16, '\x09');
  const Everything all = read_bytes(
      pipe(attr_record(attr_with(kPlain), {1}) + formats + sample({0x10, pair(2, 3), 4})));
  ASSERT_EQ(all.error, "");
  EXPECT_EQ(addresses(all), std::vector<std::uint64_t>{0x10});
}

TEST(Reader, ReadsWhatIsThereOfAFileThatWasCutOff) {
  FileBuilder file{.events = {{attr_with(kPlain)}},
                   .records = sample({1, pair(2, 3), 4}) + sample({2, pair(2, 3), 5})};
  file.features = {};
  const std::string whole = file.bytes();
  for (std::size_t cut = 1; cut < 64; ++cut) {
    const Everything all = read_bytes(whole.substr(0, whole.size() - cut));
    ASSERT_EQ(all.error, "") << cut;
    EXPECT_FALSE(all.info.complete) << cut;
    EXPECT_EQ(all.samples.size(), cut <= 32 ? 1u : 0u) << cut;
  }
}

TEST(Reader, LosesNoSampleWithItsFeatures) {
  const std::string whole =
      FileBuilder{.events = {{attr_with(kPlain)}}, .records = sample({1, pair(2, 3), 4})}.bytes();
  const std::size_t features = 16 + 4 + 64;
  for (std::size_t cut = 1; cut <= features; ++cut) {
    const Everything all = read_bytes(whole.substr(0, whole.size() - cut));
    ASSERT_EQ(all.error, "") << cut;
    EXPECT_FALSE(all.info.complete) << cut;
    EXPECT_EQ(all.samples.size(), 1u) << cut;
  }
}

TEST(Reader, ZerosAtTheEndAreWhereItWasCutOff) {
  const Everything all =
      read_bytes(FileBuilder{.events = {{attr_with(kPlain)}},
                             .records = sample({1, pair(2, 3), 4}) + std::string(4096, '\0')}
                     .bytes());
  ASSERT_EQ(all.error, "");
  EXPECT_EQ(all.samples.size(), 1u);
  EXPECT_FALSE(all.info.complete);
}

TEST(Reader, AKilledRecordingByPerfHasItsRecordsThoughItsHeaderSaysNothing) {
  FileBuilder file{.events = {{attr_with(kPlain)}}, .records = sample({1, pair(2, 3), 4})};
  file.features = {};
  std::string bytes = file.bytes();
  bytes.replace(48, 8, 8, '\0');
  const Everything all = read_bytes(bytes);
  ASSERT_EQ(all.error, "");
  EXPECT_EQ(all.samples.size(), 1u);
  EXPECT_FALSE(all.info.complete);
}

}  // namespace
}  // namespace vpmu::profile::perf_data
