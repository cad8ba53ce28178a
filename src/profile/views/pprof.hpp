// SPDX-License-Identifier: MIT
//
// A profile for pprof: its protobuf message, gzip-compressed. Two values for each event, samples
// and count. Labels: guest, vcpu, mode. Addresses are those of the images as linked; source lines
// and inlined functions are in it where images have DWARF.
#pragma once

#include <string>

#include "profile/symbols/address_space.hpp"
#include "profile/views/profile.hpp"

namespace vpmu::profile {

std::string pprof_bytes(const Profile& profile, AddressSpaces& spaces);

}  // namespace vpmu::profile
