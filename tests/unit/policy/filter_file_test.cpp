// SPDX-License-Identifier: MIT
#include "policy/filter_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

namespace vpmu::policy {
namespace {

using silicon::x86::Vendor;
using virt::x86::encode_entry;
using virt::x86::FilterImage;
using virt::x86::MaskedEvent;

/// Numbers as they lie in the ioctl's structure.
class Layout {
 public:
  Layout& u32(std::uint32_t value) { return put(value, 4); }
  Layout& u64(std::uint64_t value) { return put(value, 8); }
  Layout& header(std::uint32_t action, std::uint32_t count, std::uint32_t bitmap,
                 std::uint32_t flags) {
    return u32(action).u32(count).u32(bitmap).u32(flags).u64(0).u64(0);
  }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  Layout& put(std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) bytes_.push_back(static_cast<std::byte>(value >> (8 * i)));
    return *this;
  }
  std::vector<std::byte> bytes_;
};

FilterImage two_entries() {
  FilterImage image;
  image.action = 1;
  image.count = 2;
  image.fixed_bitmap = 0x7;
  image.flags = FilterImage::kMaskedEvents;
  image.entries[0] = encode_entry({0xd0, 0x7c, 0, false}).raw;
  image.entries[1] = encode_entry({0xd0, 0xff, 0x83, true}).raw;
  return image;
}

Layout two_entries_laid_out() {
  return Layout{}.header(1, 2, 0x7, 1).u64(0x7c00'0000'0000'00d0).u64(0xff80'0000'0000'83d0);
}

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto* const data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

Result<FilterFile> parse(std::string_view text) {
  return parse_filter_file(bytes_of(text), "f");
}

std::string error_of(std::string_view text) {
  const auto file = parse(text);
  return file ? "no error" : file.error().message;
}

std::string refusal_of(const Layout& layout, Vendor vendor = Vendor::kIntel) {
  const auto file = parse_filter_file(layout.bytes(), "f");
  if (!file) return file.error().message;
  const auto image = valid_image(*file, vendor);
  return image ? "no error" : image.error().message;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

class FilterFileTest : public testing::Test {
 protected:
  std::filesystem::path folder =
      std::filesystem::path{testing::TempDir()} /
      ("vpmu filter file " +
       std::string{testing::UnitTest::GetInstance()->current_test_info()->name()});

  void SetUp() override {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::string write(const std::string& name, std::string_view content) {
    std::ofstream{folder / name, std::ios::binary} << content;
    return folder / name;
  }
};

TEST(FilterFormatNames, AreTheFourOfTheCommand) {
  EXPECT_EQ(filter_format("bin"), FilterFormat::kImage);
  EXPECT_EQ(filter_format("hex"), FilterFormat::kHex);
  EXPECT_EQ(filter_format("json"), FilterFormat::kJson);
  EXPECT_EQ(filter_format("c"), FilterFormat::kC);
  EXPECT_EQ(filter_format("BIN"), std::nullopt);
  EXPECT_EQ(filter_format(""), std::nullopt);
}

TEST(FilterFile, ImageIsTheStructureOfTheIoctl) {
  const std::string content = format_filter(two_entries(), FilterFormat::kImage, "");
  EXPECT_EQ(bytes_of(content), two_entries_laid_out().bytes());
}

TEST(FilterFile, ReadsBackWhatItWrote) {
  for (const auto format : {FilterFormat::kImage, FilterFormat::kHex, FilterFormat::kJson}) {
    const auto file = parse(format_filter(two_entries(), format, "a comment\nof two lines"));
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->bytes, two_entries_laid_out().bytes());
    EXPECT_FALSE(file->policy);
    const auto image = valid_image(*file, Vendor::kAmd);
    ASSERT_TRUE(image) << image.error().message;
    EXPECT_EQ(image->action, 1u);
    EXPECT_EQ(image->fixed_bitmap, 7u);
    EXPECT_TRUE(std::ranges::equal(image->used(), two_entries().used()));
  }
}

TEST(FilterFile, HexMayBeWrittenInAnyCaseWithAnyWhiteSpace) {
  const std::string content = format_filter(two_entries(), FilterFormat::kHex, "");
  std::string odd = "\n\t ";
  for (const char c : content) {
    odd += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    odd += "\r\n";
  }
  const auto file = parse(odd);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->bytes, two_entries_laid_out().bytes());
}

TEST(FilterFile, JsonTakesNumbersAndStrings) {
  const auto file = parse(
      R"({"events": [13510798882111488208, "0x7c000000000000d0", "208"], "flags": "1",
          "fixed_counter_bitmap": 3, "action": "allow"})");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->bytes, Layout{}
                             .header(0, 3, 3, 1)
                             .u64(13'510'798'882'111'488'208U)
                             .u64(0x7c00'0000'0000'00d0)
                             .u64(208)
                             .bytes());
}

