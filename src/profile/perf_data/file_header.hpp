// SPDX-License-Identifier: MIT
//
// What a file says before its records: which events it is of, where the records are, and what its
// feature sections tell. Of the pipe form, which has all that in records, only where they begin.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>

#include "profile/perf_data/format.hpp"
#include "profile/perf_data/input_file.hpp"
#include "profile/perf_data/reader.hpp"

namespace vpmu::profile::perf_data {

/// Build-ids by file name, in the file's own bytes.
using BuildIds = std::map<std::string_view, std::span<const std::uint8_t>>;

struct FileHeader {
  FileInfo info;
  BuildIds build_ids;
  std::uint64_t data_begin = 0;
  std::uint64_t data_end = 0;  ///< at most the file's
  bool pipe = false;
};

Result<FileHeader> read_header(const InputFile& file);

/// An attr that takes all of `bytes` or less, as its size field says. Nothing: it cannot be one.
std::optional<Attr> read_attr(std::span<const std::uint8_t> bytes);

/// Takes what a feature's section says. False: it is malformed. Features that nobody needs are fine
/// as they are.
bool take_feature(unsigned feature, std::span<const std::uint8_t> content, FileHeader& header);

/// For an event whose name the file does not tell.
std::string default_event_name(const Attr& attr);

}  // namespace vpmu::profile::perf_data
