// SPDX-License-Identifier: MIT
//
// Where the sources of one DWARF compilation unit are.
#pragma once

#include <elfutils/libdw.h>

#include <string>

namespace vpmu::profile {

class SourcePaths {
 public:
  explicit SourcePaths(Dwarf_Die unit);

  /// A path as the unit's tables have it, from the folder it was compiled in, without "..", safe to
  /// show.
  [[nodiscard]] std::string of(const char* path) const;

 private:
  std::string folder_;
};

}  // namespace vpmu::profile
