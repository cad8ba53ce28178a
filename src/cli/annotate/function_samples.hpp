// SPDX-License-Identifier: MIT
//
// The samples of a profile that are in the functions of a name, by address.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/annotate/name_match.hpp"
#include "profile/symbols/address_space.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::annotate {

struct SampleChoice {
  std::string file;                   ///< perf.data
  std::string symbol;                 ///< name of the function
  std::string event;                  ///< empty: the file's first
  std::optional<std::uint32_t> vcpu;  ///< none: all
  profile::SymbolSources sources;
};

struct AddressCounts {
  std::uint64_t samples = 0;
  std::uint64_t weight = 0;  ///< sum of their periods
  /// As a branch's source in branch stacks.
  std::uint64_t taken = 0;
  std::uint64_t mispredicted = 0;
};

struct FunctionSamples {
  const profile::Image* image = nullptr;
  const profile::Symbol* symbol = nullptr;
  NameMatch match = NameMatch::kNone;
  std::uint64_t start = 0;  ///< as linked
  /// What to add to an address as linked for one of the symbol table's.
  std::uint64_t to_symbols = 0;
  std::map<std::uint64_t, AddressCounts> counts;  ///< by address as linked
  std::uint64_t samples = 0;
  std::uint64_t weight = 0;
};

struct SampledFunctions {
  profile::AddressSpaces spaces;           ///< what images and symbols are of
  std::vector<FunctionSamples> functions;  ///< that match best; the most sampled first
  std::string event;
  std::uint64_t samples = 0;  ///< of all functions
  std::uint64_t weight = 0;
  bool complete = true;  ///< false: the recording was cut short
};

/// Reads all of the file. Errors say what there is instead: of an event, a vCPU, a symbol.
Result<SampledFunctions> read_samples(const SampleChoice& choice);

}  // namespace vpmu::cli::annotate
