// SPDX-License-Identifier: MIT
#include "policy/filter_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/read_all.hpp"
#include "policy/filter_json.hpp"

namespace vpmu::policy {

namespace {
using silicon::x86::Vendor;
using virt::x86::FilterImage;
using Bytes = std::span<const std::byte>;

/// Of a file: many times what the longest policy needs.
constexpr std::size_t kLargest = std::size_t{1} << 20;

tl::unexpected<Error> failure(std::string_view name, std::string_view message) {
  return fail(fmt::format("event filter '{}': {}", name, message));
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// As opposed to an image, which begins with 0 or 1 in four bytes if it is valid.
bool is_text(std::string_view content) {
  return std::ranges::all_of(content.substr(0, 4), [](char c) {
    return is_space(c) || (static_cast<unsigned char>(c) >= ' ' && c != '\x7f');
  });
}

/// Its first character that means something.
char first_character(std::string_view text) {
  const auto* const found = std::ranges::find_if_not(text, is_space);
  return found == text.end() ? '\0' : *found;
}

/// TOML, by what every policy has and hexadecimal digits do not.
bool is_policy(std::string_view text) {
  return text.find('=') != text.npos || first_character(text) == '#' ||
         first_character(text) == '[';
}

std::vector<std::byte> image_bytes(const FilterImage& image) {
  FilterImage::Bytes bytes;
  const std::size_t size = write_filter_image(image, bytes);
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string shown(char c) {
  const auto code = static_cast<unsigned char>(c);
  if (code > ' ' && code < 0x7f) return fmt::format("'{}'", c);
  return fmt::format("the byte {:#04x}", code);
}

Result<std::vector<std::byte>> parse_hex(std::string_view text, std::string_view name) {
  std::vector<std::byte> bytes;
  std::size_t digits = 0;
  std::size_t line = 1;
  std::size_t column = 0;
  for (const char c : text) {
    ++column;
    if (c == '\n') {
      ++line;
      column = 0;
    }
    if (is_space(c)) continue;
    const int value = digit(c);
    if (value < 0) {
      return failure(name, fmt::format("line {}, column {}: {} is no hexadecimal digit; give an "
                                       "image, its hexadecimal digits, JSON or a policy",
                                       line, column, shown(c)));
    }
    if (digits % 2 == 0) {
      bytes.push_back(static_cast<std::byte>(value << 4));
    } else {
      bytes.back() |= static_cast<std::byte>(value);
    }
    ++digits;
  }
  if (digits % 2 != 0) {
    return failure(name, fmt::format("has {} hexadecimal digits, half a byte too many or too few; "
                                     "copy the whole file",
                                     digits));
  }
  return bytes;
}

Result<FilterFile> compile_policy(std::string_view text, std::string_view name) {
  auto policy = parse_policy(text, name);
  if (!policy) return tl::unexpected(policy.error());
  auto compiled =
      compile(policy->allowed, policy->fixed_allowed, policy->catalogue->fixed_counters());
  const auto image = to_image(compiled);
  if (!image) return failure(name, image.error().message);
  return FilterFile{std::string{name}, image_bytes(*image), std::move(*policy),
                    std::move(compiled)};
}

FilterFile of_ranges(RangeFilter ranges, std::string_view name) {
  FilterFile file{std::string{name}, {}, {}, {}};
  file.ranges = std::move(ranges);
  return file;
}

Result<FilterFile> parse_text(std::string_view text, std::string_view name) {
  FilterFile file{std::string{name}, {}, {}, {}};
  if (first_character(text) == '{') {
    auto ranges = parse_range_json(text);
    if (!ranges) return failure(name, ranges.error().message);
    if (*ranges) return of_ranges(std::move(**ranges), name);
    file.only_x86 = true;
    auto bytes = parse_filter_json(text);
    if (!bytes) return failure(name, bytes.error().message);
    file.bytes = std::move(*bytes);
    return file;
  }
  if (is_policy(text)) {
    auto ranges = parse_range_policy(text, name);
    if (!ranges) return tl::unexpected(ranges.error());
    if (*ranges) return of_ranges(std::move(**ranges), name);
    return compile_policy(text, name);
  }
  auto bytes = parse_hex(text, name);
  if (!bytes) return tl::unexpected(bytes.error());
  if (bytes->empty()) return failure(name, "is empty; give a filter or a policy");
  file.bytes = std::move(*bytes);
  return file;
}
}  // namespace

Result<FilterFile> read_filter_file(const std::string& path) {
  const auto content = read_all(path, kLargest);
  if (!content) return failure(path, content.error().message);
  if (content->size() > kLargest) {
    return failure(path, "is larger than 1 MiB; give a filter or a policy");
  }
  return parse_filter_file(std::as_bytes(std::span{*content}), path);
}

Result<FilterFile> parse_filter_file(Bytes content, std::string_view name) {
  if (content.empty()) return failure(name, "is empty; give a filter or a policy");
  const std::string_view text{reinterpret_cast<const char*>(content.data()), content.size()};
  if (is_text(text)) return parse_text(text, name);
  return FilterFile{std::string{name}, {content.begin(), content.end()}, {}, {}};
}

Result<FilterImage> valid_image(const FilterFile& file, Vendor vendor) {
  if (file.ranges) {
    return failure(file.name, "is a filter of ranges, for AArch64 guests; give one for x86's");
  }
  if (file.policy && file.policy->catalogue->vendor() != vendor) {
    return failure(file.name, fmt::format("is a policy for {} guests, which {} ones are not; give "
                                          "one whose `cpu` is theirs",
                                          name(file.policy->catalogue->vendor()), name(vendor)));
  }
  const auto image = virt::x86::read_filter_image(file.bytes, vendor);
  if (!image) return failure(file.name, describe(image.error(), file.bytes, vendor));
  return *image;
}

}  // namespace vpmu::policy
