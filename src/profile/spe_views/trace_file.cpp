// SPDX-License-Identifier: MIT
#include "profile/spe_views/trace_file.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "profile/perf_data/input_file.hpp"
#include "profile/perf_data/reader.hpp"
#include "profile/perf_data/spe_writer.hpp"
#include "profile/spe/dump.hpp"
#include "profile/symbols/elf_image.hpp"
#include "profile/views/call_chain.hpp"
#include "profile/views/name_table.hpp"

namespace vpmu::profile {

namespace {

using perf_data::CpuMode;

/// A guest has one of everything.
constexpr std::uint32_t kMachine = 1, kProcess = 1;

AddressOwner guest_owner(unsigned level) {
  return {level == 0 ? AddressMode::kGuestUser : AddressMode::kGuestKernel, kMachine, kProcess};
}

/// Code of a guest, at whatever level it runs.
void map_guest_code(AddressSpaces& spaces, CodeMapping mapping) {
  for (const unsigned level : {0u, 1u}) {
    mapping.owner = guest_owner(level);
    spaces.map(mapping);
  }
}

/// Of the last folder on.
std::string_view base_name(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1);
}

}  // namespace

struct SpeTrace::Private {
  SpeTraceInfo info;
  AddressSpaces spaces;
  std::vector<SpeStream> streams;
  std::vector<std::string> problems;
  /// Whoever has the bytes.
  std::optional<perf_data::InputFile> dump;
  std::unique_ptr<perf_data::Reader> reader;

  explicit Private(AddressSpaces of) : spaces{std::move(of)} {}
  /// `image`: where the guest's image is now; empty: where the dump says.
  Result<void> take_dump(const std::string& image);
  Result<void> take_perf_data();

 private:
  void map_image(const std::string& path);
};

namespace {

/// What a file's records say of traces, and of who made them.
class Collector final : public perf_data::RecordVisitor {
 public:
  Collector(SpeTraceInfo& info, AddressSpaces& spaces, std::vector<SpeStream>& streams)
      : info_{info}, spaces_{spaces}, streams_{streams} {}

  void on_sample(const perf_data::SampleRecord&) override {}
  void on_comm(const perf_data::CommRecord& comm) override {
    threads_[comm.task.tid] = {comm.task.pid, clean_text(comm.name)};
    forget_mappings(comm, spaces_);
    if (info_.name.empty() && comm.task.pid == comm.task.tid) info_.name = clean_text(comm.name);
  }
  void on_fork(const perf_data::ForkRecord& fork) override {
    const auto parent = threads_.find(fork.parent_tid);
    threads_[fork.task.tid] = {fork.task.pid, parent == threads_.end() ? "" : parent->second.name};
    share_mappings(fork, spaces_);
  }
  void on_mapping(const perf_data::MappingRecord& mapping) override {
    if (mapping.file == perf_data::kGuestOfSpe) info_.guest = true;
    if (!mapping.executable) return;
    if (!info_.guest) {
      spaces_.map(code_of(mapping));
    } else if (mapping.task.mode == CpuMode::kUser) {
      map_guest_code(spaces_, code_of(mapping));
    }
  }
  void on_trace_kind(std::uint32_t kind) override { kind_ = kind; }
  void on_time_conversion(const spe::TimeConversion& time) override { info_.time = time; }
  void on_trace_flags(std::uint64_t flags) override {
    info_.truncated += (flags & perf_data::kAuxTruncated) != 0 ? 1 : 0;
    info_.collided += (flags & perf_data::kAuxCollision) != 0 ? 1 : 0;
  }
  void on_trace(const perf_data::TraceRecord& trace) override {
    const auto [known, added] = by_stream_.try_emplace(trace.stream, streams_.size());
    if (added) {
      SpeStream& stream = streams_.emplace_back();
      stream.cpu = trace.cpu;
      stream.tid = trace.tid == SpeStream::kNone ? 0 : trace.tid;
      if (const auto thread = threads_.find(trace.tid); thread != threads_.end()) {
        stream.pid = thread->second.pid;
        stream.name = thread->second.name;
      }
    }
    streams_[known->second].pieces.push_back(trace.bytes);
    info_.bytes += trace.bytes.size();
  }

  [[nodiscard]] std::optional<std::uint32_t> kind() const { return kind_; }

 private:
  struct Thread {
    std::uint32_t pid = 0;
    std::string name;
  };
  SpeTraceInfo& info_;
  AddressSpaces& spaces_;
  std::vector<SpeStream>& streams_;
  std::unordered_map<std::uint32_t, Thread> threads_;
  std::map<std::uint32_t, std::size_t> by_stream_;
  std::optional<std::uint32_t> kind_;
};

}  // namespace

void SpeTrace::Private::map_image(const std::string& path) {
  const auto image = read_elf_image(path);
  if (!image) {
    problems.push_back("the guest's image: " + image.error().message);
    return;
  }
  for (const ElfSegment& segment : code_segments(*image)) {
    map_guest_code(spaces, {.owner = {},
                            .start = segment.address,
                            .length = segment.file_bytes,
                            .file_offset = segment.file_offset,
                            .file = path,
                            .build_id = image->build_id});
  }
}

