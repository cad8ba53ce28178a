// SPDX-License-Identifier: MIT
//
// A recording in a file of the test's own, and all that a reader says about it.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "profile/perf_data/reader.hpp"
#include "profile/perf_data/writer.hpp"

namespace vpmu::profile::perf_data {

/// A path that nothing is at, and nothing will be when the test is over.
class TestPath {
 public:
  explicit TestPath(const std::string& name = "perf.data")
      : path_{::testing::TempDir() + "vpmu-" + std::to_string(getpid()) + "-" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name() + "-" + name} {
    for (char& c : path_) {
      if (c == '/' && &c >= path_.data() + ::testing::TempDir().size()) c = '_';
    }
    std::filesystem::remove_all(path_);
  }
  TestPath(const TestPath&) = delete;
  TestPath& operator=(const TestPath&) = delete;
  ~TestPath() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& str() const { return path_; }

 private:
  std::string path_;
};

inline std::string content_of(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

inline void write_content(const std::string& path, const std::string& content) {
  std::ofstream{path, std::ios::binary | std::ios::trunc} << content;
}

/// Copies of what the visitor is shown.
struct ReadSample {
  std::uint32_t event = 0;
  Task task;
  bool exact = false;
  std::uint64_t ip = 0, time = 0;
  std::uint32_t cpu = 0;
  std::uint64_t period = 0;
  std::vector<std::uint64_t> callchain;
  std::vector<BranchEntry> branches;
};
struct ReadName {
  Task task;
  std::string name;
  bool exec = false;
};
struct ReadMapping {
  Task task;
  std::uint64_t start = 0, length = 0, file_offset = 0;
  std::string file;
  std::vector<std::uint8_t> build_id;
  bool executable = false;
};

struct Everything final : RecordVisitor {
  void on_comm(const CommRecord& comm) override {
    names.push_back({comm.task, std::string{comm.name}, comm.exec});
  }
  void on_mapping(const MappingRecord& mapping) override {
    mappings.push_back({mapping.task,
                        mapping.start,
                        mapping.length,
                        mapping.file_offset,
                        std::string{mapping.file},
                        {mapping.build_id.begin(), mapping.build_id.end()},
                        mapping.executable});
  }
  void on_fork(const ForkRecord& fork) override { forks.push_back(fork); }
  void on_sample(const SampleRecord& sample) override {
    samples.push_back({sample.event,
                       sample.task,
                       sample.exact,
                       sample.ip,
                       sample.time,
                       sample.cpu,
                       sample.period,
                       {sample.callchain.begin(), sample.callchain.end()},
                       {sample.branches.begin(), sample.branches.end()}});
  }
  void on_lost(std::uint64_t count) override { lost += count; }

  std::vector<ReadName> names;
  std::vector<ReadMapping> mappings;
  std::vector<ForkRecord> forks;
  std::vector<ReadSample> samples;
  std::uint64_t lost = 0;

  FileInfo info;
  std::string kallsyms;
  std::uint64_t unknown = 0;
  std::string error;  ///< of opening or reading; empty: none
};

inline Everything read_everything(const std::string& path) {
  Everything all;
  auto reader = Reader::open(path);
  if (!reader) {
    all.error = reader.error().message;
    return all;
  }
  if (auto done = (*reader)->read(all); !done) all.error = done.error().message;
  all.info = (*reader)->info();
  all.kallsyms = (*reader)->guest_kallsyms();
  all.unknown = (*reader)->unknown_records();
  return all;
}

/// One event, one mapping, with call chains and branches.
inline WriterConfig small_config(Layout layout) {
  WriterConfig config;
  config.layout = layout;
  config.events = {
      {.name = "cycles", .attr = {.sample_period = 1000}, .callchain = true, .branches = true}};
  config.mappings = {
      {.start = 0x101000,
       .length = 0x2000,
       .file_offset = 0x1000,
       .file = "/guests/sort.elf",
       .build_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}}};
  config.guest = "sort.elf";
  config.command_line = {"vpmu", "record", "sort.elf"};
  config.cpu_description = "a CPU";
  return config;
}

}  // namespace vpmu::profile::perf_data
