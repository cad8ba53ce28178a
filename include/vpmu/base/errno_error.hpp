// SPDX-License-Identifier: MIT
//
// Errors of interfaces that have their errors' numbers from the kernel's: a VMM that offers the
// same interface passes the number on, one to one.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace vpmu {

/// Why a request was refused: the errno, positive, and one line that names the input and the
/// remedy.
struct ErrnoError {
  int number;
  std::string message;
};

template <class T>
using ErrnoResult = tl::expected<T, ErrnoError>;

inline tl::unexpected<ErrnoError> refuse(int number, std::string message) {
  return tl::unexpected<ErrnoError>(ErrnoError{number, std::move(message)});
}

}  // namespace vpmu
