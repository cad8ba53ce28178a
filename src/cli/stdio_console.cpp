// SPDX-License-Identifier: MIT
#include "cli/stdio_console.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "cli/atomic_file.hpp"

namespace vpmu::cli {

namespace {
constexpr std::size_t kBuffered = 8192;

/// From the background, reading a terminal would stop this process.
bool may_read_input() {
  return isatty(STDIN_FILENO) == 0 || tcgetpgrp(STDIN_FILENO) == getpgrp();
}
}  // namespace

StdioConsole::StdioConsole() : input_open_{may_read_input()} {
  output_.reserve(kBuffered);
}

void StdioConsole::put(std::uint8_t byte) {
  output_.push_back(static_cast<char>(byte));
  if (output_.size() >= kBuffered || byte == '\n') flush();
}

void StdioConsole::flush() {
  if (error_ == 0 && !output_.empty()) {
    if (before_output_) before_output_();
    error_ = write_all(STDOUT_FILENO, output_);
    at_line_start_ = output_.back() == '\n';
  }
  output_.clear();
}

std::optional<std::uint8_t> StdioConsole::next_input() {
  if (input_next_ == input_end_) fill(0);
  if (input_next_ == input_end_) return std::nullopt;
  return input_[input_next_++];
}

bool StdioConsole::wait_for_input() {
  if (input_next_ == input_end_) fill(100);
  return input_open_ || input_next_ != input_end_;
}

void StdioConsole::fill(int milliseconds) {
  if (!input_open_) return;
  flush();
  pollfd ready{STDIN_FILENO, POLLIN, 0};
  if (poll(&ready, 1, milliseconds) <= 0) return;
  const ssize_t got = read(STDIN_FILENO, input_, sizeof input_);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  input_next_ = 0;
  input_end_ = got > 0 ? static_cast<std::size_t>(got) : 0;
  if (got <= 0) input_open_ = false;
}

}  // namespace vpmu::cli
