// SPDX-License-Identifier: MIT
//
// How far a recording is, on one line of a terminal that is written again and again. In a pipe:
// nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace vpmu::cli::record {

class ProgressLine {
 public:
  struct Numbers {
    std::uint64_t samples = 0;
    std::uint64_t instructions = 0;  ///< since the recording began
    std::uint64_t file_bytes = 0;
  };

  /// `shown`: standard error is a terminal.
  explicit ProgressLine(bool shown) : shown_{shown} {}
  ~ProgressLine() { erase(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Whether it is time to write it again. Cheap.
  [[nodiscard]] bool due();
  void show(const Numbers& numbers);
  /// Before anybody else writes to the terminal.
  void erase();

 private:
  bool shown_;
  bool on_screen_ = false;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::int64_t next_ns_ = 0;  ///< of the coarse clock
};

/// "record: 12,345 samples, 1.2 MiB, 85 MIPS, 3.4 s": fits 80 columns.
std::string progress_text(const ProgressLine::Numbers& numbers, double seconds);

/// 56 KiB, 1.2 MiB, 345 bytes.
std::string bytes_text(std::uint64_t bytes);

}  // namespace vpmu::cli::record
