// SPDX-License-Identifier: MIT
#include "profile/perf_data/file_header.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "profile/perf_data/byte_reader.hpp"

namespace vpmu::profile::perf_data {
namespace {

using ByteSpan = std::span<const std::uint8_t>;

constexpr std::uint64_t kPipeHeaderBytes = 16;
constexpr std::uint64_t kHeaderWithoutFeatures = 72;
constexpr unsigned kFeatureBits = 256;

struct Section {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// Nothing if it is not all within the file.
std::optional<ByteSpan> within(ByteSpan bytes, const Section& section) {
  if (section.offset > bytes.size() || section.size > bytes.size() - section.offset) {
    return std::nullopt;
  }
  return bytes.subspan(section.offset, section.size);
}

struct HeaderFields {
  std::uint64_t attr_size = 0;
  Section attrs, data, event_types;
  std::uint64_t features[kFeatureBits / 64] = {};
};

Result<void> check_magic(const InputFile& file) {
  const ByteSpan bytes = file.bytes();
  const auto begins_with = [&](auto begin, auto end) {
    return bytes.size() >= sizeof kMagic && std::equal(begin, end, bytes.begin());
  };
  if (begins_with(std::rbegin(kMagic), std::rend(kMagic))) {
    return file.failure("of a big-endian machine, which is not read; use perf on such a machine");
  }
  if (!begins_with(std::begin(kMagic), std::end(kMagic))) {
    return file.failure("no perf.data; give a file by perf or vpmu record");
  }
  return {};
}

/// Ids of one event. `budget`: bytes that all of them may take, so that no file of many events
/// that share their ids takes more memory than it has.
Result<std::vector<std::uint64_t>> read_ids(const InputFile& file, const Section& section,
                                            std::uint64_t& budget) {
  const auto bytes = within(file.bytes(), section);
  if (!bytes || section.size % 8 != 0 || section.size > budget) {
    return file.malformed(section.offset, "an event's ids are not in the file");
  }
  budget -= section.size;
  std::vector<std::uint64_t> ids(section.size / 8);
  if (!ids.empty()) std::memcpy(ids.data(), bytes->data(), section.size);
  return ids;
}

Result<std::vector<FileEvent>> read_events(const InputFile& file, const HeaderFields& fields) {
  const auto section = within(file.bytes(), fields.attrs);
  if (!section) return file.malformed(fields.attrs.offset, "events are not in the file");
  std::vector<FileEvent> events;
  std::uint64_t id_budget = file.bytes().size();
  for (std::uint64_t at = 0; at < section->size(); at += fields.attr_size) {
    const std::uint64_t offset = fields.attrs.offset + at;
    const ByteSpan entry =
        section->subspan(at, std::min<std::uint64_t>(fields.attr_size, section->size() - at));
    if (entry.size() < fields.attr_size) return file.malformed(offset, "an event is cut short");
    const auto attr = read_attr(entry.first(entry.size() - sizeof(Section)));
    if (!attr) return file.malformed(offset, "an event of a size that no perf has written");
    const auto ids_at = ByteReader{entry.last(sizeof(Section))}.take<Section>();
    auto ids = read_ids(file, ids_at, id_budget);
    if (!ids) return tl::unexpected(ids.error());
    events.push_back({{}, *attr, std::move(*ids)});
  }
  return events;
}

/// Where the records are; what is missing of them was cut off.
void place_data(const HeaderFields& fields, std::uint64_t file_size, FileHeader& header) {
  header.data_begin = std::min(fields.data.offset, file_size);
  const std::uint64_t there = file_size - header.data_begin;
  // A recording by perf that was killed says nothing, and has its records all the same.
  if (fields.data.size == 0 || fields.data.size > there) header.info.complete = false;
  header.data_end =
      header.data_begin + (fields.data.size == 0 ? there : std::min(fields.data.size, there));
}

Result<void> read_features(const InputFile& file, const HeaderFields& fields, FileHeader& header) {
  // Every recording ends with features; one without has not ended.
  if (std::all_of(std::begin(fields.features), std::end(fields.features),
                  [](std::uint64_t bits) { return bits == 0; })) {
    header.info.complete = false;
  }
  if (!header.info.complete) return {};
  std::uint64_t table = header.data_end;
  for (unsigned feature = 0; feature < kFeatureBits; ++feature) {
    if ((fields.features[feature / 64] >> feature % 64 & 1) == 0) continue;
    const auto entry = within(file.bytes(), {table, sizeof(Section)});
    const Section section = entry ? ByteReader{*entry}.take<Section>() : Section{};
    const auto content = within(file.bytes(), section);
    if (!entry || !content) {
      header.info.complete = false;
      return {};
    }
    if (!take_feature(feature, *content, header)) {
      return file.malformed(section.offset, fmt::format("feature {} makes no sense", feature));
    }
    table += sizeof(Section);
  }
  return {};
}

}  // namespace

std::optional<Attr> read_attr(ByteSpan bytes) {
  constexpr std::uint32_t kFirstSize = 64;
  ByteReader reader{bytes};
  reader.take<std::uint32_t>();
  std::uint32_t size = reader.take<std::uint32_t>();
  if (size == 0) size = kFirstSize;
  if (size < kFirstSize || size % 8 != 0 || size > bytes.size()) return std::nullopt;
  Attr attr;
  // What later versions have behind it does not change what is read here.
  std::memcpy(&attr, bytes.data(), std::min<std::size_t>(size, sizeof attr));
  attr.size = size;
  return attr;
}

Result<FileHeader> read_header(const InputFile& file) {
  if (auto checked = check_magic(file); !checked) return tl::unexpected(checked.error());
  FileHeader header;
  ByteReader reader{file.bytes()};
  reader.take<std::uint64_t>();
  const auto size = reader.take<std::uint64_t>();
  if (size == kPipeHeaderBytes) {
    header.pipe = true;
    header.data_begin = kPipeHeaderBytes;
    header.data_end = file.bytes().size();
    return header;
  }
  if (size != kHeaderBytes && size != kHeaderWithoutFeatures) {
    return file.malformed(8, fmt::format("a header of {} bytes", size));
  }
  HeaderFields fields;
  fields.attr_size = reader.take<std::uint64_t>();
  fields.attrs = reader.take<Section>();
  fields.data = reader.take<Section>();
  fields.event_types = reader.take<Section>();
  if (size == kHeaderBytes) {
    for (std::uint64_t& bits : fields.features) bits = reader.take<std::uint64_t>();
  }
  if (!reader.ok()) return file.malformed(file.bytes().size(), "the header is cut short");
  // An attr and where its ids are; smaller ones there never were.
  if (fields.attr_size < 64 + sizeof(Section)) {
    return file.malformed(16, fmt::format("events of {} bytes", fields.attr_size));
  }
  auto events = read_events(file, fields);
  if (!events) return tl::unexpected(events.error());
  header.info.events = std::move(*events);
  place_data(fields, file.bytes().size(), header);
  if (auto features = read_features(file, fields, header); !features) {
    return tl::unexpected(features.error());
  }
  return header;
}

}  // namespace vpmu::profile::perf_data
