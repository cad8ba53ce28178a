// SPDX-License-Identifier: MIT
//
// How a perf.data file ends, whoever wrote its records.
#pragma once

#include <cstdint>
#include <string_view>

#include "profile/perf_data/features.hpp"
#include "profile/perf_data/file_head.hpp"
#include "profile/perf_data/output_file.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::profile::perf_data {

/// Puts feature sections behind the first `written` bytes, and then the header that has them count.
/// Errno or 0.
int write_end(OutputFile& file, const FileHead& head, std::uint64_t written,
              const Features& features);

/// Closes it. `failed`: the errno of what went wrong before, or 0. `content`: what is whole in it
/// then, as "3 samples".
Result<void> close_file(OutputFile& file, int failed, std::string_view content);

}  // namespace vpmu::profile::perf_data
