// SPDX-License-Identifier: MIT
//
// What is written in front of a file's records: header, ids and attrs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "profile/perf_data/format.hpp"

namespace vpmu::profile::perf_data {

class FileHead {
 public:
  FileHead() = default;
  /// One attr for each event, and its ids.
  FileHead(std::span<const Attr> attrs, std::span<const std::vector<std::uint64_t>> ids);

  /// Where records begin.
  [[nodiscard]] std::uint64_t data_offset() const { return kHeaderBytes + ids_and_attrs_.size(); }
  /// All of it. Features only count once they are behind the records.
  [[nodiscard]] std::string bytes(std::uint64_t data_size, std::uint64_t features) const;
  /// Where the header has the size of the records.
  static constexpr std::uint64_t kDataSizeOffset = 48;

 private:
  std::string ids_and_attrs_;
  std::uint64_t attrs_offset_ = 0;
};

}  // namespace vpmu::profile::perf_data
