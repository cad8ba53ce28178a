// SPDX-License-Identifier: MIT
//
// Any file as an event filter: it is read or refused in one line, and what is valid is the same
// when it has been written in each format and read again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "policy/filter_file.hpp"

namespace {
using namespace vpmu::policy;
using vpmu::silicon::x86::Vendor;
using vpmu::virt::x86::FilterImage;

void check(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

void check_message(std::string_view message) {
  check(message.find("fuzz") != message.npos, "a message without the file");
  check(std::ranges::none_of(message, [](char c) { return static_cast<unsigned char>(c) < ' '; }),
        "more than a line");
  check(message.size() < 2000, "a very long line");
}

void check_survives(const FilterImage& image, Vendor vendor) {
  for (const auto format : {FilterFormat::kImage, FilterFormat::kHex, FilterFormat::kJson}) {
    const std::string content = format_filter(image, format, "a comment");
    const auto again = parse_filter_file(std::as_bytes(std::span{content}), "fuzz");
    check(again.has_value(), "what was written cannot be read");
    const auto same = valid_image(*again, vendor);
    check(same.has_value(), "what was written is not valid");
    check(same->action == image.action && same->fixed_bitmap == image.fixed_bitmap &&
              same->flags == image.flags && std::ranges::equal(same->used(), image.used()),
          "what was written is another filter");
  }
  check(!format_filter(image, FilterFormat::kC, "").empty(), "no C");
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = parse_filter_file(std::as_bytes(std::span{data, size}), "fuzz");
  if (!file) {
    check_message(file.error().message);
    return 0;
  }
  for (const Vendor vendor : {Vendor::kIntel, Vendor::kAmd}) {
    const auto image = valid_image(*file, vendor);
    if (image) {
      check_survives(*image, vendor);
    } else {
      check_message(image.error().message);
    }
  }
  return 0;
}
