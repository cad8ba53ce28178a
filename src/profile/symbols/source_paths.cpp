// SPDX-License-Identifier: MIT
#include "profile/symbols/source_paths.hpp"

#include <dwarf.h>

#include <filesystem>

#include "profile/symbols/printable_name.hpp"

namespace vpmu::profile {

SourcePaths::SourcePaths(Dwarf_Die unit) {
  Dwarf_Attribute attribute;
  if (dwarf_attr(&unit, DW_AT_comp_dir, &attribute) == nullptr) return;
  if (const char* folder = dwarf_formstring(&attribute)) folder_ = printable_name(folder);
}

std::string SourcePaths::of(const char* path) const {
  const std::string shown = printable_name(path);
  return printable_name((std::filesystem::path{folder_} / shown).lexically_normal().string());
}

}  // namespace vpmu::profile
