// SPDX-License-Identifier: MIT
#include "profile/perf_data/writer.hpp"

#include <ctime>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "profile/perf_data/branch_flags.hpp"
#include "profile/perf_data/bytes.hpp"
#include "profile/perf_data/features.hpp"
#include "profile/perf_data/file_end.hpp"
#include "profile/perf_data/file_head.hpp"
#include "profile/perf_data/layout.hpp"
#include "profile/perf_data/output_file.hpp"
#include "profile/perf_data/side_band.hpp"
#include "vpmu/base/ensure.hpp"

namespace vpmu::profile::perf_data {
namespace {

using hostperf::Sample;
using hostperf::SampledMode;

/// A round: what readers sort at once, and what a killed recording may lose. Small enough to stay
/// in the second-level cache between here and the file.
constexpr std::size_t kRoundBytes = 256 * 1024;
/// What is longer is cut: the oldest branches, the outermost callers.
constexpr std::size_t kMostFrames = 1024, kMostBranches = 1024;

std::int64_t coarse_seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec;
}

bool of_guest(SampledMode mode) {
  return mode == SampledMode::kGuestKernel || mode == SampledMode::kGuestUser;
}

CpuMode guest_layout_mode(SampledMode mode) {
  switch (mode) {
    case SampledMode::kUnknown: break;
    case SampledMode::kHostKernel: return CpuMode::kKernel;
    case SampledMode::kHostUser: return CpuMode::kUser;
    case SampledMode::kGuestKernel: return CpuMode::kGuestKernel;
    case SampledMode::kGuestUser: return CpuMode::kGuestUser;
  }
  return CpuMode::kUnknown;
}

}  // namespace

struct Writer::Private {
  Private(OutputFile opened, const WriterConfig& given)
      : file{std::move(opened)}, config{given}, ids{given} {}

  OutputFile file;
  WriterConfig config;
  SampleIds ids;
  FileFacts facts;

  FileHead head;
  std::uint64_t written = 0;  ///< end of what is in the file and in its header
  int error = 0;              ///< errno of the first failure; nothing is written after it
  bool finished = false;

  /// Records that are not in the file yet, in words.
  std::unique_ptr<std::uint64_t[]> buffer =
      std::make_unique_for_overwrite<std::uint64_t[]>((kRoundBytes + kMostRecordBytes) / 8);
  std::size_t used = 0;         ///< words
  std::size_t round_words = 0;  ///< since the last round's end; in the file or not
  std::uint64_t samples = 0;
  std::uint64_t samples_in_file = 0;
  std::uint64_t lost = 0;
  std::int64_t flushed_at = 0;

  void begin();
  void add(const Sample& sample);
  void add_records(std::string_view records);
  void end_round();
  void flush();
  int end_file();

 private:
  void describe_events();
  std::uint64_t* put_task(std::uint64_t* at, const Sample& sample) const;
};

void Writer::Private::describe_events() {
  for (std::size_t event = 0; event < config.events.size(); ++event) {
    facts.attrs.push_back(attr_of(config.events[event]));
    facts.ids.push_back(ids.of_event(event));
  }
  head = FileHead{facts.attrs, facts.ids};
}

/// The file appears with its first round in it: perf opens none without.
void Writer::Private::begin() {
  describe_events();
  const std::string records = first_records(config, ids) + bare_record(RecordType::kFinishedRound);
  error = file.write_at(0, head.bytes(records.size(), 0) + records);
  if (error == 0) error = file.publish();
  written = head.data_offset() + records.size();
  flushed_at = coarse_seconds();
}

void Writer::Private::add_records(std::string_view records) {
  while (!records.empty() && error == 0) {
    std::uint16_t size = 0;
    std::memcpy(&size, records.data() + 6, sizeof size);
    std::memcpy(&buffer[used], records.data(), size);
    used += size / 8;
    records.remove_prefix(size);
    if (used * 8 >= kRoundBytes) flush();
  }
}

/// The words from the id to the cpu: whose the sample is.
std::uint64_t* Writer::Private::put_task(std::uint64_t* at, const Sample& sample) const {
  const bool guest_task = config.layout == Layout::kGuest && of_guest(sample.mode);
  const std::uint32_t pid = guest_task ? kGuestPid : config.vm_pid;
  const std::uint32_t tid =
      guest_task ? guest_thread(sample.vcpu) : host_thread(config.vm_pid, sample.vcpu);
  const std::uint64_t slot = of_guest(sample.mode) ? sample.vcpu : ids.host_slot();
  *at++ = ids.id(sample.event, slot);
  *at++ = sample.ip;
  *at++ = std::uint64_t{tid} << 32 | pid;
  *at++ = sample.time_ns;
  *at++ = static_cast<std::uint32_t>(sample.host_cpu);
  return at;
}

