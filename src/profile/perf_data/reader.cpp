// SPDX-License-Identifier: MIT
#include "profile/perf_data/reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "profile/perf_data/byte_reader.hpp"
#include "profile/perf_data/event_ids.hpp"
#include "profile/perf_data/file_header.hpp"
#include "profile/perf_data/input_file.hpp"
#include "profile/perf_data/record_queue.hpp"
#include "profile/perf_data/sample_layout.hpp"
#include "vpmu/base/ensure.hpp"

namespace vpmu::profile::perf_data {
namespace {

using ByteSpan = std::span<const std::uint8_t>;

constexpr std::uint32_t kNoVcpu = ~std::uint32_t{0};
constexpr std::uint64_t kRecordHeaderBytes = 8;
constexpr std::uint32_t kFirstTypeOfPerf = 64, kLastTypeOfKernel = 21;
/// How much of the file is in memory before it is given back.
constexpr std::uint64_t kResidentBytes = std::uint64_t{16} << 20;

struct RecordHeader {
  std::uint32_t type = 0;
  std::uint16_t misc = 0;
  std::uint16_t size = 0;
};

CpuMode mode_of(const RecordHeader& header) {
  const auto mode = static_cast<unsigned>(header.misc & kCpuModeMask);
  return mode > static_cast<unsigned>(CpuMode::kGuestUser) ? CpuMode::kUnknown
                                                           : static_cast<CpuMode>(mode);
}

bool is_guest(CpuMode mode) {
  return mode == CpuMode::kGuestKernel || mode == CpuMode::kGuestUser;
}

ByteReader bytes_in(Words words) {
  return ByteReader{{reinterpret_cast<const std::uint8_t*>(words.data()), words.size() * 8}};
}

/// vCPUs by the names that hypervisors give their threads: "CPU n/KVM".
class VcpuThreads {
 public:
  void learn(std::uint32_t tid, std::string_view name) {
    constexpr std::string_view kBefore = "CPU ", kBehind = "/KVM";
    if (!name.starts_with(kBefore) || !name.ends_with(kBehind)) return;
    std::uint32_t vcpu = 0;
    const char* const end = name.data() + name.size() - kBehind.size();
    const auto [stop, error] = std::from_chars(name.data() + kBefore.size(), end, vcpu);
    if (error == std::errc{} && stop == end) by_tid_[tid] = vcpu;
    last_tid_ = kNobody;
  }
  std::uint32_t find(std::uint32_t tid) {
    if (tid == last_tid_) return last_vcpu_;
    const auto found = by_tid_.find(tid);
    last_tid_ = tid;
    last_vcpu_ = found == by_tid_.end() ? kNoVcpu : found->second;
    return last_vcpu_;
  }

 private:
  static constexpr std::uint32_t kNobody = ~std::uint32_t{0};
  std::unordered_map<std::uint32_t, std::uint32_t> by_tid_;
  std::uint32_t last_tid_ = kNobody;
  std::uint32_t last_vcpu_ = kNoVcpu;
};

}  // namespace

struct Reader::Private {
  Private(InputFile opened, FileHeader read) : file{std::move(opened)}, header{std::move(read)} {}

  InputFile file;
  FileHeader header;
  std::vector<SampleLayout> layouts;  ///< by event
  EventIds ids{header.info.events};
  VcpuThreads vcpu_threads;
  RecordQueue queue;
  RecordVisitor* visitor = nullptr;
  std::uint64_t unknown = 0;
  std::uint64_t touched = 0;
  Result<void> outcome;
  bool was_read = false;
  std::vector<std::uint64_t> traces;  ///< offsets of records that traces follow
  /// A record that lies askew in the file.
  std::array<std::uint64_t, 65536 / 8> straight{};

  Result<void> take_pipe_header();
  Result<void> lay_out();
  Result<void> read();