Result<void> SpeTrace::Private::take_dump(const std::string& image) {
  auto parsed = spe::parse_dump(dump->bytes());
  if (!parsed) return dump->failure(parsed.error().message);
  info.dump = info.guest = true;
  info.image = parsed->info.image;
  info.name = clean_text(base_name(info.image));
  info.cpu_model = clean_text(parsed->info.cpu_model);
  info.midr = parsed->info.midr;
  info.period = parsed->info.period;
  info.time = parsed->info.time;
  info.complete = parsed->complete;
  streams.resize(parsed->info.vcpus);
  for (std::uint32_t vcpu = 0; vcpu < streams.size(); ++vcpu) {
    streams[vcpu].cpu = vcpu;
    streams[vcpu].pid = kProcess;
    streams[vcpu].tid = kProcess + 1 + vcpu;
    streams[vcpu].name = fmt::format("CPU {}/KVM", vcpu);
  }
  for (const spe::DumpSection& section : parsed->sections) {
    info.truncated += (section.flags & spe::kDumpTruncated) != 0 ? 1 : 0;
    info.collided += (section.flags & spe::kDumpCollision) != 0 ? 1 : 0;
    info.bytes += section.trace.size();
    streams[section.vcpu].pieces.push_back(section.trace);
  }
  const std::string& path = image.empty() ? info.image : image;
  if (!path.empty()) map_image(path);
  return {};
}

Result<void> SpeTrace::Private::take_perf_data() {
  Collector collector{info, spaces, streams};
  if (auto read = reader->read(collector); !read) return read;
  const std::string file = fmt::format("profile '{}'", clean_text(info.file));
  if (!collector.kind()) {
    return fail(file + ": no trace of SPE; record one with vpmu record --spe");
  }
  if (*collector.kind() != perf_data::kArmSpeTrace) {
    return fail(file + ": a trace of other hardware than SPE; use perf");
  }
  const perf_data::FileInfo& about = reader->info();
  info.cpu_model = clean_text(about.cpu_description);
  info.complete = about.complete;
  for (const perf_data::FileEvent& event : about.events) {
    if (event.name.starts_with("arm_spe")) info.period = event.attr.sample_period;
  }
  std::ranges::stable_sort(streams, {}, [](const SpeStream& stream) { return stream.cpu; });
  return {};
}

namespace {
/// Whose traces a file has.
class KindOfTraces final : public perf_data::RecordVisitor {
 public:
  void on_sample(const perf_data::SampleRecord&) override {}
  void on_trace_kind(std::uint32_t kind) override { kind_ = kind; }
  [[nodiscard]] bool is_spe() const { return kind_ == perf_data::kArmSpeTrace; }

 private:
  std::optional<std::uint32_t> kind_;
};

/// In a file without the names of its events, as one that was cut short is. Others need not be
/// read for it.
bool has_unnamed_traces(perf_data::Reader& reader) {
  constexpr std::uint32_t kLastFixedType = 5;  // PERF_TYPE_BREAKPOINT
  const auto& events = reader.info().events;
  const bool by_device = std::ranges::any_of(
      events, [](const auto& event) { return event.attr.type > kLastFixedType; });
  KindOfTraces kind;
  return by_device && reader.read(kind) && kind.is_spe();
}
}  // namespace

bool has_spe_traces(const std::string& path) {
  {
    const auto file = perf_data::InputFile::open(path);
    if (!file) return false;
    if (spe::is_dump(file->bytes())) return true;
  }
  const auto reader = perf_data::Reader::open(path);
  if (!reader) return false;
  const bool named = std::ranges::any_of((*reader)->info().events, [](const auto& event) {
    return event.name.starts_with("arm_spe");
  });
  return named || has_unnamed_traces(**reader);
}

Result<SpeTrace> SpeTrace::open(const std::string& path, SymbolSources sources) {
  auto file = perf_data::InputFile::open(path);
  if (!file) return tl::unexpected(file.error());
  const bool is_dump = spe::is_dump(file->bytes());
  std::unique_ptr<perf_data::Reader> reader;
  if (!is_dump) {
    auto opened = perf_data::Reader::open(path);
    if (!opened) return tl::unexpected(opened.error());
    reader = std::move(*opened);
    sources.recorded_guest_kallsyms = reader->guest_kallsyms();
  }
  const std::string image = sources.image;
  auto spaces = AddressSpaces::create(std::move(sources));
  if (!spaces) return tl::unexpected(spaces.error());
  SpeTrace trace;
  trace.private_ = std::make_unique<Private>(std::move(*spaces));
  Private& all = *trace.private_;
  all.info.file = path;
  all.reader = std::move(reader);
  if (is_dump) all.dump.emplace(std::move(*file));
  if (auto taken = is_dump ? all.take_dump(image) : all.take_perf_data(); !taken) {
    return tl::unexpected(taken.error());
  }
  return trace;
}

SpeTrace::SpeTrace() = default;
SpeTrace::SpeTrace(SpeTrace&&) noexcept = default;
SpeTrace& SpeTrace::operator=(SpeTrace&&) noexcept = default;
SpeTrace::~SpeTrace() = default;

const SpeTraceInfo& SpeTrace::info() const {
  return private_->info;
}

const std::vector<SpeStream>& SpeTrace::streams() const {
  return private_->streams;
}

AddressSpaces& SpeTrace::spaces() {
  return private_->spaces;
}

AddressOwner SpeTrace::owner(const SpeStream& stream, const spe::CodePlace& place) const {
  if (private_->info.guest) return guest_owner(place.level);
  return {place.level == 0 ? AddressMode::kHostUser : AddressMode::kHostKernel, 0, stream.pid};
}

std::vector<std::string> SpeTrace::problems() const {
  std::vector<std::string> all = private_->problems;
  const auto& of_symbols = private_->spaces.problems();
  all.insert(all.end(), of_symbols.begin(), of_symbols.end());
  return all;
}

}  // namespace vpmu::profile
