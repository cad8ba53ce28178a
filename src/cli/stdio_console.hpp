// SPDX-License-Identifier: MIT
//
// The guest's serial console on standard input and output. Output is buffered, and seen at the end
// of each line, whenever input is looked for, and at the end of the run.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "machine/console.hpp"

namespace vpmu::cli {

class StdioConsole final : public machine::Console {
 public:
  StdioConsole();

  void put(std::uint8_t byte) override;
  std::optional<std::uint8_t> next_input() override;
  bool wait_for_input() override;
  void flush() override;

  /// To be called before anything is written: somebody else uses the same terminal.
  void before_output(std::function<void()> hook) { before_output_ = std::move(hook); }
  /// Whether what was written last ended a line; so it does before the first write.
  [[nodiscard]] bool at_line_start() const { return at_line_start_; }
  /// The errno of the first write that failed; 0 if none did. What comes after it is dropped.
  [[nodiscard]] int error() const { return error_; }

 private:
  /// Reads what there is, waiting up to `milliseconds` for it.
  void fill(int milliseconds);

  std::string output_;
  int error_ = 0;
  bool at_line_start_ = true;
  std::function<void()> before_output_;

  bool input_open_;
  std::uint8_t input_[256];
  std::size_t input_next_ = 0;
  std::size_t input_end_ = 0;
};

}  // namespace vpmu::cli