void Writer::Private::add(const Sample& sample) {
  const WrittenEvent& event = config.events[sample.event];
  const bool as_process = config.layout == Layout::kProcess;
  const CpuMode mode = as_process ? CpuMode::kUser : guest_layout_mode(sample.mode);
  std::uint64_t* const record = &buffer[used];
  std::uint64_t* at = put_task(record + 1, sample);
  *at++ = sample.period;
  if (event.callchain) {
    const auto frames = sample.callchain.first(std::min(sample.callchain.size(), kMostFrames));
    *at++ = frames.empty() ? 0 : frames.size() + 1;
    if (!frames.empty()) {
      const bool kernel = mode == CpuMode::kGuestKernel || mode == CpuMode::kKernel;
      *at++ = kernel ? kContextKernel : kContextUser;
      at = std::copy(frames.begin(), frames.end(), at);
    }
  }
  if (event.branches) {
    const auto branches = sample.branches.first(std::min(sample.branches.size(), kMostBranches));
    *at++ = branches.size();
    for (const auto& branch : branches) {
      *at++ = branch.from;
      *at++ = branch.to;
      *at++ = branch_flags(branch);
    }
  }
  const auto words = static_cast<std::size_t>(at - record);
  const unsigned misc = static_cast<unsigned>(mode) | (sample.exact ? kMiscExactIp : 0u);
  *record = static_cast<std::uint64_t>(RecordType::kSample) | std::uint64_t{misc} << 32 |
            std::uint64_t{words * 8} << 48;
  used += words;
  round_words += words;
  if (samples++ == 0) facts.first_time = sample.time_ns;
  facts.last_time = std::max(facts.last_time, sample.time_ns);
}

void Writer::Private::end_round() {
  const std::string round = bare_record(RecordType::kFinishedRound);
  std::memcpy(&buffer[used++], round.data(), round.size());
  round_words = 0;
  flush();
}

/// Records first, then the size that makes them count.
void Writer::Private::flush() {
  if (error != 0) return;
  const std::string_view bytes{reinterpret_cast<const char*>(buffer.get()), used * 8};
  error = file.write_at(written, bytes);
  if (error == 0) {
    const std::uint64_t size = written + bytes.size() - head.data_offset();
    error = file.write_at(FileHead::kDataSizeOffset,
                          {reinterpret_cast<const char*>(&size), sizeof size});
  }
  if (error != 0) return;
  written += bytes.size();
  samples_in_file = samples;
  used = 0;
  flushed_at = coarse_seconds();
}

/// Features behind what records there are, then the header that knows them. Without room for them
/// the file stays as it was.
int Writer::Private::end_file() {
  return write_end(file, head, written, features_of(config, facts));
}

Writer::Writer() = default;
Writer::~Writer() = default;

Result<std::unique_ptr<Writer>> Writer::create(const std::string& path,
                                               const WriterConfig& config) {
  ensure(!config.events.empty());
  const bool with_symbols = config.layout == Layout::kGuest && !config.kallsyms.empty();
  auto file = with_symbols ? OutputFile::create_directory(path, config.vm_pid, config.kallsyms)
                           : OutputFile::create_file(path);
  if (!file) return tl::unexpected(file.error());
  std::unique_ptr<Writer> writer{new Writer};
  writer->private_ = std::make_unique<Private>(std::move(*file), config);
  writer->private_->begin();
  if (const int error = writer->private_->error) {
    return profile_error(path, error, "free some space, or give another path with -o");
  }
  return writer;
}

void Writer::on_sample(const Sample& sample) {
  Private& file = *private_;
  ensure(sample.event < file.config.events.size());
  if (file.error != 0) return;
  file.add(sample);
  // Where rounds end depends on the samples alone; when they get to the file does not.
  if (file.round_words * 8 >= kRoundBytes) {
    file.end_round();
  } else if (coarse_seconds() - file.flushed_at >= file.config.most_seconds_in_memory) {
    file.flush();
  }
}

void Writer::on_lost(std::uint64_t samples) {
  private_->lost += samples;
}

bool Writer::failed() const {
  return private_->error != 0;
}

std::uint64_t Writer::samples() const {
  return private_->samples;
}

std::uint64_t Writer::bytes() const {
  return private_->written + private_->used * 8;
}

Result<void> Writer::finish() {
  Private& file = *private_;
  ensure(!std::exchange(file.finished, true));
  if (file.error == 0) {
    if (file.lost != 0) {
      const std::uint32_t pid = file.config.vm_pid;
      file.add_records(
          lost_samples_record({pid, pid, CpuMode::kUnknown, 0}, file.facts.last_time, file.lost));
    }
    file.end_round();
  }
  const int unended = file.end_file();
  return close_file(file.file, file.error != 0 ? file.error : unended,
                    fmt::format("{} samples", file.samples_in_file));
}

}  // namespace vpmu::profile::perf_data
