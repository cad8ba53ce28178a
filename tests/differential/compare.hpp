// SPDX-License-Identifier: MIT
//
// Whether two runs of a case ended in the same state, as far as the architecture defines it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "state.hpp"
#include "test_case.hpp"

namespace vpmu::differential {

/// What was left behind: state and the data pages.
struct Ending {
  Outcome outcome;
  std::span<const std::uint8_t> data;
};

/// Differences, one line each; empty if there are none.
std::vector<std::string> differences(const TestCase& test, const Ending& expected,
                                     const Ending& got);

/// The case for a reader: code, inputs, memory operands.
std::string describe(const TestCase& test);

}  // namespace vpmu::differential
