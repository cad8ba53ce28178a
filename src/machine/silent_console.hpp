// SPDX-License-Identifier: MIT
//
// A console at which nobody listens and nobody types.
#pragma once

#include <cstdint>
#include <optional>

#include "machine/console.hpp"

namespace vpmu::machine {

class SilentConsole final : public Console {
 public:
  void put(std::uint8_t) override {}
  std::optional<std::uint8_t> next_input() override { return std::nullopt; }
  bool wait_for_input() override { return false; }
  void flush() override {}
};

}  // namespace vpmu::machine
