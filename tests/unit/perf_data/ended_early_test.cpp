// SPDX-License-Identifier: MIT
//
// Recordings that did not come to their end: killed, or without room. What is in the file is a
// beginning of what was recorded, sample by sample.
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "recorded.hpp"

namespace vpmu::profile::perf_data {
namespace {

using Branch = silicon::x86::LbrStack::Decoded;

/// Sample `n` says so in all its parts, and is of a size that depends on it.
class Numbered {
 public:
  void write(Writer& writer, std::uint64_t n) {
    chain_.fill(n);
    branches_.fill({.from = n, .to = n + 1});
    hostperf::Sample sample;
    sample.vcpu = 0;
    sample.time_ns = 1 + n;
    sample.mode = hostperf::SampledMode::kGuestUser;
    sample.ip = n;
    sample.period = 1;
    sample.callchain = std::span{chain_}.first(n % chain_.size());
    sample.branches = std::span{branches_}.first(n % branches_.size());
    writer.on_sample(sample);
  }

 private:
  std::array<std::uint64_t, 7> chain_{};
  std::array<Branch, 32> branches_{};
};

void expect_numbered(const Everything& all) {
  ASSERT_EQ(all.error, "");
  for (std::uint64_t n = 0; n < all.samples.size(); ++n) {
    ASSERT_EQ(all.samples[n].ip, n);
    ASSERT_EQ(all.samples[n].callchain.size(), n % 7 == 0 ? 0 : n % 7 + 1);
    ASSERT_EQ(all.samples[n].branches.size(), n % 32);
    for (const BranchEntry& branch : all.samples[n].branches) ASSERT_EQ(branch.from, n);
  }
}

/// perf is stricter than our reader: what the header says is there must be there, whole records to
/// the last byte.
void expect_whole_records(const std::string& path) {
  const std::string bytes = content_of(path);
  const auto word_at = [&bytes](std::uint64_t offset) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + offset, 8);
    return word;
  };
  ASSERT_GE(bytes.size(), 104u);
  std::uint64_t at = word_at(40);
  const std::uint64_t end = at + word_at(48);
  ASSERT_LE(end, bytes.size());
  while (at < end) {
    const std::uint64_t size = word_at(at) >> 48;
    ASSERT_GE(size, 8u);
    at += size;
  }
  EXPECT_EQ(at, end);
}

std::uint64_t file_size(const std::string& path) {
  std::error_code none;
  const auto size = std::filesystem::file_size(path, none);
  return none ? 0 : size;
}

/// What a child does that never comes back.
[[noreturn]] void record_for_ever(const std::string& path, Layout layout) {
  auto writer = Writer::create(path, small_config(layout));
  if (!writer) _exit(1);
  Numbered samples;
  for (std::uint64_t n = 0;; ++n) samples.write(**writer, n);
}

TEST(KilledRecording, IsABeginning) {
  for (int round = 0; round < 24; ++round) {
    const TestPath path;
    // From hardly begun to some rounds; what lies between this and the kill is up to chance.
    const std::uint64_t at_least = static_cast<std::uint64_t>(round) * 100'003;
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) record_for_ever(path.str(), round % 2 == 0 ? Layout::kGuest : Layout::kProcess);
    int status = 0;
    while (file_size(path.str()) <= at_least) {
      ASSERT_EQ(waitpid(child, &status, WNOHANG), 0) << "it could not record";
      sched_yield();
    }
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    const Everything all = read_everything(path.str());
    // Before the header there is a file without it.
    if (at_least == 0 && all.error != "") continue;
    expect_numbered(all);
    expect_whole_records(path.str());
    EXPECT_FALSE(all.info.complete);
    // All but the round that was on its way, of samples of at most 900 bytes.
    EXPECT_GE((all.samples.size() + 1) * 900 + (std::uint64_t{640} << 10), at_least);
  }
}