 private:
  /// Empty: there is no whole record at `offset`, and `complete` or an error says why.
  std::optional<RecordHeader> header_at(std::uint64_t offset);
  Words body_of(std::uint64_t offset, const RecordHeader& record);
  ByteSpan bytes_of(std::uint64_t offset, const RecordHeader& record) const {
    return file.bytes().subspan(offset, record.size).subspan(kRecordHeaderBytes);
  }
  [[nodiscard]] RecordHeader known_header(std::uint64_t offset) const {
    RecordHeader record;
    std::memcpy(&record, file.bytes().data() + offset, sizeof record);
    return record;
  }
  bool refuse(std::uint64_t offset, std::string_view what) {
    outcome = file.malformed(offset, what);
    return false;
  }

  std::uint64_t size_with_data(std::uint64_t offset, const RecordHeader& record);
  bool take(std::uint64_t offset, const RecordHeader& record);
  bool queue_or_deliver(std::uint64_t offset, const RecordHeader& record);
  std::optional<std::uint64_t> time_of(const RecordHeader& record, Words body);
  const SampleLayout* layout_of(const RecordHeader& record, Words body);
  bool deliver(std::uint64_t offset);
  bool deliver_sample(std::uint64_t offset, const RecordHeader& record, Words body);
  bool deliver_comm(const RecordHeader& record, Words body);
  bool deliver_fork(const RecordHeader& record, Words body);
  bool deliver_mapping(const RecordHeader& record, Words body);
  void deliver_lost(const RecordHeader& record, Words body);
  void take_index(ByteSpan bytes);
  void take_trace_kind(ByteSpan bytes);
  void take_time_conversion(ByteSpan bytes);
  void take_trace_flags(ByteSpan bytes);
  void deliver_trace(std::uint64_t offset);
  void take_attr(ByteSpan bytes);
  void take_event_update(ByteSpan bytes);
  void set_guest(const RecordHeader& record, Words body, Task& task);
  Words without_trailer(const RecordHeader& record, Words body);
  std::string_view as_one_file(std::string_view name);
  std::string file_name;
};

/// The records that stand in a pipe for what a file has in its header. They come before all others.
Result<void> Reader::Private::take_pipe_header() {
  for (std::uint64_t offset = header.data_begin;;) {
    const auto record = header_at(offset);
    if (!record) return outcome;
    if (record->type < kFirstTypeOfPerf) break;
    const ByteSpan bytes = bytes_of(offset, *record);
    if (record->type == static_cast<std::uint32_t>(RecordType::kHeaderAttr)) take_attr(bytes);
    if (record->type == static_cast<std::uint32_t>(RecordType::kEventUpdate)) {
      take_event_update(bytes);
    }
    offset += size_with_data(offset, *record);
  }
  // Names are of events that may only be described behind them.
  for (std::uint64_t offset = header.data_begin;;) {
    const auto record = header_at(offset);
    if (!record || record->type < kFirstTypeOfPerf) return {};
    if (record->type == static_cast<std::uint32_t>(RecordType::kHeaderFeature)) {
      ByteReader reader{bytes_of(offset, *record)};
      const auto feature = reader.take<std::uint64_t>();
      if (!take_feature(static_cast<unsigned>(std::min<std::uint64_t>(feature, 256)),
                        reader.take_bytes(reader.left()), header)) {
        return file.malformed(offset, fmt::format("feature {} makes no sense", feature));
      }
    }
    offset += size_with_data(offset, *record);
  }
}

void Reader::Private::take_attr(ByteSpan bytes) {
  const auto attr = read_attr(bytes);
  if (!attr) return;
  FileEvent event{{}, *attr, std::vector<std::uint64_t>((bytes.size() - attr->size) / 8)};
  if (!event.ids.empty()) {
    std::memcpy(event.ids.data(), bytes.data() + attr->size, event.ids.size() * 8);
  }
  header.info.events.push_back(std::move(event));
}

void Reader::Private::take_event_update(ByteSpan bytes) {
  constexpr std::uint64_t kName = 2;
  ByteReader reader{bytes};
  const auto kind = reader.take<std::uint64_t>();
  const auto id = reader.take<std::uint64_t>();
  if (kind != kName) return;
  const std::string_view name = reader.take_text(reader.left());
  for (FileEvent& event : header.info.events) {
    if (std::find(event.ids.begin(), event.ids.end(), id) != event.ids.end()) event.name = name;
  }
}

/// How samples and trailers look, and how to tell whose they are.
Result<void> Reader::Private::lay_out() {
  auto& events = header.info.events;
  if (events.empty()) return file.failure("of no event; record it anew");
  for (FileEvent& event : events) {
    if (event.name.empty()) event.name = default_event_name(event.attr);
    const auto layout = SampleLayout::of(event.attr);
    if (!layout) {
      return file.failure(
          fmt::format("event '{}' has samples of a newer kind; use perf", one_line(event.name)));
    }
    layouts.push_back(*layout);
    const bool told_apart =
        layout->id_word() != SampleLayout::kNone && layout->id_word() == layouts.front().id_word();
    if (events.size() > 1 && !told_apart) {
      return file.failure("samples of several events without ids; record them one by one");
    }
  }
  ids = EventIds{events};
  return {};
}

std::optional<RecordHeader> Reader::Private::header_at(std::uint64_t offset) {
  if (offset == header.data_end) return std::nullopt;
  const std::uint64_t left = header.data_end - offset;
  if (left < kRecordHeaderBytes) {
    header.info.complete = false;
    return std::nullopt;
  }
  const RecordHeader record = known_header(offset);
  // A file that was cut off may have got zeros, or a part of a record, at its end.
  if (record.size == 0 && record.type == 0) {
    header.info.complete = false;
    return std::nullopt;
  }
  if (record.size < kRecordHeaderBytes ||
      (record.type < kFirstTypeOfPerf && record.size % 8 != 0)) {
    refuse(offset, fmt::format("a record of {} bytes", record.size));
    return std::nullopt;
  }
  if (record.size > left) {
    header.info.complete = false;
    return std::nullopt;
  }
  return record;
}

/// With what follows a record without being part of it.
std::uint64_t Reader::Private::size_with_data(std::uint64_t offset, const RecordHeader& record) {
  ByteReader body{bytes_of(offset, record)};
  std::uint64_t data = 0;
  if (record.type == static_cast<std::uint32_t>(RecordType::kAuxtrace)) {
    data = body.take<std::uint64_t>();
  } else if (record.type == static_cast<std::uint32_t>(RecordType::kTracingData)) {
    data = (std::uint64_t{body.take<std::uint32_t>()} + 7) / 8 * 8;
  }
  const std::uint64_t left = header.data_end - offset - record.size;
  if (data > left) header.info.complete = false;
  return record.size + std::min(data, left);
}

/// In place if it lies straight; otherwise a copy that is good until the next.
Words Reader::Private::body_of(std::uint64_t offset, const RecordHeader& record) {
  const void* const begin = file.bytes().data() + offset + kRecordHeaderBytes;
  const std::size_t words = (record.size - kRecordHeaderBytes) / 8;
  if (offset % 8 == 0) return {static_cast<const std::uint64_t*>(begin), words};
  std::memcpy(straight.data(), begin, words * 8);
  return {straight.data(), words};
}

Result<void> Reader::Private::read() {
  const auto deliver_it = [this](std::uint64_t offset) { return deliver(offset); };
  for (std::uint64_t offset = header.data_begin;;) {
    const auto record = header_at(offset);
    if (!record) break;
    if (!take(offset, *record)) return outcome;
    if (queue.full() && !queue.make_room(deliver_it)) return outcome;
    const std::uint64_t size = size_with_data(offset, *record);
    offset += size;
    touched += record->size;
    if (touched > kResidentBytes) {
      touched = 0;
      file.forget();
    }
  }
  if (!outcome) return outcome;
  if (!queue.end(deliver_it)) return outcome;
  for (const std::uint64_t offset : traces) deliver_trace(offset);
  return outcome;
}

/// False: the file is malformed, and `outcome` says how.
bool Reader::Private::take(std::uint64_t offset, const RecordHeader& record) {
  switch (static_cast<RecordType>(record.type)) {
    case RecordType::kSample:
    case RecordType::kComm:
    case RecordType::kMmap:
    case RecordType::kMmap2:
    case RecordType::kFork:
    case RecordType::kLost:
    case RecordType::kLostSamples: return queue_or_deliver(offset, record);
    case RecordType::kFinishedRound:
      return queue.end_round([this](std::uint64_t at) { return deliver(at); });
    case RecordType::kIdIndex: take_index(bytes_of(offset, record)); return true;
    case RecordType::kAuxtraceInfo: take_trace_kind(bytes_of(offset, record)); return true;
    case RecordType::kTimeConv: take_time_conversion(bytes_of(offset, record)); return true;
    case RecordType::kAux: take_trace_flags(bytes_of(offset, record)); return true;
    case RecordType::kAuxtrace: traces.push_back(offset); return true;
    case RecordType::kCompressed:
      outcome = file.failure("of compressed records; record it without -z");
      return false;
    default: {
      const bool known = (record.type >= 1 && record.type <= kLastTypeOfKernel) ||
                         (record.type >= kFirstTypeOfPerf &&
                          record.type <= static_cast<std::uint32_t>(RecordType::kFinishedInit));
      if (!known) ++unknown;
      return true;
    }
  }
}

/// Null: there are several events, and this record is of none of them.
const SampleLayout* Reader::Private::layout_of(const RecordHeader& record, Words body) {
  const SampleLayout& first = layouts.front();
  if (layouts.size() == 1) return &first;
  std::uint64_t id = 0;
  if (record.type == static_cast<std::uint32_t>(RecordType::kSample)) {
    if (first.id_word() >= body.size()) return nullptr;
    id = body[first.id_word()];
  } else {
    if (first.trailer_id_word() == SampleLayout::kNone) return &first;
    if (first.trailer_id_word() > body.size()) return nullptr;
    id = body[body.size() - first.trailer_id_word()];
  }
  if (id == 0) return &first;
  const IdMeaning* const meaning = ids.find(id);
  return meaning == nullptr ? nullptr : &layouts[meaning->event];
}

/// 0: it was so from the beginning, or nobody knows when. Nothing: the record is too short.
std::optional<std::uint64_t> Reader::Private::time_of(const RecordHeader& record, Words body) {
  constexpr std::uint64_t kUnknown = 0;
  const SampleLayout* const layout = layout_of(record, body);
  if (layout == nullptr) return std::nullopt;
  std::uint64_t time = kUnknown;
  if (record.type == static_cast<std::uint32_t>(RecordType::kSample)) {
    if (layout->time_word() == SampleLayout::kNone) return kUnknown;
    if (layout->time_word() >= body.size()) return std::nullopt;
    time = body[layout->time_word()];
  } else {
    if (layout->trailer_time_word() == SampleLayout::kNone) return kUnknown;
    if (layout->trailer_words() > body.size()) return std::nullopt;
    time = body[body.size() - layout->trailer_time_word()];
  }
  return time == ~std::uint64_t{0} ? kUnknown : time;
}

bool Reader::Private::queue_or_deliver(std::uint64_t offset, const RecordHeader& record) {
  const auto time = time_of(record, body_of(offset, record));
  if (!time) return refuse(offset, "a record that is too short, or of an event that is not known");
  if (*time == 0) return deliver(offset);
  queue.add(*time, offset);
  return true;
}

bool Reader::Private::deliver(std::uint64_t offset) {
  const RecordHeader record = known_header(offset);
  const Words body = body_of(offset, record);
  touched += record.size;
  switch (static_cast<RecordType>(record.type)) {
    case RecordType::kSample: return deliver_sample(offset, record, body);
    case RecordType::kComm:
      return deliver_comm(record, body) || refuse(offset, "a name that is too short");
    case RecordType::kFork:
      return deliver_fork(record, body) || refuse(offset, "a new task that is too short");
    case RecordType::kMmap:
    case RecordType::kMmap2:
      return deliver_mapping(record, body) || refuse(offset, "a mapping that is too short");
    default: deliver_lost(record, body); return true;
  }
}

bool Reader::Private::deliver_sample(std::uint64_t offset, const RecordHeader& record, Words body) {
  SampleRecord sample;
  const SampleLayout* layout = &layouts.front();
  if (layout->id_word() != SampleLayout::kNone && layout->id_word() < body.size()) {
    if (const IdMeaning* const meaning = ids.find(body[layout->id_word()])) {
      sample.event = meaning->event;
      sample.task.machine_pid = meaning->machine_pid;
      sample.task.vcpu = meaning->vcpu;
      layout = &layouts[meaning->event];
    }
  }
  if (!layout->decode(body, sample)) return refuse(offset, "a sample that is too short");
  sample.task.mode = mode_of(record);
  if (sample.task.vcpu == kNoVcpu) sample.task.vcpu = vcpu_threads.find(sample.task.tid);
  sample.exact = (record.misc & kMiscExactIp) != 0;
  visitor->on_sample(sample);
  return true;
}

Words Reader::Private::without_trailer(const RecordHeader& record, Words body) {
  const SampleLayout* const layout = layout_of(record, body);
  const std::size_t trailer = layout == nullptr ? 0 : layout->trailer_words();
  return body.first(body.size() - std::min(trailer, body.size()));
}

/// Of the VM that the trailer's id says.
void Reader::Private::set_guest(const RecordHeader& record, Words body, Task& task) {
  task.mode = mode_of(record);
  const SampleLayout* const layout = layout_of(record, body);
  if (layout != nullptr && layout->trailer_id_word() <= body.size() && is_guest(task.mode)) {
    if (const IdMeaning* meaning = ids.find(body[body.size() - layout->trailer_id_word()])) {
      task.machine_pid = meaning->machine_pid;
      task.vcpu = meaning->vcpu;
    }
  }
  if (task.vcpu == kNoVcpu) task.vcpu = vcpu_threads.find(task.tid);
}

bool Reader::Private::deliver_comm(const RecordHeader& record, Words body) {
  constexpr unsigned kExec = 1u << 13;
  CommRecord comm;
  ByteReader reader = bytes_in(without_trailer(record, body));
  comm.task.pid = reader.take<std::uint32_t>();
  comm.task.tid = reader.take<std::uint32_t>();
  if (!reader.ok()) return false;
  comm.name = reader.take_text(reader.left());
  comm.exec = (record.misc & kExec) != 0;
  if (!is_guest(mode_of(record))) vcpu_threads.learn(comm.task.tid, comm.name);
  set_guest(record, body, comm.task);
  visitor->on_comm(comm);
  return true;
}

bool Reader::Private::deliver_fork(const RecordHeader& record, Words body) {
  ForkRecord fork;
  ByteReader reader = bytes_in(without_trailer(record, body));
  fork.task.pid = reader.take<std::uint32_t>();
  fork.parent_pid = reader.take<std::uint32_t>();
  fork.task.tid = reader.take<std::uint32_t>();
  fork.parent_tid = reader.take<std::uint32_t>();
  if (!reader.ok()) return false;
  set_guest(record, body, fork.task);
  visitor->on_fork(fork);
  return true;
}

/// Without the "/." with which the writer tells a kernel's file from a user's that is the same.
std::string_view Reader::Private::as_one_file(std::string_view name) {
  constexpr std::string_view kHere = "/./";
  const std::size_t at = name.rfind(kHere);
  if (at == std::string_view::npos) return name;
  file_name = name.substr(0, at);
  file_name += name.substr(at + kHere.size() - 1);
  return file_name;
}

bool Reader::Private::deliver_mapping(const RecordHeader& record, Words body) {
  constexpr unsigned kData = 1u << 13, kExecutable = 4;
  MappingRecord mapping;
  ByteReader reader = bytes_in(without_trailer(record, body));
  mapping.task.pid = reader.take<std::uint32_t>();
  mapping.task.tid = reader.take<std::uint32_t>();
  mapping.start = reader.take<std::uint64_t>();
  mapping.length = reader.take<std::uint64_t>();
  mapping.file_offset = reader.take<std::uint64_t>();
  mapping.executable = (record.misc & kData) == 0;
  if (record.type == static_cast<std::uint32_t>(RecordType::kMmap2)) {
    const ByteSpan identity = reader.take_bytes(24);
    const auto protection = reader.take<std::uint32_t>();
    reader.take<std::uint32_t>();
    if (!reader.ok()) return false;
    mapping.executable = mapping.executable && (protection & kExecutable) != 0;
    if ((record.misc & kMiscBuildId) != 0) {
      mapping.build_id = identity.subspan(4, std::min<std::size_t>(identity[0], 20));
    }
  }
  if (!reader.ok()) return false;
  mapping.file = as_one_file(reader.take_text(reader.left()));
  if (mapping.build_id.empty()) {
    const auto found = header.build_ids.find(mapping.file);
    if (found != header.build_ids.end()) mapping.build_id = found->second;
  }
  set_guest(record, body, mapping.task);
  visitor->on_mapping(mapping);
  return true;
}

void Reader::Private::deliver_lost(const RecordHeader& record, Words body) {
  const std::size_t word = record.type == static_cast<std::uint32_t>(RecordType::kLost) ? 1 : 0;
  if (word < body.size()) visitor->on_lost(body[word]);
}

/// Entries {id, index, cpu, tid}, and behind all of them, if they are of guests, {VM, vCPU}.
void Reader::Private::take_index(ByteSpan bytes) {
  constexpr std::uint64_t kEntry = 32, kGuestEntry = 16;
  ByteReader entries{bytes};
  const auto count = entries.take<std::uint64_t>();
  if (count > entries.left() / (kEntry + kGuestEntry)) return;
  ByteReader guests{bytes.subspan(8 + count * kEntry)};
  for (std::uint64_t n = 0; n < count; ++n) {
    const auto id = entries.take<std::uint64_t>();
    entries.take_bytes(kEntry - 8);
    const auto machine_pid = guests.take<std::uint64_t>();
    const auto vcpu = guests.take<std::uint64_t>();
    if (machine_pid == 0) continue;
    ids.learn(id, static_cast<std::uint32_t>(machine_pid), static_cast<std::uint32_t>(vcpu));
  }
}

void Reader::Private::take_trace_kind(ByteSpan bytes) {
  visitor->on_trace_kind(ByteReader{bytes}.take<std::uint32_t>());
}

void Reader::Private::take_time_conversion(ByteSpan bytes) {
  ByteReader reader{bytes};
  spe::TimeConversion time;
  time.shift = reader.take<std::uint64_t>();
  time.multiplier = reader.take<std::uint64_t>();
  time.zero = reader.take<std::uint64_t>();
  if (reader.ok()) visitor->on_time_conversion(time);
}

void Reader::Private::take_trace_flags(ByteSpan bytes) {
  ByteReader reader{bytes};
  reader.take_bytes(16);  // where the piece is in its stream, and its size
  visitor->on_trace_flags(reader.take<std::uint64_t>());
}

void Reader::Private::deliver_trace(std::uint64_t offset) {
  const RecordHeader record = known_header(offset);
  ByteReader reader{bytes_of(offset, record)};
  reader.take_bytes(24);  // size, offset in the stream, reference
  TraceRecord trace;
  trace.stream = reader.take<std::uint32_t>();
  trace.tid = reader.take<std::uint32_t>();
  trace.cpu = reader.take<std::uint32_t>();
  trace.bytes = file.bytes().subspan(offset, size_with_data(offset, record)).subspan(record.size);
  if (reader.ok()) visitor->on_trace(trace);
}

Reader::Reader() = default;
Reader::~Reader() = default;

Result<std::unique_ptr<Reader>> Reader::open(const std::string& path) {
  auto file = InputFile::open(path);
  if (!file) return tl::unexpected(file.error());
  auto header = read_header(*file);
  if (!header) return tl::unexpected(header.error());
  std::unique_ptr<Reader> reader{new Reader};
  reader->private_ = std::make_unique<Private>(std::move(*file), std::move(*header));
  Private& all = *reader->private_;
  if (all.header.pipe) {
    if (auto taken = all.take_pipe_header(); !taken) return tl::unexpected(taken.error());
  }
  if (auto laid = all.lay_out(); !laid) return tl::unexpected(laid.error());
  return reader;
}

const FileInfo& Reader::info() const {
  return private_->header.info;
}

const std::string& Reader::guest_kallsyms() const {
  return private_->file.guest_kallsyms();
}

std::uint64_t Reader::unknown_records() const {
  return private_->unknown;
}

Result<void> Reader::read(RecordVisitor& visitor) {
  ensure(!std::exchange(private_->was_read, true));
  private_->visitor = &visitor;
  return private_->read();
}

}  // namespace vpmu::profile::perf_data
