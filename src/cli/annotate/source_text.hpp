// SPDX-License-Identifier: MIT
//
// The text of source lines, where the sources are still where the compiler found them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "profile/symbols/source_lines.hpp"

namespace vpmu::cli::annotate {

class SourceText {
 public:
  /// Without blanks at its ends, safe to show; empty if the file cannot be read or is shorter.
  const std::string& of(const profile::SourceLine& line);

 private:
  std::map<std::string, std::vector<std::string>> files_;
};

}  // namespace vpmu::cli::annotate
