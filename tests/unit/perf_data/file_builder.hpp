// SPDX-License-Identifier: MIT
//
// perf.data files by hand, for what our writer never writes.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "profile/perf_data/format.hpp"

namespace vpmu::profile::perf_data {

using Word = std::uint64_t;

inline std::string words(std::initializer_list<Word> values) {
  std::string bytes;
  for (const Word value : values) bytes.append(reinterpret_cast<const char*>(&value), 8);
  return bytes;
}
inline std::string half_words(std::initializer_list<std::uint32_t> values) {
  std::string bytes;
  for (const std::uint32_t value : values) bytes.append(reinterpret_cast<const char*>(&value), 4);
  return bytes;
}
constexpr Word pair(std::uint32_t low, std::uint32_t high) {
  return Word{high} << 32 | low;
}
/// With NULs up to a multiple of `align`, one at least.
inline std::string text(std::string_view text, std::size_t align = 8) {
  std::string bytes{text};
  bytes.append(align - text.size() % align, '\0');
  return bytes;
}
inline std::string record(std::uint32_t type, const std::string& body, std::uint16_t misc = 0) {
  return half_words({type, misc | static_cast<std::uint32_t>(8 + body.size()) << 16}) + body;
}
inline std::string record(RecordType type, const std::string& body, std::uint16_t misc = 0) {
  return record(static_cast<std::uint32_t>(type), body, misc);
}
inline std::string sample(std::initializer_list<Word> body, std::uint16_t misc = 2) {
  return record(RecordType::kSample, words(body), misc);
}

struct BuiltEvent {
  Attr attr;
  std::vector<Word> ids{};
};

/// A regular file: header, attrs, ids, records, features.
struct FileBuilder {
  std::vector<BuiltEvent> events{};
  std::string records{};
  std::vector<std::pair<unsigned, std::string>> features{
      {5, half_words({64}) + text("6.1", 64)}};  ///< ascending
  std::uint64_t header_bytes = kHeaderBytes;
  std::size_t gap = 0;  ///< bytes in front of the records

  [[nodiscard]] std::string bytes() const {
    const std::uint32_t attr_size = events.empty() ? kAttrBytes : events[0].attr.size;
    std::string ids, attrs;
    for (const BuiltEvent& event : events) {
      std::string attr(attr_size, '\0');
      std::memcpy(attr.data(), &event.attr, std::min<std::size_t>(attr_size, sizeof event.attr));
      attrs += attr + words({header_bytes + ids.size(), event.ids.size() * 8});
      for (const Word id : event.ids) ids += words({id});
    }
    const Word attrs_at = header_bytes + ids.size();
    const Word data_at = attrs_at + attrs.size() + gap;
    std::string file{kMagic, sizeof kMagic};
    file += words(
        {header_bytes, attr_size + 16, attrs_at, attrs.size(), data_at, records.size(), 0, 0});
    Word bits = 0;
    for (const auto& [feature, content] : features) bits |= Word{1} << feature;
    if (header_bytes == kHeaderBytes) file += words({bits, 0, 0, 0});
    file += ids + attrs + std::string(gap, '\0') + records;
    Word at = file.size() + features.size() * 16;
    std::string contents;
    for (const auto& [feature, content] : features) {
      file += words({at, content.size()});
      at += content.size();
      contents += content;
    }
    return file + contents;
  }
};

inline Attr attr_with(std::uint64_t sample_type, std::uint64_t flags = 0) {
  Attr attr;
  attr.sample_type = sample_type;
  attr.flags = flags;
  return attr;
}
constexpr std::uint64_t flag(AttrFlag flag) {
  return std::uint64_t{1} << static_cast<unsigned>(flag);
}

}  // namespace vpmu::profile::perf_data
