// SPDX-License-Identifier: MIT
//
// A filter with the CPU that its verdicts are named after.
#pragma once

#include <memory>
#include <string>

#include "policy/event_catalogue.hpp"
#include "policy/filter_file.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/virt/x86/event_filter.hpp"

namespace vpmu::cli::filter {

struct LoadedFilter {
  std::string name;                         ///< of the file
  const policy::EventCatalogue* catalogue;  ///< of the CPU
  std::unique_ptr<const virt::x86::EventFilter> filter;
};

/// `cpu`: as on the command line; if it is empty, the policy says it, and for all other files it is
/// missing.
Result<LoadedFilter> load_filter(const policy::FilterFile& file, const std::string& cpu);

/// The catalogue for a file: of `cpu` or, if that is empty, of the policy in it.
Result<const policy::EventCatalogue*> catalogue_for(const policy::FilterFile& file,
                                                    const std::string& cpu);
/// The filter in a file, for guests on that CPU.
Result<LoadedFilter> load_filter(const policy::FilterFile& file,
                                 const policy::EventCatalogue& catalogue);

/// "icelake-server", or libpfm4's name of a PMU that no CPU model of ours has.
const std::string& cpu_name(const policy::EventCatalogue& catalogue);

}  // namespace vpmu::cli::filter
