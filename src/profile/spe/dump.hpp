// SPDX-License-Identifier: MIT
//
// Raw traces of a guest's vCPUs in one file, with what is needed to read them: docs/abi/spe.md.
// Written front to back, a section whenever there is something; read from memory, whoever wrote it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "profile/spe/time_conversion.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::profile::spe {

struct DumpInfo {
  std::uint32_t vcpus = 1;   ///< at most kMostDumpedVcpus
  std::uint32_t midr = 0;    ///< MIDR_EL1
  std::uint64_t period = 0;  ///< operations between samples; 0: not known
  TimeConversion time;
  std::string cpu_model;
  std::string image;  ///< path of the guest's image; both at most kLongestDumpText bytes
  friend bool operator==(const DumpInfo&, const DumpInfo&) = default;
};
inline constexpr std::uint32_t kMostDumpedVcpus = 4096;
inline constexpr std::size_t kLongestDumpText = 4095;

/// Of sections; the same as PERF_RECORD_AUX's.
enum DumpFlag : std::uint32_t {
  kDumpTruncated = 1 << 0,  ///< records in front of this section were lost
  kDumpCollision = 1 << 3,  ///< samples were chosen that the unit could not take
};

/// The file's beginning; texts that are too long are cut.
std::string dump_header(const DumpInfo& info);
/// What the unit of `vcpu` wrote next.
std::string dump_section(std::uint32_t vcpu, std::uint32_t flags,
                         std::span<const std::uint8_t> trace);
/// The file's end: without it, it was cut short.
std::string dump_end();

struct DumpSection {
  std::uint32_t vcpu = 0;
  std::uint32_t flags = 0;
  std::span<const std::uint8_t> trace;  ///< in the bytes that were read
};
struct Dump {
  DumpInfo info;
  std::vector<DumpSection> sections;
  bool complete = false;
};

bool is_dump(std::span<const std::uint8_t> bytes);
/// What there is of a dump that was cut short. An error says where and what: "at byte 16: ...".
Result<Dump> parse_dump(std::span<const std::uint8_t> bytes);

}  // namespace vpmu::profile::spe
