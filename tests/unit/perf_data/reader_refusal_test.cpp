// SPDX-License-Identifier: MIT
//
// Files that are not read: one line that names the file, the place, and what to do.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "file_builder.hpp"
#include "recorded.hpp"

namespace vpmu::profile::perf_data {
namespace {

constexpr std::uint64_t kPlain = kSampleIp | kSampleTid | kSampleTime;

FileBuilder plain(std::string records) {
  return {.events = {{attr_with(kPlain)}}, .records = std::move(records)};
}
std::string with_word(std::string bytes, std::size_t offset, std::uint64_t value) {
  std::memcpy(bytes.data() + offset, &value, 8);
  return bytes;
}
std::string big_endian() {
  std::string bytes = plain("").bytes();
  std::reverse(bytes.begin(), bytes.begin() + 8);
  return bytes;
}

struct Refused {
  std::string bytes;
  std::string says;
};

TEST(ReaderRefuses, WhatItCannotReadAndSaysWhere) {
  const std::string good = plain(sample({1, pair(2, 3), 4})).bytes();
  const std::size_t attrs_at = kHeaderBytes;
  const std::uint64_t callchain = kPlain | kSampleCallchain;
  const std::uint64_t branches = kPlain | kSampleBranchStack;
  const std::string data_at = "at byte 248: ";  // behind a header and an attr with its ids' place
  const Refused table[] = {
      {"", "an empty file"},
      {"PERF", "no perf.data"},
      {"\x7f"
       "ELF and more",
       "no perf.data"},
      {big_endian(), "of a big-endian machine"},
      {good.substr(0, 60), "at byte 60: the header is cut short"},
      {with_word(good, 8, 112), "at byte 8: a header of 112 bytes"},
      {with_word(good, 16, 0), "at byte 16: events of 0 bytes"},
      {with_word(good, 24, good.size()), "events are not in the file"},
      {with_word(good, 24, ~std::uint64_t{0} - 7), "events are not in the file"},
      {with_word(good, 32, 100), "at byte 104: an event is cut short"},
      {with_word(good, 32, 0), "of no event"},
      {with_word(good, attrs_at, pair(0, 60)), "at byte 104: an event of a size"},
      {with_word(good, attrs_at, pair(0, 4096)), "at byte 104: an event of a size"},
      {with_word(good, attrs_at + 128, good.size() + 8), "an event's ids are not in the file"},
      {with_word(good, attrs_at + 136, 12), "an event's ids are not in the file"},
      {with_word(good, attrs_at + 24, std::uint64_t{1} << 25), "samples of a newer kind"},
      {FileBuilder{.events = {{attr_with(kPlain)}, {attr_with(kPlain)}}}.bytes(),
       "several events without ids"},
      {FileBuilder{.events = {{attr_with(kPlain | kSampleIdentifier), {1}},
                              {attr_with(kPlain | kSampleId), {2}}}}
           .bytes(),
       "several events without ids"},
      {FileBuilder{.events = {{attr_with(kPlain | kSampleIdentifier), {1}},
                              {attr_with(kPlain | kSampleIdentifier), {2}}},
                   .records = sample({3, 0, 0, 0})}
           .bytes(),
       "an event that is not known"},
      {plain(half_words({9, 4u << 16})).bytes() + std::string(64, 'x'), data_at + "a record of 4"},
      {plain(half_words({9, 12u << 16, 0, 0})).bytes() + std::string(64, 'x'),
       data_at + "a record of 12"},
      {plain(sample({1})).bytes(), data_at + "a record that is too short"},
      {FileBuilder{.events = {{attr_with(callchain)}}, .records = sample({1, 2, 3, 5, 0})}.bytes(),
       data_at + "a sample that is too short"},
      {FileBuilder{.events = {{attr_with(callchain)}}, .records = sample({1, 2, 3, ~Word{0}})}
           .bytes(),
       data_at + "a sample that is too short"},
      {FileBuilder{.events = {{attr_with(branches)}},
                   .records = sample({1, 2, 3, 0x5555'5555'5555'5556, 0})}
           .bytes(),
       data_at + "a sample that is too short"},
      {plain(record(RecordType::kComm, "")).bytes(), data_at + "a name that is too short"},
      {plain(record(RecordType::kMmap2, words({1, 2, 3, 4, 5}))).bytes(),
       data_at + "a mapping that is too short"},
      {plain(record(RecordType::kCompressed, words({1}))).bytes(), "record it without -z"},
      {FileBuilder{.events = {{attr_with(kPlain)}},
                   .records = sample({1, 2, 3}),
                   .features = {{3, half_words({100})}}}
           .bytes(),
       "feature 3 makes no sense"},
      {FileBuilder{.events = {{attr_with(kPlain)}},
                   .records = sample({1, 2, 3}),
                   .features = {{11, half_words({~0u})}}}
           .bytes(),
       "feature 11 makes no sense"},
  };
  for (const Refused& refused : table) {
    const TestPath path;
    write_content(path.str(), refused.bytes);
    const std::string error = read_everything(path.str()).error;
    EXPECT_NE(error.find(refused.says), std::string::npos)
        << "'" << error << "' does not say '" << refused.says << "'";
    EXPECT_TRUE(error.starts_with("profile '" + path.str() + "': ")) << error;
    EXPECT_NE(error.find("; "), std::string::npos) << "no remedy: " << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST(ReaderRefuses, IdsThatSoManyEventsShareThatTheyWouldTakeMoreThanTheFile) {
  FileBuilder file{.events = std::vector<BuiltEvent>(100, {attr_with(kPlain | kSampleIdentifier)})};
  file.events[0].ids = std::vector<Word>(1000, 7);
  std::string bytes = file.bytes();
  const std::size_t attrs_at = kHeaderBytes + 8000;
  for (std::size_t event = 0; event < 100; ++event) {
    bytes = with_word(bytes, attrs_at + event * 144 + 128, kHeaderBytes);
    bytes = with_word(bytes, attrs_at + event * 144 + 136, 8000);
  }
  const TestPath path;
  write_content(path.str(), bytes);
  EXPECT_NE(read_everything(path.str()).error.find("ids are not in the file"), std::string::npos);
}

TEST(ReaderRefuses, WhatIsNoFile) {
  EXPECT_NE(read_everything("/nowhere/perf.data").error.find("No such file"), std::string::npos);
  EXPECT_NE(read_everything("/dev/null").error.find("no regular file"), std::string::npos);
  const TestPath directory;
  std::filesystem::create_directory(directory.str());
  EXPECT_NE(read_everything(directory.str()).error.find("No such file"), std::string::npos);
}

TEST(ReaderRefuses, ADirectoryOfSeveralFiles) {
  const TestPath directory;
  std::filesystem::create_directory(directory.str());
  write_content(directory.str() + "/data", plain("").bytes());
  write_content(directory.str() + "/data.0", "");
  EXPECT_NE(read_everything(directory.str()).error.find("without --threads"), std::string::npos);
}

TEST(ReaderRefuses, WithoutControlCharactersOfThePath) {
  const std::string error = read_everything("/nowhere/\x1b[1m\n").error;
  EXPECT_NE(error.find("'/nowhere/?[1m?'"), std::string::npos) << error;
}

}  // namespace
}  // namespace vpmu::profile::perf_data
