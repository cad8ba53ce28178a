// SPDX-License-Identifier: MIT
#include "profile/perf_data/file_end.hpp"

#include <cstring>
#include <string>

#include <fmt/format.h>

namespace vpmu::profile::perf_data {

int write_end(OutputFile& file, const FileHead& head, std::uint64_t written,
              const Features& features) {
  const std::string sections = feature_sections(features, written);
  if (const int failed = file.write_at(written, sections)) {
    file.cut(written);
    return failed;
  }
  if (const int failed = file.cut(written + sections.size())) return failed;
  return file.write_at(0, head.bytes(written - head.data_offset(), feature_bits(features)));
}

Result<void> close_file(OutputFile& file, int failed, std::string_view content) {
  const int unclosed = file.close();
  const int error = failed != 0 ? failed : unclosed;
  if (error == 0) return {};
  return profile_error(file.path(),
                       fmt::format("{}; it has the first {}", std::strerror(error), content),
                       "free some space, or give another path with -o");
}

}  // namespace vpmu::profile::perf_data
