// SPDX-License-Identifier: MIT
#include "profile/perf_data/features.hpp"

#include <algorithm>
#include <span>
#include <string_view>

#include "profile/perf_data/bytes.hpp"
#include "profile/perf_data/side_band.hpp"

namespace vpmu::profile::perf_data {
namespace {

void add_string(Bytes& bytes, std::string_view text) {
  constexpr std::size_t kAlign = 64;
  bytes.add(static_cast<std::uint32_t>((text.size() / kAlign + 1) * kAlign)).text(text, kAlign);
}

std::string one_string(std::string_view text) {
  Bytes bytes;
  add_string(bytes, text);
  return bytes.bytes();
}

std::string string_list(std::span<const std::string> texts) {
  Bytes bytes;
  bytes.add(static_cast<std::uint32_t>(texts.size()));
  for (const std::string& text : texts) add_string(bytes, text);
  return bytes.bytes();
}

std::string event_descriptions(const WriterConfig& config, const FileFacts& facts) {
  Bytes bytes;
  bytes.add(static_cast<std::uint32_t>(config.events.size())).add(kAttrBytes);
  for (std::size_t event = 0; event < config.events.size(); ++event) {
    bytes.add(facts.attrs[event]);
    bytes.add(static_cast<std::uint32_t>(facts.ids[event].size()));
    add_string(bytes, config.events[event].name);
    for (const std::uint64_t id : facts.ids[event]) bytes.add(id);
  }
  return bytes.bytes();
}

/// Not of guests: perf 6.1 crashes over build-ids of a VM that is known by number. They are in the
/// MMAP2 records.
std::string process_build_ids(const WriterConfig& config) {
  std::string records;
  for (const WrittenMapping& mapping : config.mappings) {
    if (mapping.build_id.empty()) continue;
    const std::string one = build_id_record(CpuMode::kUser, -1, mapping.build_id, mapping.file);
    if (records.find(one) == std::string::npos) records += one;
  }
  return records;
}

}  // namespace

Features features_of(const WriterConfig& config, const FileFacts& facts) {
  Features features{
      {Feature::kHostname, one_string("vpmu")},
      {Feature::kVersion, one_string("vpmu " VPMU_VERSION)},
      {Feature::kArch, one_string(config.arch)},
      {Feature::kNrCpus,
       Bytes{}.add(std::uint32_t{config.host_cpus}).add(std::uint32_t{config.host_cpus}).bytes()},
      {Feature::kCmdline, string_list(config.command_line)},
      {Feature::kEventDesc, event_descriptions(config, facts)},
      {Feature::kSampleTime, Bytes{}.add(facts.first_time).add(facts.last_time).bytes()},
  };
  if (!config.cpu_description.empty()) {
    features.emplace(Feature::kCpuDesc, one_string(config.cpu_description));
  }
  if (!config.cpu_id.empty()) features.emplace(Feature::kCpuId, one_string(config.cpu_id));
  if (config.layout == Layout::kProcess) {
    if (std::string ids = process_build_ids(config); !ids.empty()) {
      features.emplace(Feature::kBuildId, std::move(ids));
    }
  }
  // Nothing in it; it makes the branch view the one that is shown.
  if (std::any_of(config.events.begin(), config.events.end(),
                  [](const WrittenEvent& event) { return event.branches; })) {
    features.emplace(Feature::kBranchStack, std::string{});
  }
  return features;
}

std::string feature_sections(const Features& features, std::uint64_t offset) {
  constexpr std::uint64_t kTableEntry = 16;
  std::uint64_t section = offset + features.size() * kTableEntry;
  Bytes table;
  for (const auto& [feature, content] : features) {
    table.add(section).add(std::uint64_t{content.size()});
    section += content.size();
  }
  for (const auto& [feature, content] : features) table.raw(content);
  return table.bytes();
}

std::uint64_t feature_bits(const Features& features) {
  std::uint64_t bits = 0;
  for (const auto& [feature, content] : features) {
    bits |= std::uint64_t{1} << static_cast<unsigned>(feature);
  }
  return bits;
}

}  // namespace vpmu::profile::perf_data
