// SPDX-License-Identifier: MIT
//
// The perf.data format as far as it is used here: numbers of Linux' perf_event ABI and of perf's
// own records (Linux 6.1). Little-endian, every record's size a multiple of 8.
#pragma once

#include <cstdint>

namespace vpmu::profile::perf_data {

inline constexpr char kMagic[8] = {'P', 'E', 'R', 'F', 'I', 'L', 'E', '2'};
inline constexpr std::uint64_t kHeaderBytes = 104;
inline constexpr std::uint32_t kAttrBytes = 128;
/// The largest multiple of 8 that a record's size field holds.
inline constexpr std::uint32_t kMostRecordBytes = 65528;

/// perf_event_attr, all 128 bytes of it.
struct Attr {
  std::uint32_t type = 0;
  std::uint32_t size = kAttrBytes;
  std::uint64_t config = 0;
  std::uint64_t sample_period = 0;  ///< or frequency, by flag kFreq
  std::uint64_t sample_type = 0;
  std::uint64_t read_format = 0;
  std::uint64_t flags = 0;
  std::uint32_t wakeup = 0;
  std::uint32_t bp_type = 0;
  std::uint64_t config1 = 0;
  std::uint64_t config2 = 0;
  std::uint64_t branch_sample_type = 0;
  std::uint64_t sample_regs_user = 0;
  std::uint32_t sample_stack_user = 0;
  std::int32_t clockid = 0;
  std::uint64_t sample_regs_intr = 0;
  std::uint32_t aux_watermark = 0;
  std::uint16_t sample_max_stack = 0;
  std::uint16_t reserved1 = 0;
  std::uint32_t aux_sample_size = 0;
  std::uint32_t reserved2 = 0;
  std::uint64_t sig_data = 0;
};
static_assert(sizeof(Attr) == kAttrBytes);

/// Attr::flags, bit numbers.
enum class AttrFlag : std::uint8_t {
  kDisabled = 0,
  kPinned = 2,
  kExclusive = 3,
  kExcludeUser = 4,
  kExcludeKernel = 5,
  kExcludeHv = 6,
  kExcludeIdle = 7,
  kMmap = 8,
  kComm = 9,
  kFreq = 10,
  kTask = 13,
  kPreciseIp = 15,  // two bits
  kSampleIdAll = 18,
  kExcludeHost = 19,
  kExcludeGuest = 20,
  kMmap2 = 23,
  kCommExec = 24,
};

enum SampleType : std::uint64_t {
  kSampleIp = 1 << 0,
  kSampleTid = 1 << 1,
  kSampleTime = 1 << 2,
  kSampleAddr = 1 << 3,
  kSampleRead = 1 << 4,
  kSampleCallchain = 1 << 5,
  kSampleId = 1 << 6,
  kSampleCpu = 1 << 7,
  kSamplePeriod = 1 << 8,
  kSampleStreamId = 1 << 9,
  kSampleRaw = 1 << 10,
  kSampleBranchStack = 1 << 11,
  kSampleRegsUser = 1 << 12,
  kSampleStackUser = 1 << 13,
  kSampleWeight = 1 << 14,
  kSampleDataSrc = 1 << 15,
  kSampleIdentifier = 1 << 16,
  kSampleTransaction = 1 << 17,
  kSampleRegsIntr = 1 << 18,
  kSamplePhysAddr = 1 << 19,
  kSampleAux = 1 << 20,
  kSampleCgroup = 1 << 21,
  kSampleDataPageSize = 1 << 22,
  kSampleCodePageSize = 1 << 23,
  kSampleWeightStruct = 1 << 24,
};

enum class RecordType : std::uint32_t {
  kMmap = 1,
  kLost = 2,
  kComm = 3,
  kExit = 4,
  kThrottle = 5,
  kUnthrottle = 6,
  kFork = 7,
  kRead = 8,
  kSample = 9,
  kMmap2 = 10,
  kAux = 11,
  kItraceStart = 12,
  kLostSamples = 13,
  kSwitch = 14,
  kSwitchCpuWide = 15,
  kNamespaces = 16,
  kKsymbol = 17,
  kBpfEvent = 18,
  kCgroup = 19,
  kTextPoke = 20,
  kAuxOutputHwId = 21,
  kHeaderAttr = 64,
  kTracingData = 66,
  kBuildId = 67,
  kFinishedRound = 68,
  kIdIndex = 69,
  kAuxtraceInfo = 70,
  kAuxtrace = 71,
  kAuxtraceError = 72,
  kThreadMap = 73,
  kCpuMap = 74,
  kStatConfig = 75,
  kStat = 76,
  kStatRound = 77,
  kEventUpdate = 78,
  kTimeConv = 79,
  kHeaderFeature = 80,
  kCompressed = 81,
  kFinishedInit = 82,
};

/// What AUXTRACE_INFO says first: traces of Arm SPE (64 bits with what is reserved).
inline constexpr std::uint64_t kArmSpeTrace = 4;
/// PERF_RECORD_AUX's flags.
enum AuxFlag : std::uint64_t {
  kAuxTruncated = 1 << 0,  ///< something did not get into the trace
  kAuxOverwrite = 1 << 1,
  kAuxPartial = 1 << 2,
  kAuxCollision = 1 << 3,  ///< samples were chosen that the unit could not take
};

/// Low three bits of a record's `misc`.
enum class CpuMode : std::uint16_t {
  kUnknown = 0,
  kKernel = 1,
  kUser = 2,
  kHypervisor = 3,
  kGuestKernel = 4,
  kGuestUser = 5,
};
inline constexpr std::uint16_t kCpuModeMask = 7;
inline constexpr std::uint16_t kMiscExactIp = 1 << 14;  // of samples
inline constexpr std::uint16_t kMiscBuildId = 1 << 14;  // of MMAP2

/// Call-chain markers: what follows is of that mode.
inline constexpr std::uint64_t kContextKernel = ~std::uint64_t{0} - 128 + 1;
inline constexpr std::uint64_t kContextUser = ~std::uint64_t{0} - 512 + 1;
inline constexpr std::uint64_t kContextHypervisor = ~std::uint64_t{0} - 32 + 1;
/// Everything from here up is a marker.
inline constexpr std::uint64_t kContextMax = ~std::uint64_t{0} - 4095 + 1;

enum class Feature : std::uint8_t {
  kTracingData = 1,
  kBuildId = 2,
  kHostname = 3,
  kOsRelease = 4,
  kVersion = 5,
  kArch = 6,
  kNrCpus = 7,
  kCpuDesc = 8,
  kCpuId = 9,
  kTotalMem = 10,
  kCmdline = 11,
  kEventDesc = 12,
  kBranchStack = 15,
  kPmuMappings = 16,
  kGroupDesc = 17,
  kAuxtrace = 18,
  kStat = 19,
  kSampleTime = 21,
  kCpuPmuCaps = 28,
};

}  // namespace vpmu::profile::perf_data
