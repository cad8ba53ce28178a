// SPDX-License-Identifier: MIT
//
// Errors of the user's: one line that names the input and says what to do about it.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace vpmu {

/// What went wrong with something that a user passed. `message` is one line, without a newline, and
/// names the input and the remedy.
struct Error {
  std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(std::string message) {
  return tl::unexpected<Error>(Error{std::move(message)});
}

}  // namespace vpmu
