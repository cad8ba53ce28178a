// SPDX-License-Identifier: MIT
//
// Traces of SPE in perf.data: what went in comes out, in pieces that end between records.
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "profile/perf_data/spe_writer.hpp"
#include "profile/spe/record_decoder.hpp"
#include "recorded.hpp"

namespace vpmu::profile::perf_data {
namespace {

using Trace = std::vector<std::uint8_t>;

/// All that a file says of its traces.
struct ReadTraces final : RecordVisitor {
  struct Piece {
    std::uint32_t stream, tid, cpu;
    Trace bytes;
  };
  void on_sample(const SampleRecord&) override { ++samples; }
  void on_comm(const CommRecord& comm) override { names.emplace_back(comm.name); }
  void on_mapping(const MappingRecord& mapping) override {
    mappings.push_back({mapping.task.mode, mapping.start});
  }
  void on_trace_kind(std::uint32_t it) override { kind = it; }
  void on_time_conversion(const spe::TimeConversion& it) override { time = it; }
  void on_trace_flags(std::uint64_t it) override { flags.push_back(it); }
  void on_trace(const TraceRecord& trace) override {
    pieces.push_back(
        {trace.stream, trace.tid, trace.cpu, {trace.bytes.begin(), trace.bytes.end()}});
    Trace& stream = streams[trace.stream];
    stream.insert(stream.end(), trace.bytes.begin(), trace.bytes.end());
  }

