// SPDX-License-Identifier: MIT
//
// What the JSON of all `vpmu filter` commands has in common: docs/filter-json.md.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/filter_image.hpp"

namespace vpmu::cli::filter {

using Json = nlohmann::ordered_json;

/// Goes up when a field disappears or changes its meaning.
inline constexpr int kJsonVersion = 1;

inline const char* vendor_word(silicon::x86::Vendor vendor) {
  return vendor == silicon::x86::Vendor::kIntel ? "intel" : "amd";
}
inline const char* action_word(const virt::x86::FilterImage& image) {
  return image.denies() ? "deny" : "allow";
}
inline const char* verdict_word(bool admitted) {
  return admitted ? "allowed" : "denied";
}

/// What both filters say of something about which they differ.
inline void add_difference(Json& one, bool a_admits) {
  one["a"] = verdict_word(a_admits);
  one["b"] = verdict_word(!a_admits);
}

/// Bytes that are no UTF-8 (of a file's name) become U+FFFD.
inline std::string print(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace vpmu::cli::filter
