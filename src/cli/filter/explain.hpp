// SPDX-License-Identifier: MIT
//
// `vpmu filter explain`: what a filter says of events, and which of its entries makes it say so.
#pragma once

#include <string>
#include <vector>

#include "cli/filter/event_text.hpp"
#include "cli/filter/loaded_filter.hpp"
#include "cli/filter/output.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/virt/x86/event_filter.hpp"

namespace vpmu::cli::filter {

struct ExplainOptions {
  std::string file;
  std::vector<std::string> events;  ///< as policies write them; none: every event that has a name
  std::string cpu;                  ///< name, or empty
  bool json = false;
};

/// Of a name, or of neighbouring unit masks about which the filter says the same.
struct EventVerdict {
  std::string name;  ///< empty: none
  SelectorRange codes;
  virt::x86::FilterVerdict verdict;
};
struct FixedVerdict {
  unsigned counter = 0;
  std::string name;
  bool admitted = false;
};

struct Explanation {
  std::vector<EventVerdict> events;
  std::vector<FixedVerdict> fixed;
};

/// Of some events; an error is about one that is not understood.
Result<Explanation> explain(const LoadedFilter& filter, const std::vector<std::string>& events);
/// Of every event that has a name, and of every fixed counter.
Explanation explain_all(const LoadedFilter& filter);

Result<Output> run_explain(const ExplainOptions& options);

}  // namespace vpmu::cli::filter
