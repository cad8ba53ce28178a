// SPDX-License-Identifier: MIT
//
// Writes samples of guests as a perf.data file that stock perf (6.1) and what is built on it read.
// Two layouts, because those readers want different things:
//
//   guest    samples are marked as of a guest, of the VM with Config::vm_pid: what perf shows as
//            guest kernel and guest user. The file is a directory if `kallsyms` is given, since
//            perf looks there for a guest kernel's symbols.
//   process  samples are those of an ordinary process that has the image mapped: what perf2bolt,
//            llvm-profgen and AutoFDO read. Kernel and user mode alike.
//
// Memory is bounded: records go through one buffer to the file. The header on disk always
// describes the complete rounds before it, so that a recording that was killed at any moment leaves
// a file that opens. After an error nothing more is written, what is there stays usable, and
// finish() tells.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "profile/perf_data/format.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/sample.hpp"

namespace vpmu::profile::perf_data {

enum class Layout : std::uint8_t { kGuest, kProcess };

struct WrittenEvent {
  std::string name;  ///< as reports show it, e.g. "cycles"
  Attr attr;         ///< type, config, period or frequency, exclusions, precise_ip; the writer adds
                     ///< what the file's layout needs
  bool callchain = false;
  bool branches = false;
};

/// Code that is mapped in the guest, for the whole recording.
struct WrittenMapping {
  std::uint64_t start = 0;  ///< linear address
  std::uint64_t length = 0;
  std::uint64_t file_offset = 0;
  std::string file;                    ///< path of the image, or a name in brackets
  std::vector<std::uint8_t> build_id;  ///< empty: none
  std::uint64_t text = 0;              ///< linear address of the file's section .text; 0: not known
};

struct WriterConfig {
  Layout layout = Layout::kGuest;
  std::vector<WrittenEvent> events;  ///< at least one
  std::vector<WrittenMapping> mappings;
  std::string guest;  ///< name of the guest, as of a process
  std::vector<std::string> command_line;
  std::string arch = "x86_64";  ///< of the guest, as `uname -m` has it: "aarch64"
  std::string cpu_description;  ///< of the guest's CPU
  std::string cpu_id;           ///< as perf has it on such a CPU; empty: not told
  std::string kallsyms;         ///< contents for the guest's kernel symbols; empty: none
  unsigned vcpus = 1;
  unsigned host_cpus = 1;
  /// So long samples may wait for a round to fill before they go to the file.
  unsigned most_seconds_in_memory = 1;
  std::uint32_t vm_pid = 1;  ///< as if the VM were this process; the same in every recording
};

class Writer final : public hostperf::SampleSink {
 public:
  /// Replaces what is at `path` (a file, or a directory that such a recording is). An error names
  /// the path and the reason.
  static Result<std::unique_ptr<Writer>> create(const std::string& path,
                                                const WriterConfig& config);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void on_sample(const hostperf::Sample& sample) override;
  /// Samples that the profiler had to drop.
  void on_lost(std::uint64_t samples);

  /// Nothing more is written: the disk is full, for instance.
  [[nodiscard]] bool failed() const;
  [[nodiscard]] std::uint64_t samples() const;
  [[nodiscard]] std::uint64_t bytes() const;  ///< of the file so far

  /// Ends the file. Once. An error if anything could not be written: with the path, the reason and
  /// how many samples are in the file.
  Result<void> finish();

 private:
  Writer();
  struct Private;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::profile::perf_data
