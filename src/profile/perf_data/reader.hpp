// SPDX-License-Identifier: MIT
//
// Reads perf.data: files and directories of ours, and files by stock perf with the sample types in
// `kReadable`. In order of time, as perf does, with memory for two rounds. What is malformed ends
// reading with an error that names the file and the offset; nothing a file says makes it allocate
// more than the file is long.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "profile/perf_data/format.hpp"
#include "profile/spe/time_conversion.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::profile::perf_data {

struct FileEvent {
  std::string name;
  Attr attr;
  std::vector<std::uint64_t> ids;
};

struct FileInfo {
  std::vector<FileEvent> events;
  std::string hostname, arch, version, cpu_description, cpu_id;
  std::vector<std::string> command_line;
  /// False: the recording was cut short; what is there is read. Sure once it was read.
  bool complete = true;
};

struct Task {
  std::uint32_t machine_pid = 0;  ///< of the VM; 0: the host, or a guest without a number
  std::uint32_t pid = 0;
  std::uint32_t tid = 0;
  std::uint32_t vcpu = ~std::uint32_t{0};
  CpuMode mode = CpuMode::kUnknown;
};

struct CommRecord {
  Task task;
  std::string_view name;
  bool exec = false;  ///< the process runs another program now: its mappings are gone
};

/// A process or thread begins; a process has its parent's mappings.
struct ForkRecord {
  Task task;
  std::uint32_t parent_pid = 0;
  std::uint32_t parent_tid = 0;
};

struct MappingRecord {
  Task task;
  std::uint64_t start = 0, length = 0, file_offset = 0;
  std::string_view file;
  std::span<const std::uint8_t> build_id;
  bool executable = true;
};

struct BranchEntry {
  std::uint64_t from = 0, to = 0;
  std::uint64_t flags = 0;  ///< as in perf_branch_entry
};

struct SampleRecord {
  std::uint32_t event = 0;  ///< index into FileInfo::events
  Task task;
  bool exact = false;
  std::uint64_t ip = 0;
  std::uint64_t time = 0;
  std::uint32_t cpu = 0;
  std::uint64_t period = 1;
  std::span<const std::uint64_t> callchain;  ///< as in the file, markers included
  std::span<const BranchEntry> branches;     ///< the newest first
};

/// A piece of a trace that hardware wrote.
struct TraceRecord {
  std::uint32_t stream = 0;             ///< pieces of the same continue each other
  std::uint32_t tid = 0;                ///< all ones: of a CPU
  std::uint32_t cpu = 0;                ///< all ones: of a thread
  std::span<const std::uint8_t> bytes;  ///< valid as long as the Reader
};

class RecordVisitor {
 public:
  virtual void on_comm(const CommRecord&) {}
  virtual void on_mapping(const MappingRecord&) {}
  virtual void on_fork(const ForkRecord&) {}
  virtual void on_sample(const SampleRecord& sample) = 0;
  virtual void on_lost(std::uint64_t /*samples*/) {}
  /// Of traces: what hardware they are of (kArmSpeTrace), and what their timestamps are.
  virtual void on_trace_kind(std::uint32_t /*kind*/) {}
  virtual void on_time_conversion(const spe::TimeConversion&) {}
  /// AuxFlags of a piece.
  virtual void on_trace_flags(std::uint64_t /*flags*/) {}
  /// Behind all other records, in the order of the file.
  virtual void on_trace(const TraceRecord&) {}

 protected:
  ~RecordVisitor() = default;
};

class Reader {
 public:
  /// A file, or a directory with the file `data`.
  static Result<std::unique_ptr<Reader>> open(const std::string& path);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  [[nodiscard]] const FileInfo& info() const;
  /// Guest kernel symbols that came with a directory, as the text of a kallsyms file; may be empty.
  [[nodiscard]] const std::string& guest_kallsyms() const;
  /// Everything in it. Once. Texts and spans that the visitor is given are valid during the call
  /// only.
  Result<void> read(RecordVisitor& visitor);
  /// Records of types that nobody knew when this was written; read() passes them over.
  [[nodiscard]] std::uint64_t unknown_records() const;

 private:
  Reader();
  struct Private;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::profile::perf_data
