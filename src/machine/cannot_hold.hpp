// SPDX-License-Identifier: MIT
//
// What restore() of a device or CPU says of a state that no guest could have brought about. The
// caller knows which device it is, and where the state came from.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "vpmu/base/result.hpp"

namespace vpmu::machine {

inline tl::unexpected<Error> cannot_hold(const char* what, std::uint64_t value) {
  return fail(std::string{what} + " cannot be " + std::to_string(value));
}

/// The same error, with the part of the machine that it is about in front.
inline Result<void> in_part(const std::string& name, Result<void> restored) {
  return std::move(restored).map_error(
      [&name](const Error& error) { return Error{name + ": " + error.message}; });
}

}  // namespace vpmu::machine
