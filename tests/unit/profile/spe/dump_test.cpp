// SPDX-License-Identifier: MIT
//
// Dumps: what is written is what is read, and what is cut off or wrong is told.
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "profile/spe/dump.hpp"
#include "vectors.hpp"

namespace vpmu::profile::spe {
namespace {

const DumpInfo kInfo{.vcpus = 2,
                     .midr = 0x410fd0c0,
                     .period = 1024,
                     .time = {.shift = 3, .multiplier = 80, .zero = 7},
                     .cpu_model = "neoverse-n1",
                     .image = "/guests/loads.elf"};

std::span<const std::uint8_t> bytes_in(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string small_dump() {
  return dump_header(kInfo) + dump_section(1, kDumpTruncated, bytes_of(kVectors[0].hex)) +
         dump_section(0, 0, bytes_of(kVectors[1].hex)) + dump_section(1, 0, {}) + dump_end();
}

std::string with(std::size_t offset, std::uint32_t value) {
  std::string bytes = small_dump();
  std::memcpy(bytes.data() + offset, &value, sizeof value);
  return bytes;
}

TEST(SpeDump, IsReadAsItWasWritten) {
  const std::string bytes = small_dump();
  EXPECT_TRUE(is_dump(bytes_in(bytes)));
  EXPECT_EQ(bytes.size() % 8, 0u);
  const auto dump = parse_dump(bytes_in(bytes));
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_EQ(dump->info, kInfo);
  EXPECT_TRUE(dump->complete);
  ASSERT_EQ(dump->sections.size(), 3u);
  EXPECT_EQ(dump->sections[0].vcpu, 1u);
  EXPECT_EQ(dump->sections[0].flags, kDumpTruncated);
  const auto first = bytes_of(kVectors[0].hex);
  EXPECT_TRUE(std::ranges::equal(dump->sections[0].trace, first));
  EXPECT_EQ(dump->sections[1].trace.size(), bytes_of(kVectors[1].hex).size());
  EXPECT_TRUE(dump->sections[2].trace.empty());
}

TEST(SpeDump, ThatWasCutShortIsABeginning) {
  const std::string bytes = small_dump();
  const std::size_t header = dump_header(kInfo).size();
  const auto whole = parse_dump(bytes_in(bytes));
  ASSERT_TRUE(whole);
  for (std::size_t size = header; size < bytes.size(); ++size) {
    const auto dump = parse_dump(bytes_in(bytes).first(size));
    ASSERT_TRUE(dump) << size;
    EXPECT_FALSE(dump->complete) << size;
    ASSERT_LE(dump->sections.size(), 3u);
    for (std::size_t n = 0; n < dump->sections.size(); ++n) {
      EXPECT_LE(dump->sections[n].trace.size(), whole->sections[n].trace.size());
    }
  }
  for (std::size_t size = 0; size < header; ++size) {
    EXPECT_FALSE(parse_dump(bytes_in(bytes).first(size))) << size;
  }
}

TEST(SpeDump, ThatIsWrongIsRefusedAtItsPlace) {
  struct Wrong {
    std::size_t offset;
    std::uint32_t value;
    const char* message;
  };
  const std::size_t first = dump_header(kInfo).size();
  const Wrong kWrong[] = {{0, 0, "at byte 0: no dump of SPE"},
                          {8, 2, "at byte 8: version 2"},
                          {12, 56, "at byte 12: a header of 56 bytes"},
                          {12, 65, "at byte 12: a header of 65 bytes"},
                          {12, 0x8000'0000, "at byte 12: a header of"},
                          {16, 0, "at byte 16: 0 vCPUs"},
                          {16, 5000, "at byte 16: 5000 vCPUs"},
                          {56, 1000, "at byte 56: a CPU model's name"},
                          {56, 0xffff'ffff, "at byte 56: a CPU model's name"},
                          {60, 1000, "at byte 60: an image's name"},
                          {60, 0xffff'ffff, "at byte 60: an image's name"},
                          {first, 2, "a section of vCPU 2, of 2"}};
  for (const Wrong& wrong : kWrong) {
    const std::string bytes = with(wrong.offset, wrong.value);
    const auto dump = parse_dump(bytes_in(bytes));
    ASSERT_FALSE(dump) << wrong.message;
    EXPECT_NE(dump.error().message.find(wrong.message), std::string::npos) << dump.error().message;
  }
}

TEST(SpeDump, ASectionThatIsLongerThanTheFileIsWhatThereIs) {
  const std::size_t first = dump_header(kInfo).size();
  const std::string bytes = with(first + 12, 0xffff'ffff);
  const auto dump = parse_dump(bytes_in(bytes));
  ASSERT_TRUE(dump);
  EXPECT_FALSE(dump->complete);
  ASSERT_EQ(dump->sections.size(), 1u);
  EXPECT_EQ(dump->sections[0].trace.size(), bytes.size() - first - 16);
}

TEST(SpeDump, TextsThatAreTooLongAreCut) {
  DumpInfo info = kInfo;
  info.image = std::string(10'000, 'x');
  const std::string bytes = dump_header(info) + dump_end();
  const auto dump = parse_dump(bytes_in(bytes));
  ASSERT_TRUE(dump);
  EXPECT_EQ(dump->info.image.size(), kLongestDumpText);
}

TEST(SpeTimeConversion, LosesNoBits) {
  const TimeConversion time{.shift = 10, .multiplier = 1ull << 20, .zero = 5};
  EXPECT_EQ(time.nanoseconds(0), 5u);
  EXPECT_EQ(time.nanoseconds(1ull << 50), (1ull << 60) + 5);
  EXPECT_EQ((TimeConversion{.shift = 1000, .multiplier = 1, .zero = 9}).nanoseconds(77), 9u);
}

}  // namespace
}  // namespace vpmu::profile::spe
