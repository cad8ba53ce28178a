// SPDX-License-Identifier: MIT
//
// Records beside the samples: who there is, and what code is mapped where. Each is whole, with its
// header, and with the trailer that `sample_id_all` promises.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "profile/perf_data/format.hpp"
#include "profile/spe/time_conversion.hpp"

namespace vpmu::profile::perf_data {

/// What every event of ours has in its samples, and with it every trailer.
inline constexpr std::uint64_t kTrailerTypes =
    kSampleTid | kSampleTime | kSampleCpu | kSampleIdentifier;

/// Whom a record is about.
struct Subject {
  std::uint32_t pid = 0;
  std::uint32_t tid = 0;
  CpuMode mode = CpuMode::kUnknown;
  std::uint64_t id = 0;  ///< of an event on it; 0: any
};

struct MappedCode {
  std::uint64_t start = 0, length = 0, file_offset = 0;
  std::string_view file;
  std::span<const std::uint8_t> build_id;
};

/// `id`: of an event on that vCPU. Both are none for an event on no vCPU.
struct IndexedId {
  std::uint64_t id = 0;
  std::uint64_t slot = 0;
  std::uint64_t tid = ~std::uint64_t{0};
  std::uint64_t machine_pid = 0;
  std::uint64_t vcpu = 0;
};

/// A piece of a trace of hardware, which stands in the file right behind its record.
struct TracePiece {
  std::uint64_t size = 0;    ///< bytes, a multiple of 8
  std::uint64_t offset = 0;  ///< in the stream
  std::uint32_t stream = 0;  ///< which; pieces of one are continued by the next
  std::uint32_t tid = 0;
  std::uint32_t cpu = 0;
};

/// At most 15 bytes of a name are kept, as by Linux.
std::string comm_record(const Subject& subject, std::string_view name);
std::string mmap_record(const Subject& subject, const MappedCode& code);
std::string mmap2_record(const Subject& subject, const MappedCode& code);
std::string lost_samples_record(const Subject& subject, std::uint64_t time, std::uint64_t samples);
std::string id_index_records(std::span<const IndexedId> ids);
std::string time_conversion_record(const spe::TimeConversion& time);
/// That there are traces of SPE, by the PMU of that number.
std::string spe_info_record(std::uint32_t pmu_type);
std::string trace_start_record(const Subject& subject);
/// `flags`: of PERF_RECORD_AUX.
std::string aux_record(const Subject& subject, std::uint64_t offset, std::uint64_t size,
                       std::uint64_t flags);
/// Without the piece's bytes.
std::string trace_piece_record(const TracePiece& piece);
/// A record that is a header and nothing else.
std::string bare_record(RecordType type);
/// For the section of build-ids.
std::string build_id_record(CpuMode mode, std::int32_t pid, std::span<const std::uint8_t> build_id,
                            std::string_view file);

}  // namespace vpmu::profile::perf_data
