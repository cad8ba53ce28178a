// SPDX-License-Identifier: MIT
//
// A recording as a test writes it down: records go to a visitor as a reader would give them. Its
// code has the symbols of a file, by names of one letter: a at 0x1000, b at 0x1100, and so on, each
// 0x100 bytes long.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "profile/perf_data/reader.hpp"
#include "profile/symbols/address_space.hpp"
#include "profile/views/profile_builder.hpp"
#include "profile/views/text_sink.hpp"

namespace vpmu::profile::test {

using perf_data::BranchEntry;
using perf_data::CpuMode;

/// Inside the function with that letter.
constexpr std::uint64_t in(char function, std::uint64_t offset = 0x10) {
  return 0x1000 + static_cast<std::uint64_t>(function - 'a') * 0x100 + offset;
}

/// One sample, by the letters of its stack, the innermost first.
struct Shot {
  std::string stack;
  std::uint64_t period = 100;
  std::uint32_t event = 0;
  std::uint32_t vcpu = 0;
  CpuMode mode = CpuMode::kGuestKernel;
  std::uint64_t time = 0;
  std::vector<BranchEntry> branches = {};
};

class Recording {
 public:
  explicit Recording(std::vector<std::string> names = {}) {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    symbols_ =
        std::filesystem::path{testing::TempDir()} /
        fmt::format("vpmu-views-{}-{}-{}.map", getpid(), test->test_suite_name(), test->name());
    names_ = std::move(names);
    for (char c = static_cast<char>('a' + names_.size()); c <= 'j'; ++c) names_.emplace_back(1, c);
    info.events.push_back({"cycles", {}, {}});
  }
  ~Recording() { std::filesystem::remove(symbols_); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  perf_data::FileInfo info;
  std::string guest = "demo";  ///< empty: no name is recorded
  std::uint64_t lost = 0;
  std::vector<Shot> shots;

  /// Addresses from which a name is looked up by.
  AddressSpaces spaces() {
    std::ofstream file{symbols_};
    std::uint64_t start = in('a', 0);
    for (const std::string& name : names_) {
      file << fmt::format("{:x} 100 {}\n", start, name);
      start += 0x100;
    }
    file.close();
    auto made = AddressSpaces::create({.symbols = symbols_});
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return std::move(*made);
  }

  void replay(perf_data::RecordVisitor& visitor) const {
    if (!guest.empty()) visitor.on_comm({{1, 2, 2, 0, CpuMode::kGuestUser}, guest});
    for (const Shot& shot : shots) {
      std::vector<std::uint64_t> chain;
      for (const char c : shot.stack) {
        chain.push_back(c == '?' ? 0x9990 : in(c) + (chain.empty() ? 0 : 1));
      }
      perf_data::SampleRecord sample;
      sample.event = shot.event;
      sample.task = {1, 2, 2, shot.vcpu, shot.mode};
      sample.ip = chain[0];
      sample.time = shot.time;
      sample.period = shot.period;
      sample.cpu = shot.vcpu;
      if (chain.size() > 1) sample.callchain = chain;
      sample.branches = shot.branches;
      visitor.on_sample(sample);
    }
    if (lost != 0) visitor.on_lost(lost);
  }

  Profile profile(AddressSpaces& spaces, ProfileOptions options = {}) const {
    ProfileBuilder builder{info, spaces, options};
    replay(builder);
    return builder.finish(info.complete);
  }

 private:
  std::string symbols_;
  std::vector<std::string> names_;
};

/// All that a view writes.
inline std::string written(const std::function<Result<void>(const TextSink&)>& view) {
  std::string text;
  const auto done = view([&](std::string_view piece) -> Result<void> {
    text += piece;
    return {};
  });
  EXPECT_TRUE(done) << (done ? "" : done.error().message);
  return text;
}

}  // namespace vpmu::profile::test
