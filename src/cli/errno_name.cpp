// SPDX-License-Identifier: MIT
#include "cli/errno_name.hpp"

#include <cstring>

#include <fmt/format.h>

namespace vpmu::cli {

std::string errno_name(int error) {
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : fmt::format("error {}", error);
}

}  // namespace vpmu::cli
