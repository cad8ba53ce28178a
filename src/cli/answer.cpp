// SPDX-License-Identifier: MIT
#include "cli/answer.hpp"

#include <unistd.h>

#include <cstdio>

#include <fmt/format.h>

#include "cli/atomic_file.hpp"
#include "cli/exit_status.hpp"

namespace vpmu::cli {

int bad_input(const Error& error) {
  fmt::print(stderr, "vpmu: {}\n", error.message);
  return kStatusBadInput;
}

int print(std::string_view text) {
  if (write_all(STDOUT_FILENO, text) == 0) return 0;
  return bad_input({"standard output cannot be written"});
}

}  // namespace vpmu::cli
