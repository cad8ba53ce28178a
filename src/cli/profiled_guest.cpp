// SPDX-License-Identifier: MIT
#include "cli/profiled_guest.hpp"

#include <filesystem>
#include <system_error>

#include <fmt/format.h>

namespace vpmu::cli {

namespace {
namespace fs = std::filesystem;
namespace perf_data = profile::perf_data;
}  // namespace

std::string absolute_path(const std::string& path) {
  std::error_code error;
  const fs::path found = fs::canonical(path, error);
  return error ? path : found.string();
}

std::vector<perf_data::WrittenMapping> written_mappings(const profile::ElfImage& image,
                                                        const std::string& path) {
  std::vector<perf_data::WrittenMapping> result;
  for (const profile::ElfSegment& segment : profile::code_segments(image)) {
    result.push_back({.start = segment.address,
                      .length = segment.file_bytes,
                      .file_offset = segment.file_offset,
                      .file = path,
                      .build_id = image.build_id,
                      .text = image.text});
  }
  return result;
}

std::string perf_cpu_id(std::uint32_t midr) {
  constexpr std::uint32_t kVariant = 0xf0'0000, kRevision = 0xf;
  return fmt::format("{:#018x}", midr & ~(kVariant | kRevision));
}

}  // namespace vpmu::cli
