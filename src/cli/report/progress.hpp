// SPDX-License-Identifier: MIT
//
// Records on their way to a view, and how many samples there were so far on the terminal.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "profile/perf_data/reader.hpp"

namespace vpmu::cli::report {

class Progress final : public profile::perf_data::RecordVisitor {
 public:
  explicit Progress(profile::perf_data::RecordVisitor& next)
      : next_{next}, terminal_{isatty(STDERR_FILENO) != 0} {}
  ~Progress() {
    if (shown_) fmt::print(stderr, "\r\x1b[K");
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void on_comm(const profile::perf_data::CommRecord& comm) override { next_.on_comm(comm); }
  void on_mapping(const profile::perf_data::MappingRecord& mapping) override {
    next_.on_mapping(mapping);
  }
  void on_fork(const profile::perf_data::ForkRecord& fork) override { next_.on_fork(fork); }
  void on_sample(const profile::perf_data::SampleRecord& sample) override {
    constexpr std::uint64_t kLook = 1u << 16;
    if (++samples_ % kLook == 0 && terminal_) show();
    next_.on_sample(sample);
  }
  void on_lost(std::uint64_t samples) override { next_.on_lost(samples); }

 private:
  using Clock = std::chrono::steady_clock;

  void show() {
    constexpr std::chrono::milliseconds kFirst{500}, kEach{200};
    const auto now = Clock::now();
    if (now - last_ < (shown_ ? kEach : kFirst)) return;
    last_ = now;
    shown_ = true;
    fmt::print(stderr, "\r{} samples read", grouped(samples_));
    std::fflush(stderr);
  }

  profile::perf_data::RecordVisitor& next_;
  bool terminal_;
  bool shown_ = false;
  std::uint64_t samples_ = 0;
  Clock::time_point last_ = Clock::now();
};

}  // namespace vpmu::cli::report
