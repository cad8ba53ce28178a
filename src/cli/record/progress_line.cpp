// SPDX-License-Identifier: MIT
#include "cli/record/progress_line.hpp"

#include <unistd.h>

#include <ctime>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "cli/atomic_file.hpp"

namespace vpmu::cli::record {

namespace {
constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr std::int64_t kBetween = kNsPerSecond / 5;
constexpr const char* kErase = "\r\x1b[K";

std::int64_t coarse_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}
}  // namespace

bool ProgressLine::due() {
  if (!shown_) return false;
  const std::int64_t now = coarse_ns();
  // What is over at once needs no progress.
  const bool first = next_ns_ == 0;
  if (now < next_ns_) return false;
  next_ns_ = now + kBetween;
  return !first;
}

void ProgressLine::show(const Numbers& numbers) {
  if (!shown_) return;
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin_;
  write_all(STDERR_FILENO, kErase + progress_text(numbers, passed.count()));
  on_screen_ = true;
}

void ProgressLine::erase() {
  if (!on_screen_) return;
  write_all(STDERR_FILENO, kErase);
  on_screen_ = false;
}

std::string progress_text(const ProgressLine::Numbers& numbers, double seconds) {
  const double mips = seconds > 0 ? static_cast<double>(numbers.instructions) / seconds / 1e6 : 0;
  return fmt::format("record: {} sample{}, {}, {:.0f} MIPS, {:.1f} s", grouped(numbers.samples),
                     numbers.samples == 1 ? "" : "s", bytes_text(numbers.file_bytes), mips,
                     seconds);
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  double size = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; size >= 1024 && unit + 1 < std::size(kUnits); ++unit) size /= 1024;
  return fmt::format("{:.{}f} {}", size, size < 10 ? 1 : 0, kUnits[unit]);
}

}  // namespace vpmu::cli::record