TEST(FilterFile, JsonMayHoldAFilterThatIsRefused) {
  const auto file = parse(R"({"action": 2, "flags": 0, "fixed_counter_bitmap": 0, "events": []})");
  ASSERT_TRUE(file) << file.error().message;
  const auto image = valid_image(*file, Vendor::kIntel);
  ASSERT_FALSE(image);
  EXPECT_TRUE(has(image.error().message, "EINVAL")) << image.error().message;
}

TEST(FilterFile, JsonOfTooManyEntriesIsRefusedAsKvmWould) {
  std::string json = R"({"action": "allow", "flags": 1, "fixed_counter_bitmap": 0, "events": [0)";
  for (int i = 0; i < 300; ++i) json += ", 0";
  const auto file = parse(json + "]}");
  ASSERT_TRUE(file) << file.error().message;
  const auto image = valid_image(*file, Vendor::kIntel);
  ASSERT_FALSE(image);
  EXPECT_TRUE(has(image.error().message, "301 entries")) << image.error().message;
  EXPECT_TRUE(has(image.error().message, "E2BIG")) << image.error().message;
}

TEST(FilterFile, JsonErrorsNameThePlace) {
  const auto with = [](std::string_view key, std::string_view value) {
    std::string json = "{";
    for (const auto& [name, usual] :
         {std::pair{"action", "\"allow\""}, std::pair{"flags", "1"},
          std::pair{"fixed_counter_bitmap", "0"}, std::pair{"events", "[]"}}) {
      json += fmt::format("{}\"{}\": {}", json.size() > 1 ? ", " : "", name,
                          key == name ? value : usual);
    }
    return error_of(json + "}");
  };
  EXPECT_EQ(with("", ""), "no error");
  EXPECT_TRUE(has(with("action", "\"maybe\""), "\"action\" is \"maybe\"; give"));
  EXPECT_TRUE(has(with("action", "null"), "\"action\" is null; give"));
  EXPECT_TRUE(has(with("flags", "-1"), "\"flags\" is -1; give"));
  EXPECT_TRUE(has(with("flags", "1.5"), "\"flags\" is 1.5; give"));
  EXPECT_TRUE(has(with("flags", "4294967296"), "\"flags\" is 4294967296; give"));
  EXPECT_TRUE(has(with("fixed_counter_bitmap", "\"7z\""), "is \"7z\"; give"));
  EXPECT_TRUE(has(with("fixed_counter_bitmap", "\"0x\""), "is \"0x\"; give"));
  EXPECT_TRUE(has(with("events", "{}"), "\"events\" is an object; give a list"));
  EXPECT_TRUE(has(with("events", "[1, [2]]"), "\"events\", entry 1, is a list; give"));
  EXPECT_TRUE(has(with("events", "[\"0x10000000000000000\"]"), "entry 0, is"));

  EXPECT_TRUE(has(error_of(R"({"action": "allow"})"), "\"fixed_counter_bitmap\" is missing"));
  EXPECT_TRUE(has(error_of(R"({"actoin": "allow"})"), "key \"actoin\" is not known"));
  EXPECT_TRUE(has(error_of("{\n  \"action\": allow\n}"), "line 2, column 13"));
  EXPECT_TRUE(has(error_of("{"), "line 1, column 2"));
  for (const std::string& message : {with("action", "\"a\\nb\""), error_of("{\"a\n\": 1}")}) {
    EXPECT_EQ(message.find('\n'), message.npos) << message;
  }
}

