// SPDX-License-Identifier: MIT
//
// Filters of AArch64 guests as files: TOML, JSON and KVM's structures.
#include "policy/range_filter.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policy/filter_file.hpp"

namespace vpmu::policy {
namespace {

using silicon::arm64::CpuModel;
using silicon::arm64::find_cpu_model;
using virt::arm64::FilterRange;

constexpr std::uint8_t kAllow = FilterRange::kAllow, kDeny = FilterRange::kDeny;

const CpuModel& n1() {
  return *find_cpu_model("neoverse-n1");
}

Result<FilterFile> parse(const std::string& text) {
  return parse_filter_file(std::as_bytes(std::span{text}), "f");
}

struct RangeText {
  const char* text;
  FilterRange range;
};
constexpr RangeText kRanges[] = {
    {"allow INST_RETIRED", {0x08, 1, kAllow}},   {"deny inst_retired", {0x08, 1, kDeny}},
    {"allow SW_INCR", {0x00, 1, kAllow}},        {"deny CHAIN", {0x1e, 1, kDeny}},
    {"allow 0x10-0x12", {0x10, 3, kAllow}},      {"allow  16-18", {16, 3, kAllow}},
    {"deny CPU_CYCLES-0x1F", {0x11, 15, kDeny}}, {"deny 0x1-0xffff", {1, 0xffff, kDeny}},
};

TEST(RangeFilter, RangesAreNamesOrNumbers) {
  for (const RangeText& each : kRanges) {
    const auto range = parse_range(each.text, n1());
    ASSERT_TRUE(range) << range.error().message;
    EXPECT_EQ(*range, each.range) << each.text;
  }
}

struct Mistake {
  const char* text;
  const char* says;
};
constexpr Mistake kMistakes[] = {
    {"", "has no action"},
    {"INST_RETIRED", "has no action"},
    {"permit INST_RETIRED", "has no action"},
    {"allow ", "is not known"},
    {"allow    ", "is not known"},
    {"allow INST_RETIRE", "names like it: INST_RETIRED"},
    {"allow 0x10000", "no number up to 0xffff"},
    {"allow 0x", "no number"},
    {"allow 12z", "no number"},
    {"allow 0x12-0x10", "ends before it begins"},
    {"allow 0x12-", "is not known"},
    {"allow 0-0xffff", "make two of it"},
};

TEST(RangeFilter, MistakesAreNamed) {
  for (const Mistake& each : kMistakes) {
    const auto range = parse_range(each.text, n1());
    ASSERT_FALSE(range) << each.text;
    EXPECT_NE(range.error().message.find(each.says), std::string::npos) << range.error().message;
  }
}

constexpr char kPolicy[] = R"(
cpu = "neoverse-n1"
ranges = ["allow INST_RETIRED", "deny 0x4000-0x40ff"]
)";
const std::vector<FilterRange> kOfPolicy = {{0x08, 1, kAllow}, {0x4000, 0x100, kDeny}};

TEST(RangeFilter, PolicyIsReadFromToml) {
  const auto file = parse(kPolicy);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE(file->ranges);
  EXPECT_EQ(file->ranges->model, &n1());
  EXPECT_EQ(file->ranges->ranges, kOfPolicy);
  EXPECT_FALSE(file->policy);
}

TEST(RangeFilter, EveryFormatThatIsWrittenIsReadAgain) {
  const RangeFilter filter{&n1(), kOfPolicy};
  const auto json = parse(range_json(filter, "A comment."));
  ASSERT_TRUE(json) << json.error().message;
  ASSERT_TRUE(json->ranges);
  EXPECT_EQ(json->ranges->model, &n1());
  EXPECT_EQ(json->ranges->ranges, kOfPolicy);
  for (const std::string& text : {range_bytes(filter), range_hex(filter)}) {
    const auto file = parse(text);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_FALSE(file->ranges) << "bytes do not say whose they are";
    const auto read = parse_range_bytes(file->bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->ranges, kOfPolicy);
  }
}

TEST(RangeFilter, BytesAreKvmsStructures) {
  EXPECT_EQ(range_hex({nullptr, kOfPolicy}), "0800010000000000\n0040000101000000\n");
  constexpr std::byte kSevenBytes[7]{};
  EXPECT_FALSE(parse_range_bytes(kSevenBytes));
  EXPECT_FALSE(parse_range_bytes({}));
}

TEST(RangeFilter, SourceOfCHasARangeOnALine) {
  const std::string text = range_c_source({&n1(), kOfPolicy}, "For a test.");
  EXPECT_NE(text.find("/* For a test. */\n"), std::string::npos) << text;
  EXPECT_NE(text.find("{.base_event = 0x0008, .nevents = 1, .action = KVM_PMU_EVENT_ALLOW},\n"
                      "  {.base_event = 0x4000, .nevents = 256, .action = KVM_PMU_EVENT_DENY},\n"),
            std::string::npos)
      << text;
}

constexpr Mistake kBadFiles[] = {
    {"cpu = \"neoverse-n1\"\n", "'ranges' is missing"},
    {"ranges = []\n", "does not say for which CPU"},
    {"cpu = \"zen4\"\nranges = []\n", "f:1:7: CPU 'zen4' is no AArch64 model"},
    {"cpu = 1\nranges = []\n", "this is a whole number"},
    {"cpu = \"neoverse-n1\"\nranges = \"x\"\n", "'ranges' is a string"},
    {"cpu = \"neoverse-n1\"\nranges = [1]\n", "f:2:11: this is a whole number"},
    {"cpu = \"neoverse-n1\"\nranges = [\"allow X\"]\n", "f:2:11: event 'X' is not known"},
    {"cpu = \"neoverse-n1\"\nranges = []\nallow = []\n", "f:3:1: key 'allow' is not known"},
    {R"({"ranges": 1})", "is no list"},
    {R"({"ranges": [1]})", "number 0, is not understood"},
    {R"({"ranges": [{"action": "allow", "base_event": 65536, "nevents": 1}]})", "not understood"},
    {R"({"ranges": [{"action": "maybe", "base_event": 1, "nevents": 1}]})", "not understood"},
    {R"({"ranges": [{"action": "deny", "base_event": 1, "nevents": 1, "x": 1}]})",
     "not understood"},
    {R"({"ranges": [], "cpu": "zen4"})", "no AArch64 model"},
    {R"({"ranges": [], "flags": 1})", "key 'flags'"},
};

TEST(RangeFilter, BadFilesAreRefusedWithPlaceAndRemedy) {
  for (const Mistake& each : kBadFiles) {
    const auto file = parse(each.text);
    ASSERT_FALSE(file) << each.text;
    EXPECT_NE(file.error().message.find(each.says), std::string::npos) << file.error().message;
  }
}

TEST(RangeFilter, NumbersOfJsonMayHoldWhatKvmRefuses) {
  const auto file = parse(R"({"ranges": [{"action": 7, "base_event": "0x3ff", "nevents": 2}]})");
  ASSERT_TRUE(file && file->ranges);
  const auto built = build_filter(*file->ranges, n1());
  ASSERT_TRUE(built.refusal);
  EXPECT_NE(built.refusal->text.find("range 0 (action 7 0x03ff-0x0400) has no such action, EINVAL"),
            std::string::npos)
      << built.refusal->text;
}

TEST(RangeFilter, EventsBeyondThoseOfTheModelAreRefused) {
  const RangeFilter filter{nullptr, {{0, 1, kDeny}, {0x3ff, 2, kDeny}}};
  const auto on_a72 = build_filter(filter, *find_cpu_model("cortex-a72"));
  ASSERT_TRUE(on_a72.refusal);
  EXPECT_EQ(on_a72.refusal->range, 1u);
  EXPECT_NE(on_a72.refusal->text.find("0x3ff, EINVAL"), std::string::npos) << on_a72.refusal->text;
  EXPECT_FALSE(build_filter(filter, n1()).refusal);
}

TEST(RangeFilter, X86GuestsDoNotTakeIt) {
  const auto file = parse(kPolicy);
  ASSERT_TRUE(file);
  const auto image = valid_image(*file, silicon::x86::Vendor::kIntel);
  ASSERT_FALSE(image);
  EXPECT_NE(image.error().message.find("for AArch64 guests"), std::string::npos);
}

TEST(RangeFilter, EventsHaveTheNamesOfTheModelAndThePmusOwn) {
  EXPECT_EQ(event_name(n1(), 0x08), "INST_RETIRED");
  EXPECT_EQ(event_name(n1(), 0x1e), "CHAIN");
  EXPECT_EQ(event_name(n1(), 0x3fff), "");
}

}  // namespace
}  // namespace vpmu::policy
