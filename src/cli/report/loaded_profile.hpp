// SPDX-License-Identifier: MIT
//
// A recording, read for one of the views, with names for its addresses.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "profile/perf_data/reader.hpp"
#include "profile/symbols/address_space.hpp"
#include "profile/views/profile.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::report {

/// What all views are asked with.
struct ProfileSource {
  std::string file = "perf.data";
  std::string event;  ///< name; empty: as the view likes
  profile::SymbolSources symbols;
};

/// An open recording.
struct OpenProfile {
  std::unique_ptr<profile::perf_data::Reader> reader;
  profile::AddressSpaces spaces;
  std::optional<std::uint32_t> event;  ///< the one that was asked for
};
Result<OpenProfile> open_profile(const ProfileSource& source);

struct LoadOptions {
  bool branches = false;
  bool timeline = false;
  bool first_event = false;  ///< if none was asked for, only the first
};
struct LoadedProfile {
  profile::AddressSpaces spaces;
  profile::Profile profile;
  std::optional<std::uint32_t> event;  ///< the only one that was read; none: all
};
/// Shows how far it is on a terminal, if that takes long.
Result<LoadedProfile> load_profile(const ProfileSource& source, const LoadOptions& options);

/// For standard error: what could not be read, cut-off recordings, other events, addresses without
/// names.
std::string remarks(const LoadedProfile& loaded, const ProfileSource& source);
/// The same of what was not kept as a profile.
std::string problems_text(const profile::AddressSpaces& spaces);

}  // namespace vpmu::cli::report