TEST(FilterFile, JsonWithAVeryDeepListIsAnErrorAndNothingWorse) {
  const std::string deep =
      R"({"action": "allow", "flags": 1, "fixed_counter_bitmap": 0, "events": )" +
      std::string(100'000, '[') + std::string(100'000, ']') + "}";
  EXPECT_TRUE(has(error_of(deep), "entry 0"));
}

TEST(FilterFile, HexErrorsNameThePlace) {
  EXPECT_TRUE(has(error_of("00 1"), "has 3 hexadecimal digits"));
  EXPECT_TRUE(has(error_of("0011\n22x3"), "line 2, column 3: 'x'"));
  EXPECT_TRUE(has(error_of("0011\xff"), "line 1, column 5: the byte 0xff"));
}

TEST(FilterFile, NothingIsNoFilter) {
  EXPECT_TRUE(has(error_of(""), "is empty"));
  EXPECT_TRUE(has(error_of(" \n\t\r\n"), "is empty"));
}

TEST(FilterFile, RefusalsNameThePlaceTheErrnoAndTheRemedy) {
  EXPECT_TRUE(has(refusal_of(Layout{}.u32(0).u32(3).u32(0)), "has 12 bytes, fewer than the 32"));
  EXPECT_TRUE(has(refusal_of(Layout{}.header(2, 0, 0, 0)), "bytes 0 to 3) is 2, EINVAL; make it"));
  EXPECT_TRUE(has(refusal_of(Layout{}.header(0, 0, 0, 2)), "(bytes 12 to 15) are 0x2, EINVAL;"));
  EXPECT_TRUE(
      has(refusal_of(Layout{}.header(0, 301, 0, 0)), "has 301 entries, more than 300, E2BIG;"));
  EXPECT_TRUE(has(refusal_of(Layout{}.header(0, 2, 0, 0).u64(1).u32(1)),
                  "says 2 entries, 16 bytes, but only 12 bytes follow it, EFAULT;"));
  const Layout reserved = Layout{}.header(0, 2, 0, 1).u64(0xc0).u64(0x0010'0000'0000'00c0);
  EXPECT_TRUE(has(refusal_of(reserved),
                  "entry 1 (0x00100000000000c0) has reserved bits set (mask "
                  "0x0010000000000000), EINVAL; clear them"));
  EXPECT_TRUE(has(refusal_of(reserved, Vendor::kAmd), "entry 1"));
  const Layout amd = Layout{}.header(0, 1, 0, 1).u64(0xff00'0001'0000'00c2);
  EXPECT_TRUE(has(refusal_of(amd), "event selects of 12 bits are for AMD"));
  EXPECT_EQ(refusal_of(amd, Vendor::kAmd), "no error");
}

TEST(FilterFile, TrailingBytesAndPaddingDoNotMatter) {
  EXPECT_EQ(refusal_of(Layout{}.u32(0).u32(1).u32(0).u32(1).u64(~0ULL).u64(~0ULL).u64(0xc0).u32(1)),
            "no error");
}

TEST(FilterFile, EntriesAreDescribedInWords) {
  EXPECT_EQ(describe(MaskedEvent{0xd0, 0xff, 0x81, false}), "include event 0xd0, umask 0x81");
  EXPECT_EQ(describe(MaskedEvent{0x1c2, 0, 0, true}), "exclude event 0x1c2, any umask");
  EXPECT_EQ(describe(MaskedEvent{0xd0, 0x7c, 4, false}),
            "include event 0xd0, umask & 0x7c == 0x04");
  EXPECT_EQ(describe(MaskedEvent{0x03, 0x0f, 0x10, false}),
            "include event 0x03, no umask (match 0x10 outside mask 0x0f)");
}

constexpr std::string_view kPolicy =
    "# of nobody\ncpu = \"icelake-server\"\ndefault = \"deny\"\nallow = [\"r81d0\"]\n";

TEST(FilterFile, PolicyIsCompiled) {
  const auto file = parse(kPolicy);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE(file->policy);
  ASSERT_TRUE(file->compiled);
  EXPECT_TRUE(file->policy->allowed.contains({0xd0, 0x81}));
  EXPECT_EQ(file->bytes, Layout{}.header(0, 1, 0, 1).u64(0xff00'0000'0000'81d0).bytes());
}

TEST(FilterFile, PolicyIsForGuestsOfItsCpu) {
  const auto file = parse(kPolicy);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(valid_image(*file, Vendor::kIntel));
  const auto amd = valid_image(*file, Vendor::kAmd);
  ASSERT_FALSE(amd);
  EXPECT_TRUE(has(amd.error().message, "is a policy for Intel guests")) << amd.error().message;
}

TEST(FilterFile, ErrorsOfPoliciesHaveLineAndColumn) {
  EXPECT_TRUE(has(error_of("cpu = \"icelake-server\"\ndefault = 1\n"), "f:2:"));
  EXPECT_TRUE(has(error_of("# nothing\n"), "cpu")) << error_of("# nothing\n");
}

TEST_F(FilterFileTest, ReadsAFileOfThatName) {
  const std::string path = write("a b.bin", format_filter(two_entries(), FilterFormat::kImage, ""));
  const auto file = read_filter_file(path);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->name, path);
  EXPECT_EQ(file->bytes, two_entries_laid_out().bytes());
}

TEST_F(FilterFileTest, FilesThatCannotBeReadAreNamed) {
  const auto error = [](const std::string& path) {
    const auto file = read_filter_file(path);
    return file ? "no error" : file.error().message;
  };
  const std::string missing = folder / "missing";
  EXPECT_EQ(error(missing),
            "event filter '" + missing + "': No such file or directory; check the path");
  EXPECT_TRUE(has(error(folder), "Is a directory; give a file"));
  EXPECT_TRUE(has(error("/dev/zero"), "is larger than 1 MiB"));
  EXPECT_TRUE(has(error(write("large", std::string((1 << 20) + 1, '0'))), "is larger than 1 MiB"));
  EXPECT_TRUE(has(error(write("empty", "")), "is empty"));
}

/// Compiles the C that was written, with nothing else in the file or behind the kernel's header;
/// the bytes of the variable are those of the image.
TEST_F(FilterFileTest, COfAFilterIsTheSameStructure) {
  if (std::system("gcc --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "there is no gcc here";
  FilterImage none;
  none.flags = FilterImage::kMaskedEvents;
  for (const FilterImage& image : {two_entries(), none}) {
    const std::string c =
        format_filter(image, FilterFormat::kC, "for */ int broken[-1]; /* and \\\nmore\x01 \\");
    const std::string want = write("want", format_filter(image, FilterFormat::kImage, ""));
    for (const char* before : {"", "#include <linux/kvm.h>\n"}) {
      const std::string source = write(
          "filter.c", before + c +
                          "#include <stdio.h>\nint main(void) {\n"
                          "  return fwrite(&pmu_event_filter, 32 + 8 * pmu_event_filter.nevents, 1,"
                          " stdout) != 1;\n}\n");
      const std::string program = folder / "filter";
      ASSERT_EQ(std::system(fmt::format("gcc -std=c99 -pedantic -Wall -Wextra -Werror '{}' -o '{}'",
                                        source, program)
                                .c_str()),
                0)
          << c;
      EXPECT_EQ(std::system(fmt::format("'{}' | cmp - '{}'", program, want).c_str()), 0);
    }
  }
}

}  // namespace
}  // namespace vpmu::policy
