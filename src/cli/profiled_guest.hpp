// SPDX-License-Identifier: MIT
//
// What files of profiles say of the guest that they are of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "profile/perf_data/writer.hpp"
#include "profile/symbols/elf_image.hpp"

namespace vpmu::cli {

/// As readers find it from wherever they are; as it was given if there is no such file.
std::string absolute_path(const std::string& path);

/// Of code.
std::vector<profile::perf_data::WrittenMapping> written_mappings(const profile::ElfImage& image,
                                                                 const std::string& path);

/// As perf has it on Arm: without variant and revision.
std::string perf_cpu_id(std::uint32_t midr);

}  // namespace vpmu::cli