  int samples = 0;
  std::uint32_t kind = 0;
  spe::TimeConversion time;
  std::vector<std::uint64_t> flags;
  std::vector<std::string> names;
  std::vector<std::pair<CpuMode, std::uint64_t>> mappings;
  std::vector<Piece> pieces;
  std::map<std::uint32_t, Trace> streams;
  FileInfo info;
};

ReadTraces read_traces(const std::string& path) {
  ReadTraces read;
  auto reader = Reader::open(path);
  if (!reader) {
    ADD_FAILURE() << reader.error().message;
    return read;
  }
  const auto done = (*reader)->read(read);
  EXPECT_TRUE(done) << (done ? "" : done.error().message);
  read.info = (*reader)->info();
  return read;
}

std::vector<spe::Record> records_of(const Trace& trace) {
  std::vector<spe::Record> records;
  spe::RecordDecoder decoder;
  decoder.decode(trace, [&records](const spe::Record& record) { records.push_back(record); });
  return records;
}

/// As they are in a file: the first says that it is of the vCPU's thread.
std::vector<spe::Record> written(std::vector<spe::Record> records, std::uint32_t vcpu) {
  records.front().parts |= spe::Record::kContextEl2;
  records.front().context[1] = 2 + vcpu;
  return records;
}

/// Records of 20 to 57 bytes, of which some are padded.
Trace many_records(std::uint64_t seed, int count) {
  std::mt19937_64 random{seed};
  Trace trace;
  for (int n = 0; n < count; ++n) {
    silicon::arm64::SpeOperation operation;
    operation.pc = {random() % 0x10'0000, 0};
    operation.type.of = random() % 2 == 0 ? silicon::arm64::SpeOperationType::Class::kLoadStore
                                          : silicon::arm64::SpeOperationType::Class::kOther;
    operation.has_address =
        operation.type.of == silicon::arm64::SpeOperationType::Class::kLoadStore;
    operation.virtual_address = random();
    silicon::arm64::SpeRecordOptions options;
    if (random() % 8 != 0) options.timestamp = 1000 + static_cast<std::uint64_t>(n);
    options.align = static_cast<unsigned>(random() % 7);
    const auto record = encode(operation, options);
    trace.insert(trace.end(), record.bytes().begin(), record.bytes().end());
  }
  return trace;
}

WriterConfig spe_config(unsigned vcpus) {
  WriterConfig config = small_config(Layout::kProcess);
  config.events.clear();
  config.arch = "aarch64";
  config.cpu_id = "0x00000000410fd0c0";
  config.vcpus = vcpus;
  return config;
}

const SpeEvent kEvent{
    .config = 7, .period = 1024, .time = {.shift = 2, .multiplier = 40, .zero = 100}};

TEST(SpeWriter, WhatGoesInComesOutInPiecesOfWholeRecords) {
  const TestPath path;
  const std::vector<Trace> traces{many_records(1, 30'000), many_records(2, 20'000), {}};
  auto writer = SpeWriter::create(path.str(), spe_config(3), kEvent);
  ASSERT_TRUE(writer);
  std::mt19937_64 random{3};
  std::vector<std::span<const std::uint8_t>> left(traces.begin(), traces.end());
  while (!left[0].empty() || !left[1].empty()) {
    const std::uint32_t vcpu = random() % 2;
    const std::size_t size = std::min<std::size_t>(left[vcpu].size(), random() % 50'000);
    (*writer)->add(vcpu, left[vcpu].first(size));
    left[vcpu] = left[vcpu].subspan(size);
  }
  ASSERT_TRUE((*writer)->finish());
  EXPECT_EQ((*writer)->records(), 50'000u);
  EXPECT_EQ((*writer)->left_out(), 0u);

  const ReadTraces read = read_traces(path.str());
  EXPECT_TRUE(read.info.complete);
  ASSERT_EQ(read.streams.size(), 2u);
  for (std::uint32_t vcpu = 0; vcpu < 2; ++vcpu) {
    EXPECT_EQ(records_of(read.streams.at(vcpu)), written(records_of(traces[vcpu]), vcpu)) << vcpu;
  }
  EXPECT_GT(read.pieces.size(), 4u);
  for (const auto& piece : read.pieces) {
    EXPECT_EQ(piece.bytes.size() % 8, 0u);
    EXPECT_EQ(spe::whole_records(piece.bytes).bytes, piece.bytes.size());
    EXPECT_EQ(piece.cpu, piece.stream);
    EXPECT_EQ(piece.tid, 2 + piece.stream);
  }
}

TEST(SpeWriter, TheFileSaysWhatPerfHasOfSpe) {
  const TestPath path;
  auto writer = SpeWriter::create(path.str(), spe_config(1), kEvent);
  ASSERT_TRUE(writer);
  (*writer)->add(0, many_records(1, 10));
  ASSERT_TRUE((*writer)->finish());
  const ReadTraces read = read_traces(path.str());
  EXPECT_EQ(read.kind, kArmSpeTrace);
  EXPECT_EQ(read.time, kEvent.time);
  ASSERT_EQ(read.info.events.size(), 2u);
  EXPECT_EQ(read.info.events[0].name, "arm_spe_0//");
  EXPECT_EQ(read.info.events[0].attr.sample_type, 0x98087u);
  EXPECT_EQ(read.info.events[0].attr.config, 7u);
  EXPECT_EQ(read.info.events[0].attr.sample_period, 1024u);
  EXPECT_EQ(read.info.events[1].name, "dummy:u");
  EXPECT_EQ(read.info.arch, "aarch64");
  EXPECT_EQ(read.info.cpu_id, "0x00000000410fd0c0");
  EXPECT_EQ(read.names, (std::vector<std::string>{"sort.elf", "CPU 0/KVM"}));
  // The host's kernel, which is empty; the image as a kernel's, and as a process's.
  const std::vector<std::pair<CpuMode, std::uint64_t>> mappings{
      {CpuMode::kKernel, 0x8000'0000'0000'0000},
      {CpuMode::kKernel, 0xff00'0000'0010'1000},
      {CpuMode::kUser, 0x101000}};
  EXPECT_EQ(read.mappings, mappings);
  EXPECT_EQ(read.samples, 0);
}

TEST(SpeWriter, ARecordThatNeverEndsIsLeftOut) {
  const TestPath path;
  Trace trace = many_records(1, 3);
  const auto whole = records_of(trace);
  trace.insert(trace.end(), {0x98, 0x05, 0x00, 0xb0, 0x11});
  auto writer = SpeWriter::create(path.str(), spe_config(1), kEvent);
  ASSERT_TRUE(writer);
  (*writer)->add(0, trace);
  ASSERT_TRUE((*writer)->finish());
  EXPECT_EQ((*writer)->left_out(), 5u);
  EXPECT_EQ((*writer)->records(), 3u);
  EXPECT_EQ(records_of(read_traces(path.str()).streams.at(0)), written(whole, 0));
}

TEST(SpeWriter, AStreamThatSaysWhoseItIsStaysAsItIs) {
  const TestPath path;
  silicon::arm64::SpeOperation operation;
  operation.context_el1 = 1234;
  const auto record =
      encode(operation, {.context_el1 = true, .context_el2 = {}, .timestamp = 5, .align = 3});
  Trace trace{record.bytes().begin(), record.bytes().end()};
  auto writer = SpeWriter::create(path.str(), spe_config(1), kEvent);
  ASSERT_TRUE(writer);
  (*writer)->add(0, trace);
  ASSERT_TRUE((*writer)->finish());
  EXPECT_EQ(read_traces(path.str()).streams.at(0), trace);
}

TEST(SpeWriter, BytesOfNoRecordAreLeftOutAndMakeTheStreamTruncated) {
  const TestPath path;
  auto writer = SpeWriter::create(path.str(), spe_config(1), kEvent);
  ASSERT_TRUE(writer);
  const std::vector<std::uint8_t> nothing(1'000'000, 0x1f);
  const Trace some = many_records(4, 10'000);
  (*writer)->add(0, nothing);
  (*writer)->add(0, some);
  (*writer)->mark(0, kAuxCollision);
  ASSERT_TRUE((*writer)->finish());
  EXPECT_GT((*writer)->left_out(), 700'000u);
  const ReadTraces read = read_traces(path.str());
  EXPECT_GT(records_of(read.streams.at(0)).size(), 9'000u);
  std::uint64_t flags = 0;
  for (const std::uint64_t each : read.flags) flags |= each;
  EXPECT_EQ(flags, kAuxTruncated | kAuxCollision);
}

TEST(SpeWriter, AFileThatCannotBeWrittenIsAnError) {
  const auto full = SpeWriter::create("/dev/full", spe_config(1), kEvent);
  ASSERT_FALSE(full);
  EXPECT_NE(full.error().message.find("'/dev/full'"), std::string::npos) << full.error().message;
  EXPECT_FALSE(SpeWriter::create("/nowhere/to/be/found", spe_config(1), kEvent));
}

TEST(SpeWriter, TheSameTracesAreTheSameBytes) {
  const TestPath one{"one"}, two{"two"};
  for (const TestPath* path : {&one, &two}) {
    auto writer = SpeWriter::create(path->str(), spe_config(1), kEvent);
    ASSERT_TRUE(writer);
    (*writer)->add(0, many_records(1, 20'000));
    ASSERT_TRUE((*writer)->finish());
  }
  EXPECT_EQ(content_of(one.str()), content_of(two.str()));
}

/// What is there when a recording is killed after any of its pieces.
TEST(SpeWriter, AKilledRecordingIsABeginning) {
  const TestPath path, copy{"copy"};
  auto writer = SpeWriter::create(path.str(), spe_config(1), kEvent);
  ASSERT_TRUE(writer);
  const Trace trace = many_records(1, 30'000);
  const auto all = written(records_of(trace), 0);
  std::span<const std::uint8_t> left{trace};
  for (std::size_t seen = 0; !left.empty();) {
    const auto some = left.first(std::min<std::size_t>(left.size(), 100'000));
    (*writer)->add(0, some);
    left = left.subspan(some.size());
    write_content(copy.str(), content_of(path.str()));
    const ReadTraces read = read_traces(copy.str());
    EXPECT_FALSE(read.info.complete);
    const auto there =
        read.streams.empty() ? std::vector<spe::Record>{} : records_of(read.streams.at(0));
    ASSERT_LE(there.size(), all.size());
    EXPECT_TRUE(std::equal(there.begin(), there.end(), all.begin()));
    EXPECT_GE(there.size(), seen);
    seen = there.size();
  }
}

}  // namespace
}  // namespace vpmu::profile::perf_data
