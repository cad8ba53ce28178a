// SPDX-License-Identifier: MIT
#include "profile/perf_data/spe_writer.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "profile/perf_data/bytes.hpp"
#include "profile/perf_data/features.hpp"
#include "profile/perf_data/file_end.hpp"
#include "profile/perf_data/file_head.hpp"
#include "profile/perf_data/layout.hpp"
#include "profile/perf_data/output_file.hpp"
#include "profile/spe/record_decoder.hpp"
#include "vpmu/base/ensure.hpp"

namespace vpmu::profile::perf_data {
namespace {

/// A PMU's type is what a kernel happened to give it; this one nobody has of itself.
constexpr std::uint32_t kPmuType = 0x70;
constexpr std::uint64_t kTraceId = 1, kOthersId = 2;
/// What is in a stream before it goes to the file.
constexpr std::size_t kPieceBytes = 256 * 1024;
/// No unit writes longer records than 2 KiB.
constexpr std::size_t kMostOfARecord = 4096;

constexpr std::uint64_t flag(AttrFlag flag) {
  return std::uint64_t{1} << static_cast<unsigned>(flag);
}

/// The two events that perf records SPE with, and what each is called.
std::vector<WrittenEvent> written_events(const SpeEvent& event) {
  constexpr std::uint32_t kSoftware = 1;
  constexpr std::uint64_t kDummy = 9;
  WrittenEvent trace{.name = event.name, .attr = {.type = kPmuType}};
  trace.attr.config = event.config;
  trace.attr.sample_period = event.period;
  trace.attr.sample_type = kSampleIp | kTrailerTypes | kSampleDataSrc | kSamplePhysAddr;
  trace.attr.flags = flag(AttrFlag::kSampleIdAll);
  WrittenEvent others{.name = "dummy:u", .attr = {.type = kSoftware, .config = kDummy}};
  others.attr.sample_period = 1;
  // Stacks of branches, though there are none: else perf, of AArch64, wants to unwind stacks on the
  // way, and warns on all other machines that it cannot.
  others.attr.sample_type = kSampleIp | kTrailerTypes | kSampleBranchStack;
  others.attr.flags = flag(AttrFlag::kSampleIdAll) | flag(AttrFlag::kMmap) | flag(AttrFlag::kComm) |
                      flag(AttrFlag::kTask) | flag(AttrFlag::kMmap2) |
                      flag(AttrFlag::kExcludeKernel) | flag(AttrFlag::kExcludeHv);
  return {std::move(trace), std::move(others)};
}

/// Whether the first record says whose it is.
bool begins_with_context(std::span<const std::uint8_t> trace) {
  while (const auto packet = spe::packet_at(trace)) {
    if (packet->kind == spe::PacketKind::kContext) return true;
    if (packet->kind == spe::PacketKind::kTimestamp || packet->kind == spe::PacketKind::kEnd) break;
    trace = trace.subspan(packet->size);
  }
  return false;
}

struct Stream {
  std::vector<std::uint8_t> pending;
  std::uint64_t written = 0;
  std::uint64_t flags = 0;
};

}  // namespace

struct SpeWriter::Private {
  Private(OutputFile opened, const WriterConfig& given, SpeEvent spe)
      : file{std::move(opened)}, config{given}, event{std::move(spe)}, streams(given.vcpus) {
    config.events = written_events(event);
    config.layout = Layout::kProcess;
    for (const WrittenEvent& one : config.events) facts.attrs.push_back(one.attr);
    facts.ids = {{kTraceId}, {kOthersId}};
    facts.first_time = ~std::uint64_t{0};
    head = FileHead{facts.attrs, facts.ids};
  }

  OutputFile file;
  WriterConfig config;
  SpeEvent event;
  FileFacts facts;
  FileHead head;
  std::vector<Stream> streams;
  Bytes index;  ///< of the pieces: where each one's record is, and its size
  std::uint64_t pieces = 0;
  std::uint64_t written = 0;  ///< end of what is in the file and in its header
  std::uint64_t records = 0;
  std::uint64_t left_out = 0;
  int error = 0;
  bool finished = false;

  void begin();
  void write_whole(std::uint32_t vcpu);
  int end_file();