/// The file after each sample: what a kill leaves that comes between two calls.
TEST(KilledRecording, IsABeginningBetweenAnyTwoSamples) {
  const TestPath path, copy{"copy"};
  auto writer = Writer::create(path.str(), small_config(Layout::kGuest));
  ASSERT_TRUE(writer);
  Numbered samples;
  std::uint64_t seen = ~std::uint64_t{0};
  std::size_t in_file = 0;
  for (std::uint64_t n = 0; n < 3000; ++n) {
    if (const std::uint64_t size = file_size(path.str()); size != seen) {
      seen = size;
      std::filesystem::copy_file(path.str(), copy.str(),
                                 std::filesystem::copy_options::overwrite_existing);
      const Everything all = read_everything(copy.str());
      expect_numbered(all);
      expect_whole_records(copy.str());
      EXPECT_FALSE(all.info.complete);
      EXPECT_TRUE(n == 0 || all.samples.size() > in_file);
      in_file = all.samples.size();
    }
    samples.write(**writer, n);
  }
  EXPECT_GT(in_file, 1000u);
  // An end between the features and the header that knows them.
  ASSERT_TRUE((*writer)->finish());
  std::string bytes = content_of(path.str());
  bytes.replace(72, 32, 32, '\0');
  write_content(copy.str(), bytes);
  const Everything all = read_everything(copy.str());
  expect_numbered(all);
  EXPECT_EQ(all.samples.size(), 3000u);
  EXPECT_FALSE(all.info.complete);
}

/// Records 5,000 samples where files may have `limit` bytes; the message it ends with.
[[noreturn]] void record_within(const std::string& path, std::uint64_t limit, int to) {
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit bytes{limit, limit};
  setrlimit(RLIMIT_FSIZE, &bytes);
  std::string message;
  if (auto writer = Writer::create(path, small_config(Layout::kGuest))) {
    Numbered samples;
    for (std::uint64_t n = 0; n < 5000; ++n) samples.write(**writer, n);
    const bool failed = (*writer)->failed();
    const auto finished = (*writer)->finish();
    message = finished ? "" : finished.error().message;
    if (failed && finished) message = "failed, and did not tell";
  } else {
    message = "create: " + writer.error().message;
  }
  const ssize_t wrote = ::write(to, message.data(), message.size());
  _exit(wrote == static_cast<ssize_t>(message.size()) ? 0 : 1);
}

std::string message_within(const std::string& path, std::uint64_t limit) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) record_within(path, limit, ends[1]);
  close(ends[1]);
  std::string message(4096, '\0');
  const ssize_t got = ::read(ends[0], message.data(), message.size());
  message.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  close(ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return message;
}

TEST(RecordingWithoutRoom, SaysSoAndIsABeginning) {
  const TestPath whole{"whole"};
  ASSERT_EQ(message_within(whole.str(), std::uint64_t{1} << 30), "");
  const std::uint64_t size = file_size(whole.str());
  // Each full page of it, the places where the last bytes are missing, and where none is.
  std::vector<std::uint64_t> limits{1, 104, 105, 4096, 300'000, size / 2, size - 5000};
  for (std::uint64_t missing = 1; missing < 2000; missing += 333) limits.push_back(size - missing);
  for (std::uint64_t limit = 262'000; limit < 275'000; limit += 1'111) limits.push_back(limit);
  for (const std::uint64_t limit : limits) {
    const TestPath path;
    const std::string message = message_within(path.str(), limit);
    EXPECT_NE(message.find("'" + path.str() + "': File too large"), std::string::npos)
        << limit << ": " << message;
    EXPECT_NE(message.find("; free some space"), std::string::npos) << message;
    if (message.starts_with("create: ")) continue;
    const Everything all = read_everything(path.str());
    expect_numbered(all);
    expect_whole_records(path.str());
    const std::string count = "the first " + std::to_string(all.samples.size()) + " samples";
    EXPECT_NE(message.find(count), std::string::npos) << limit << ": " << message;
    EXPECT_LE(file_size(path.str()), limit);
  }
}

TEST(RecordingWithoutRoom, IsRefusedIfNotEvenItsBeginningFits) {
  for (const std::uint64_t limit : {1u, 103u, 200u}) {
    const TestPath path;
    EXPECT_TRUE(message_within(path.str(), limit).starts_with("create: ")) << limit;
  }
}

}  // namespace
}  // namespace vpmu::profile::perf_data
