// SPDX-License-Identifier: MIT
//
// `vpmu filter list-events`: the events of a CPU that filters and policies can name.
#pragma once

#include <string>

#include "cli/filter/output.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::filter {

struct ListEventsOptions {
  std::string cpu;
  std::string pattern = {};  ///< as policies write events; empty: all
  bool is_long = false;
  bool json = false;
};

Result<Output> run_list_events(const ListEventsOptions& options);

}  // namespace vpmu::cli::filter