 private:
  void say_whose(std::uint32_t vcpu);
  void append(std::string_view records, std::span<const std::uint8_t> trace);
  void write_piece(std::uint32_t vcpu, std::span<const std::uint8_t> trace);
};

void SpeWriter::Private::begin() {
  const std::string first = time_conversion_record(event.time) + spe_info_record(kPmuType) +
                            first_spe_records(config) + bare_record(RecordType::kFinishedRound);
  error = file.write_at(0, head.bytes(first.size(), 0) + first);
  if (error == 0) error = file.publish();
  written = head.data_offset() + first.size();
}

/// Records first, then the size that makes them count.
void SpeWriter::Private::append(std::string_view side_band, std::span<const std::uint8_t> trace) {
  if (error != 0) return;
  error = file.write_at(written, side_band);
  if (error == 0) {
    error = file.write_at(written + side_band.size(),
                          {reinterpret_cast<const char*>(trace.data()), trace.size()});
  }
  if (error != 0) return;
  const std::uint64_t end = written + side_band.size() + trace.size();
  const std::uint64_t size = end - head.data_offset();
  error =
      file.write_at(FileHead::kDataSizeOffset, {reinterpret_cast<const char*>(&size), sizeof size});
  if (error == 0) written = end;
}

void SpeWriter::Private::write_piece(std::uint32_t vcpu, std::span<const std::uint8_t> trace) {
  Stream& stream = streams[vcpu];
  const std::uint32_t tid = host_thread(config.vm_pid, vcpu);
  const Subject subject{config.vm_pid, tid, CpuMode::kUnknown, kTraceId};
  std::string side_band;
  if (stream.written == 0) side_band += trace_start_record(subject);
  side_band += aux_record(subject, stream.written, trace.size(), stream.flags);
  side_band += trace_piece_record(
      {.size = trace.size(), .offset = stream.written, .stream = vcpu, .tid = tid, .cpu = vcpu});
  append(side_band, trace);
  append(bare_record(RecordType::kFinishedRound), {});
  stream.written += trace.size();
  stream.flags = 0;
}

/// A context packet in front of a stream's first record, unless it has one: the thread of the vCPU,
/// as the host's CONTEXTIDR_EL2 would say. perf asks for one in each trace.
void SpeWriter::Private::say_whose(std::uint32_t vcpu) {
  constexpr std::uint8_t kContextEl2 = silicon::arm64::spe_packet::kContext + 1;
  auto& trace = streams[vcpu].pending;
  if (begins_with_context(trace)) return;
  const std::string packet = Bytes{}.add(kContextEl2).add(host_thread(config.vm_pid, vcpu)).bytes();
  trace.insert(trace.begin(), packet.begin(), packet.end());
}

/// What there is of whole records, filled up with padding to a multiple of 8.
void SpeWriter::Private::write_whole(std::uint32_t vcpu) {
  Stream& stream = streams[vcpu];
  const spe::WholeRecords whole = spe::whole_records(stream.pending);
  std::vector<std::uint8_t> rest(stream.pending.begin() + static_cast<std::ptrdiff_t>(whole.bytes),
                                 stream.pending.end());
  if (whole.bytes != 0) {
    stream.pending.resize(whole.bytes);
    if (stream.written == 0) say_whose(vcpu);
    stream.pending.resize((stream.pending.size() + 7) / 8 * 8,
                          silicon::arm64::spe_packet::kPadding);
    write_piece(vcpu, stream.pending);
  }
  if (rest.size() > kMostOfARecord) {
    left_out += rest.size();
    stream.flags |= kAuxTruncated;
    rest.clear();
  }
  stream.pending = std::move(rest);
  if (error != 0) return;
  records += whole.records;
  if (whole.first_timestamp <= whole.last_timestamp) {
    const auto at = [this](std::uint64_t ticks) { return event.time.nanoseconds(ticks); };
    facts.first_time = std::min(facts.first_time, at(whole.first_timestamp));
    facts.last_time = std::max(facts.last_time, at(whole.last_timestamp));
  }
}

int SpeWriter::Private::end_file() {
  facts.first_time = std::min(facts.first_time, facts.last_time);
  Features features = features_of(config, facts);
  // Without it perf script shows no data addresses.
  features.emplace(Feature::kAuxtrace, Bytes{}.add(pieces).raw(index.bytes()).bytes());
  return write_end(file, head, written, features);
}

SpeWriter::SpeWriter() = default;
SpeWriter::~SpeWriter() = default;

Result<std::unique_ptr<SpeWriter>> SpeWriter::create(const std::string& path,
                                                     const WriterConfig& config,
                                                     const SpeEvent& event) {
  auto file = OutputFile::create_file(path);
  if (!file) return tl::unexpected(file.error());
  std::unique_ptr<SpeWriter> writer{new SpeWriter};
  writer->private_ = std::make_unique<Private>(std::move(*file), config, event);
  writer->private_->begin();
  if (const int error = writer->private_->error) {
    return profile_error(path, error, "free some space, or give another path with -o");
  }
  return writer;
}

void SpeWriter::add(std::uint32_t vcpu, std::span<const std::uint8_t> trace) {
  Private& file = *private_;
  ensure(vcpu < file.streams.size());
  Stream& stream = file.streams[vcpu];
  while (!trace.empty() && file.error == 0) {
    const std::size_t room = kPieceBytes - stream.pending.size();
    const auto some = trace.first(std::min(room, trace.size()));
    stream.pending.insert(stream.pending.end(), some.begin(), some.end());
    trace = trace.subspan(some.size());
    if (stream.pending.size() == kPieceBytes) file.write_whole(vcpu);
  }
}

void SpeWriter::mark(std::uint32_t vcpu, std::uint64_t aux_flags) {
  ensure(vcpu < private_->streams.size());
  private_->streams[vcpu].flags |= aux_flags;
}

bool SpeWriter::failed() const {
  return private_->error != 0;
}

std::uint64_t SpeWriter::records() const {
  return private_->records;
}

std::uint64_t SpeWriter::bytes() const {
  return private_->written;
}

std::uint64_t SpeWriter::left_out() const {
  return private_->left_out;
}

Result<void> SpeWriter::finish() {
  Private& file = *private_;
  ensure(!std::exchange(file.finished, true));
  for (std::uint32_t vcpu = 0; vcpu < file.streams.size() && file.error == 0; ++vcpu) {
    file.write_whole(vcpu);
    file.left_out += std::exchange(file.streams[vcpu].pending, {}).size();
  }
  const int unended = file.end_file();
  return close_file(file.file, file.error != 0 ? file.error : unended,
                    fmt::format("{} records", file.records));
}

}  // namespace vpmu::profile::perf_data
