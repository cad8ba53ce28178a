// SPDX-License-Identifier: MIT
//
// What stands behind the records of a file: the feature sections and their table.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "profile/perf_data/format.hpp"
#include "profile/perf_data/writer.hpp"

namespace vpmu::profile::perf_data {

/// Contents by number, so in the order in which they are written.
using Features = std::map<Feature, std::string>;

struct FileFacts {
  std::vector<Attr> attrs;                      ///< as written, one for each event
  std::vector<std::vector<std::uint64_t>> ids;  ///< of each event
  std::uint64_t first_time = 0, last_time = 0;  ///< of samples
};

Features features_of(const WriterConfig& config, const FileFacts& facts);

/// Table and sections as they stand at `offset` of the file, right behind the records.
std::string feature_sections(const Features& features, std::uint64_t offset);
/// For the file's header.
std::uint64_t feature_bits(const Features& features);

}  // namespace vpmu::profile::perf_data
