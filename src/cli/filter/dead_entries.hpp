// SPDX-License-Identifier: MIT
//
// Entries of a filter that do nothing: it would say the same of every event without them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/filter_image.hpp"

namespace vpmu::cli::filter {

struct DeadEntry {
  std::uint32_t entry;
  std::string why;  ///< e.g. "is the same as entry 1"
  friend bool operator==(const DeadEntry&, const DeadEntry&) = default;
};

/// Of a valid image. All of them together can be removed. Of several that say the same, the widest
/// and then the first stays.
std::vector<DeadEntry> dead_entries(const virt::x86::FilterImage& image,
                                    silicon::x86::Vendor vendor);

}  // namespace vpmu::cli::filter
