// SPDX-License-Identifier: MIT
//
// Where a sample was, and who called: the call chain of a record without its markers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "profile/perf_data/reader.hpp"
#include "profile/symbols/address_space.hpp"

namespace vpmu::profile {

struct Place {
  std::uint64_t address = 0;
  perf_data::CpuMode mode = perf_data::CpuMode::kUnknown;
  bool is_caller = false;  ///< the address is where a call returns to
};

using CallChain = std::vector<Place>;

/// Of longer chains, the innermost so many are taken.
inline constexpr std::size_t kMostFrames = 1024;

/// The innermost first, which is the sample's own address and always there.
void take_call_chain(const perf_data::SampleRecord& sample, CallChain& chain);

/// Whose code it is. `task`: the sample's.
AddressOwner owner_of(const perf_data::Task& task, perf_data::CpuMode mode);
/// What a record says of mappings, for AddressSpaces.
CodeMapping code_of(const perf_data::MappingRecord& mapping);
void share_mappings(const perf_data::ForkRecord& fork, AddressSpaces& spaces);
/// Of a process that runs another program from now on.
void forget_mappings(const perf_data::CommRecord& comm, AddressSpaces& spaces);
/// The address to look names up by: of a call, not of what follows it.
inline std::uint64_t address_to_name(const Place& place) {
  return place.is_caller && place.address != 0 ? place.address - 1 : place.address;
}

bool is_guest(perf_data::CpuMode mode);

}  // namespace vpmu::profile
