// SPDX-License-Identifier: MIT
#include "profile/perf_data/side_band.hpp"

#include <algorithm>
#include <array>

#include "profile/perf_data/bytes.hpp"
#include "vpmu/base/ensure.hpp"

namespace vpmu::profile::perf_data {
namespace {

constexpr std::size_t kHeader = 8;
/// Longest path that Linux has, so that a record never outgrows its size field.
constexpr std::size_t kLongestPath = 4095;
constexpr std::size_t kBuildIdBytes = 20;
constexpr std::uint32_t kReadExecute = 5, kPrivate = 2;

std::string record(RecordType type, std::uint16_t misc, const Bytes& body) {
  const std::size_t size = kHeader + body.size();
  ensure(size <= kMostRecordBytes);
  return Bytes{}
      .add(static_cast<std::uint32_t>(type))
      .add(misc)
      .add(static_cast<std::uint16_t>(size))
      .raw(body.bytes())
      .bytes();
}

Bytes subject_body(const Subject& subject) {
  return Bytes{}.add(subject.pid).add(subject.tid);
}

/// The trailer of kTrailerTypes. Time 0: true from the beginning.
std::string with_trailer(RecordType type, std::uint16_t misc, Bytes body, const Subject& subject,
                         std::uint64_t time = 0) {
  body.add(subject.pid).add(subject.tid).add(time).add(std::uint64_t{0}).add(subject.id);
  return record(type, static_cast<std::uint16_t>(misc | static_cast<unsigned>(subject.mode)), body);
}

std::array<std::uint8_t, kBuildIdBytes> padded(std::span<const std::uint8_t> build_id) {
  std::array<std::uint8_t, kBuildIdBytes> bytes{};
  std::copy_n(build_id.begin(), std::min(build_id.size(), bytes.size()), bytes.begin());
  return bytes;
}

std::uint8_t length(std::span<const std::uint8_t> build_id) {
  return static_cast<std::uint8_t>(std::min(build_id.size(), kBuildIdBytes));
}

}  // namespace

std::string comm_record(const Subject& subject, std::string_view name) {
  return with_trailer(RecordType::kComm, 0, subject_body(subject).text(name.substr(0, 15), 8),
                      subject);
}

std::string mmap_record(const Subject& subject, const MappedCode& code) {
  Bytes body = subject_body(subject);
  body.add(code.start).add(code.length).add(code.file_offset);
  body.text(code.file.substr(0, kLongestPath), 8);
  return with_trailer(RecordType::kMmap, 0, body, subject);
}

std::string mmap2_record(const Subject& subject, const MappedCode& code) {
  Bytes body = subject_body(subject);
  body.add(code.start).add(code.length).add(code.file_offset);
  std::uint16_t misc = 0;
  if (code.build_id.empty()) {
    // No device, no inode: the file is the same wherever it lies.
    body.add(std::array<std::uint64_t, 3>{});
  } else {
    misc = kMiscBuildId;
    body.add(length(code.build_id)).add(std::array<std::uint8_t, 3>{}).add(padded(code.build_id));
  }
  body.add(kReadExecute).add(kPrivate);
  body.text(code.file.substr(0, kLongestPath), 8);
  return with_trailer(RecordType::kMmap2, misc, body, subject);
}

std::string lost_samples_record(const Subject& subject, std::uint64_t time, std::uint64_t samples) {
  return with_trailer(RecordType::kLostSamples, 0, Bytes{}.add(samples), subject, time);
}

std::string id_index_records(std::span<const IndexedId> ids) {
  constexpr std::size_t kMostInARecord = 1000;
  constexpr std::uint64_t kAnyCpu = ~std::uint64_t{0};
  std::string records;
  while (!ids.empty()) {
    const auto some = ids.first(std::min(ids.size(), kMostInARecord));
    ids = ids.subspan(some.size());
    Bytes body;
    body.add(std::uint64_t{some.size()});
    for (const IndexedId& id : some) body.add(id.id).add(id.slot).add(kAnyCpu).add(id.tid);
    for (const IndexedId& id : some) body.add(id.machine_pid).add(id.vcpu);
    records += record(RecordType::kIdIndex, 0, body);
  }
  return records;
}

std::string time_conversion_record(const spe::TimeConversion& time) {
  // That ticks have all of their 64 bits, so need not be extended.
  constexpr std::uint64_t kWholeTicks = ~std::uint64_t{0};
  constexpr std::uint64_t kHasZero = 1;
  return record(RecordType::kTimeConv, 0,
                Bytes{}
                    .add(time.shift)
                    .add(time.multiplier)
                    .add(time.zero)
                    .add(std::uint64_t{0})
                    .add(kWholeTicks)
                    .add(kHasZero));
}

std::string spe_info_record(std::uint32_t pmu_type) {
  // Version 1: the PMU's type, and that there is nothing said of mappings by CPU.
  return record(RecordType::kAuxtraceInfo, 0,
                Bytes{}.add(kArmSpeTrace).add(std::uint64_t{pmu_type}).add(std::uint64_t{0}));
}

std::string trace_start_record(const Subject& subject) {
  return with_trailer(RecordType::kItraceStart, 0, subject_body(subject), subject);
}

std::string aux_record(const Subject& subject, std::uint64_t offset, std::uint64_t size,
                       std::uint64_t flags) {
  return with_trailer(RecordType::kAux, 0, Bytes{}.add(offset).add(size).add(flags), subject);
}

std::string trace_piece_record(const TracePiece& piece) {
  return record(RecordType::kAuxtrace, 0,
                Bytes{}
                    .add(piece.size)
                    .add(piece.offset)
                    .add(std::uint64_t{0})
                    .add(piece.stream)
                    .add(piece.tid)
                    .add(piece.cpu)
                    .add(std::uint32_t{0}));
}

std::string bare_record(RecordType type) {
  return record(type, 0, {});
}

std::string build_id_record(CpuMode mode, std::int32_t pid, std::span<const std::uint8_t> build_id,
                            std::string_view file) {
  constexpr unsigned kSizeIsValid = 1u << 15;
  Bytes body;
  body.add(pid).add(padded(build_id)).add(length(build_id)).add(std::array<std::uint8_t, 3>{});
  body.text(file.substr(0, kLongestPath), 64);
  return record(RecordType::kBuildId,
                static_cast<std::uint16_t>(kSizeIsValid | static_cast<unsigned>(mode)), body);
}

}  // namespace vpmu::profile::perf_data
