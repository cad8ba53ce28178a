// SPDX-License-Identifier: MIT
#include "profile/perf_data/file_head.hpp"

#include <array>

#include "profile/perf_data/bytes.hpp"

namespace vpmu::profile::perf_data {

FileHead::FileHead(std::span<const Attr> attrs, std::span<const std::vector<std::uint64_t>> ids) {
  Bytes head;
  std::vector<std::uint64_t> offsets;
  for (const auto& of_event : ids) {
    offsets.push_back(kHeaderBytes + head.size());
    for (const std::uint64_t id : of_event) head.add(id);
  }
  attrs_offset_ = kHeaderBytes + head.size();
  for (std::size_t event = 0; event < attrs.size(); ++event) {
    head.add(attrs[event]).add(offsets[event]).add(std::uint64_t{ids[event].size() * 8});
  }
  ids_and_attrs_ = head.bytes();
}

std::string FileHead::bytes(std::uint64_t data_size, std::uint64_t features) const {
  return Bytes{}
      .raw({kMagic, sizeof kMagic})
      .add(kHeaderBytes)
      .add(std::uint64_t{kAttrBytes + 16})
      .add(attrs_offset_)
      .add(data_offset() - attrs_offset_)
      .add(data_offset())
      .add(data_size)
      .add(std::array<std::uint64_t, 2>{})
      .add(std::array<std::uint64_t, 4>{features, 0, 0, 0})
      .raw(ids_and_attrs_)
      .bytes();
}

}  // namespace vpmu::profile::perf_data
