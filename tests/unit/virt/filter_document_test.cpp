// SPDX-License-Identifier: MIT
//
// The examples in docs/abi/event-filter.md: each is a hex dump, and what becomes of it. A table
// says what the filter decides of events, or a line why it is refused.
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "vpmu/virt/x86/event_filter.hpp"

namespace vpmu::virt::x86 {
namespace {

using silicon::x86::Vendor;
using Reason = FilterVerdict::Reason;

struct Example {
  unsigned line = 0;
  Vendor vendor = Vendor::kIntel;
  std::vector<std::byte> bytes;
  std::string refused;                         ///< the line, or empty
  std::vector<std::vector<std::string>> rows;  ///< of the table
};

class Document {
 public:
  explicit Document(const std::string& path) : file_{path} {}

  std::vector<Example> examples() {
    std::vector<Example> all;
    for (std::string line; next(line);) {
      if (line.starts_with("```hexdump ")) all.push_back(example(line));
    }
    return all;
  }

 private:
  bool next(std::string& line) {
    ++number_;
    return static_cast<bool>(std::getline(file_, line));
  }

  Example example(const std::string& fence) {
    Example read;
    read.line = number_;
    read.vendor = fence.ends_with("amd") ? Vendor::kAmd : Vendor::kIntel;
    std::string line;
    while (next(line) && line != "```") add_bytes(line, read.bytes);
    while (next(line) && line.empty()) {
    }
    if (line.starts_with("Refused: ")) {
      read.refused = line;
      return read;
    }
    // The heading and the line below it.
    (void)next(line);
    while (next(line) && line.starts_with("|")) read.rows.push_back(cells(line));
    return read;
  }

  /// An offset and up to sixteen bytes, as `hexdump -C` has them.
  static void add_bytes(const std::string& line, std::vector<std::byte>& bytes) {
    std::istringstream words{line};
    std::string word;
    words >> word;
    EXPECT_EQ(std::stoul(word, nullptr, 16), bytes.size()) << line;
    while (words >> word) bytes.push_back(static_cast<std::byte>(std::stoul(word, nullptr, 16)));
  }

  static std::vector<std::string> cells(const std::string& row) {
    std::vector<std::string> all;
    std::istringstream rest{row.substr(1)};
    for (std::string cell; std::getline(rest, cell, '|');) {
      const std::size_t from = cell.find_first_not_of(' '), to = cell.find_last_not_of(' ');
      all.push_back(from == std::string::npos ? "" : cell.substr(from, to - from + 1));
    }
    return all;
  }

  std::ifstream file_;
  unsigned number_ = 0;
};

std::string decided_by(const FilterVerdict& verdict) {
  switch (verdict.reason) {
    case Reason::kIncluded:
    case Reason::kExcluded: return "entry " + std::to_string(verdict.entry);
    case Reason::kNotIncluded: return "no entry";
    case Reason::kFixedBitmap: return "bitmap";
  }
  return "?";
}

std::string refusal(FilterRefusal refused) {
  std::string text = "Refused: `";
  switch (errno_of(refused.error)) {
    case EFAULT: text += "EFAULT`"; break;
    case EINVAL: text += "EINVAL`"; break;
    case E2BIG: text += "E2BIG`"; break;
    default: text += "?`"; break;
  }
  if (refused.error == FilterError::kReservedBits) {
    text += ", entry " + std::to_string(refused.entry);
  }
  return text + ".";
}

/// As a row has it.
std::vector<std::string> decide(const EventFilter& filter, const std::vector<std::string>& row) {
  const std::string fixed = "fixed ";
  FilterVerdict verdict;
  if (row[0].starts_with(fixed)) {
    const auto k = static_cast<unsigned>(std::stoul(row[0].substr(fixed.size())));
    verdict = filter.explain_fixed(k);
    EXPECT_EQ(verdict.admitted, filter.admits_fixed(k));
  } else {
    const silicon::x86::EventSelector event{
        static_cast<std::uint16_t>(std::stoul(row[0], nullptr, 16)),
        static_cast<std::uint8_t>(std::stoul(row[1], nullptr, 16))};
    verdict = filter.explain(event);
    EXPECT_EQ(verdict.admitted, filter.admits(event));
  }
  return {row[0], row[1], verdict.admitted ? "allowed" : "denied", decided_by(verdict)};
}

TEST(FilterDocument, ExamplesAreTrue) {
  const std::vector<Example> examples = Document{VPMU_DOCS "/abi/event-filter.md"}.examples();
  unsigned rows = 0, refused = 0;
  for (const Example& example : examples) {
    const auto image = read_filter_image(example.bytes, example.vendor);
    EXPECT_EQ(image ? "" : refusal(image.error()), example.refused) << "line " << example.line;
    if (!image) {
      ++refused;
      continue;
    }
    const auto filter = EventFilter::create(*image, example.vendor);
    ASSERT_TRUE(filter.has_value());
    for (const auto& row : example.rows) {
      ASSERT_EQ(row.size(), 4u) << "line " << example.line;
      EXPECT_EQ(decide(**filter, row), row) << "line " << example.line;
      ++rows;
    }
  }
  EXPECT_GE(rows, 15u) << "they have all been found";
  EXPECT_GE(refused, 3u);
}

}  // namespace
}  // namespace vpmu::virt::x86
