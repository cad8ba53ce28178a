// SPDX-License-Identifier: MIT
#include <array>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "profile/perf_data/byte_reader.hpp"
#include "profile/perf_data/file_header.hpp"
#include "vpmu/silicon/x86/portable_events.hpp"

namespace vpmu::profile::perf_data {
namespace {

using ByteSpan = std::span<const std::uint8_t>;

/// What a list of texts may be long at most; nobody's command line is.
constexpr std::uint32_t kMostTexts = 10'000;

std::string_view take_string(ByteReader& reader) {
  const auto length = reader.take<std::uint32_t>();
  return reader.take_text(length);
}

bool take_command_line(ByteReader reader, FileInfo& info) {
  const auto count = reader.take<std::uint32_t>();
  if (count > kMostTexts) return false;
  info.command_line.clear();
  for (std::uint32_t n = 0; n < count && reader.ok(); ++n) {
    info.command_line.emplace_back(take_string(reader));
  }
  return reader.ok();
}

/// Names, in the order of the attrs.
bool take_event_names(ByteReader reader, FileInfo& info) {
  const auto count = reader.take<std::uint32_t>();
  const auto attr_size = reader.take<std::uint32_t>();
  for (std::uint32_t n = 0; n < count && reader.ok(); ++n) {
    reader.take_bytes(attr_size);
    const auto ids = reader.take<std::uint32_t>();
    const std::string_view name = take_string(reader);
    reader.take_bytes(std::uint64_t{ids} * 8);
    if (reader.ok() && n < info.events.size()) info.events[n].name = name;
  }
  return reader.ok();
}

bool take_build_ids(ByteReader reader, BuildIds& build_ids) {
  constexpr std::size_t kFixed = 36, kIdBytes = 20;
  constexpr unsigned kSizeIsValid = 1u << 15;
  while (reader.left() != 0) {
    reader.take<std::uint32_t>();
    const auto misc = reader.take<std::uint16_t>();
    const auto size = reader.take<std::uint16_t>();
    reader.take<std::int32_t>();
    const ByteSpan id = reader.take_bytes(kIdBytes);
    std::size_t length = reader.take<std::uint8_t>();
    reader.take_bytes(3);
    if (!reader.ok() || size < kFixed) return false;
    const std::string_view name = reader.take_text(size - kFixed);
    if (!reader.ok()) return false;
    if ((misc & kSizeIsValid) == 0 || length > kIdBytes) length = kIdBytes;
    build_ids.emplace(name, id.first(length));
  }
  return true;
}

}  // namespace

bool take_feature(unsigned feature, ByteSpan content, FileHeader& header) {
  ByteReader reader{content};
  const auto text = [&reader](std::string& where) {
    where = take_string(reader);
    return reader.ok();
  };
  FileInfo& info = header.info;
  switch (static_cast<Feature>(feature)) {
    case Feature::kBuildId: return take_build_ids(reader, header.build_ids);
    case Feature::kHostname: return text(info.hostname);
    case Feature::kVersion: return text(info.version);
    case Feature::kArch: return text(info.arch);
    case Feature::kCpuDesc: return text(info.cpu_description);
    case Feature::kCpuId: return text(info.cpu_id);
    case Feature::kCmdline: return take_command_line(reader, info);
    case Feature::kEventDesc: return take_event_names(reader, info);
    default: return true;
  }
}

std::string default_event_name(const Attr& attr) {
  constexpr std::uint32_t kHardware = 0, kSoftware = 1, kRaw = 4;
  static constexpr std::array<const char*, 10> kSoftwareNames{
      "cpu-clock",    "task-clock",   "page-faults",      "context-switches", "cpu-migrations",
      "minor-faults", "major-faults", "alignment-faults", "emulation-faults", "dummy"};
  if (attr.type == kHardware && attr.config < silicon::x86::kGenericEventCount) {
    return name(static_cast<silicon::x86::GenericEvent>(attr.config));
  }
  if (attr.type == kSoftware && attr.config < kSoftwareNames.size()) {
    return kSoftwareNames[attr.config];
  }
  if (attr.type == kRaw) return fmt::format("r{:x}", attr.config);
  return fmt::format("type {} config {:#x}", attr.type, attr.config);
}

}  // namespace vpmu::profile::perf_data
