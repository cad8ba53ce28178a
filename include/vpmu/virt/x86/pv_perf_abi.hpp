// SPDX-License-Identifier: MIT
//
// PV perf, version 1.0: the numbers, registers and structures that a guest and its hypervisor agree
// upon. docs/abi/pv-perf.md describes what they mean. Little-endian; every gap is a named pad, and
// every u64 is on an 8-byte offset, so that 32- and 64-bit guests see the same.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "vpmu/base/register.hpp"

namespace vpmu::virt::x86::pv {

static_assert(std::endian::native == std::endian::little);

inline constexpr std::uint32_t kSignature = 0x554d5056;  ///< "VPMU": EBX, ECX and EDX of leaf 0
inline constexpr std::uint32_t kAbiMajor = 1;
inline constexpr std::uint32_t kAbiMinor = 0;
inline constexpr std::uint32_t kVersion = kAbiMajor << 16 | kAbiMinor;
inline constexpr std::uint32_t kDefaultMsrBase = 0x40005000;
inline constexpr std::uint32_t kMsrCount = 0x200;
inline constexpr std::uint32_t kRdpmcBase = 0x56500000;  ///< ECX of RDPMC: this plus the event
inline constexpr unsigned kMaxEvents = 32;
inline constexpr std::uint32_t kAreaBytes = 4096;
inline constexpr std::uint16_t kNoId = 0xffff;    ///< in batch_id
inline constexpr std::uint8_t kNoErrorId = 0xff;  ///< in ERROR
inline constexpr unsigned kHypercall = 0x5650;

/// CPUID base+1 EAX.
struct Features : Register<std::uint32_t> {
  static constexpr Field<0> kPvPerf{};
  static constexpr Field<1> kArea{};
  static constexpr Field<2> kBatch{};  ///< requires kArea
  static constexpr Field<3> kRdpmcTrap{};
  static constexpr Field<4> kRdpmcNative{};
  static constexpr Field<5> kLvtpc{};
  static constexpr Field<6> kAutoReload{};
  static constexpr Field<7> kBreakpoint{};   ///< always 0
  static constexpr Field<8> kBranchStack{};  ///< always 0
  static constexpr Field<9> kRaw{};
  static constexpr Field<10> kScaleTime{};
  static constexpr Field<11> kPoolSafe{};
  static constexpr Field<12> kHypercalls{};  ///< the calls of kHypercall
};

/// Offsets from the MSR base.
enum class Msr : std::uint32_t {
  kCap = 0,
  kArea = 1,
  kGlobalCtrl = 2,
  kGlobalStatus = 3,
  kStatusReset = 4,
  kStatusSet = 5,
  kError = 6,
  kBatch = 7,
  kFirstBank = 0x100,  ///< event i's registers begin at this plus kBankMsrs * i
};
inline constexpr std::uint32_t kBankMsrs = 8;
/// Offsets within an event's bank.
enum class BankMsr : std::uint32_t { kEvtsel, kCount, kPeriod, kTimeEn, kTimeRun, kState };

struct Cap : Register<std::uint64_t> {
  static constexpr Field<31, 0> kFeatures{};
  static constexpr Field<39, 32> kEvents{};
  static constexpr Field<47, 40> kWidth{};
  static constexpr Field<55, 48> kMinor{};
  static constexpr Field<63, 56> kMajor{};
};

struct Area : Register<std::uint64_t> {
  static constexpr Field<0> kEnable{};
  static constexpr Field<63, 12> kFrame{};
};

struct Batch : Register<std::uint64_t> {
  static constexpr Field<31, 0> kEvents{};
  static constexpr Field<32> kStop{};
  static constexpr Field<33> kLoad{};
  static constexpr Field<34> kStart{};
  static constexpr Field<35> kSnap{};
  static constexpr Field<63, 36> kReserved{};
};

struct ErrorRegister : Register<std::uint64_t> {
  static constexpr Field<7, 0> kCode{};
  static constexpr Field<15, 8> kId{};
};

/// In GLOBAL_STATUS beside the events' bits: the host could not run at least one event.
inline constexpr std::uint64_t kStatusHostTrouble = std::uint64_t{1} << 62;

enum class Type : std::uint8_t { kGeneric, kCache, kRaw, kSoftware, kBreakpoint };

struct Evtsel : Register<std::uint64_t> {
  static constexpr Field<7, 0> kType{};
  static constexpr Field<39, 8> kCode{};
  static constexpr Field<40> kUsr{};
  static constexpr Field<41> kOs{};
  static constexpr Field<42> kEn{};
  static constexpr Field<43> kInt{};
  static constexpr Field<63, 44> kReserved{};
  /// What is counted, as opposed to whether and what happens at overflow.
  static constexpr std::uint64_t kCounted = mask_of(kType, kCode, kUsr, kOs);
};

/// Codes of Type::kGeneric.
enum class Generic : std::uint8_t {
  kCycles,
  kInstructions,
  kCacheReferences,
  kCacheMisses,
  kBranches,
  kBranchMisses,
  kBusCycles,
  kStalledFrontend,
  kStalledBackend,
  kReferenceCycles,
};
inline constexpr unsigned kGenericEvents = 10;

/// Code of Type::kCache.
struct CacheCode : Register<std::uint32_t> {
  static constexpr Field<7, 0> kCache{};       ///< L1D, L1I, LL, DTLB, ITLB, BPU, NODE
  static constexpr Field<15, 8> kOperation{};  ///< read, write, prefetch
  static constexpr Field<23, 16> kResult{};    ///< access, miss
  static constexpr Field<31, 24> kReserved{};
};
inline constexpr unsigned kCaches = 7, kCacheOperations = 3, kCacheResults = 2;

/// Code of Type::kRaw.
struct RawCode : Register<std::uint32_t> {
  static constexpr Field<11, 0> kSelect{};
  static constexpr Field<19, 12> kUnitMask{};
  static constexpr Field<27, 20> kCmask{};
  static constexpr Field<28> kEdge{};
  static constexpr Field<29> kInv{};
  static constexpr Field<31, 30> kReserved{};
};

/// Codes of Type::kSoftware.
enum class Software : std::uint8_t { kExits, kStolenNs, kInterrupts, kPageFaultExits };
inline constexpr unsigned kSoftwareEvents = 4;

/// Codes in ERROR, STATE and batch_code.
enum class Code : std::uint8_t {
  kOk,
  kAbi,
  kReserved,
  kId,
  kType,
  kCode,
  kFiltered,
  kWidth,
  kPeriod,
  kNoArea,
  kGpa,
  kBusy,
  kHost,
  kLvt,
};
inline constexpr unsigned kCodes = 14;
/// As the ABI spells it, e.g. "E_FILTERED". Never null.
const char* name(Code code);

struct State : Register<std::uint64_t> {
  static constexpr Field<0> kRunning{};     ///< on a counter now
  static constexpr Field<1> kNotStarted{};  ///< the host failed to start it
  static constexpr Field<2> kRefused{};     ///< by policy: counts 0
  static constexpr Field<3> kThrottled{};   ///< no interrupts until the next tick
  static constexpr Field<15, 8> kCode{};
};

// ---- The shared page ----------------------------------------------------------------------------

struct PageHeader {
  std::uint32_t seq;  ///< even: stable; odd: being written
  std::uint32_t abi;
  std::uint64_t global_ctrl;
  std::uint64_t global_status;
  std::uint64_t pub_tsc;
  std::uint64_t pub_ns;
  std::uint32_t batch_seq;
  std::uint16_t batch_code;
  std::uint16_t batch_id;
  std::uint32_t host_flags;
  std::uint32_t pad0;
  std::uint64_t resv0;
};
struct HostFlags : Register<std::uint32_t> {
  static constexpr Field<0> kRdpmc{};
  static constexpr Field<1> kPeriodic{};
};

struct CommandHeader {
  std::uint32_t cmd_flags;
  std::uint32_t cmd_pad;
  std::array<std::uint64_t, 7> cmd_resv;
};

struct EventRecord {
  std::uint64_t count;
  std::uint64_t time_enabled;
  std::uint64_t time_running;
  std::uint64_t rdpmc_offset;
  std::uint32_t rdpmc_index;
  std::uint16_t rdpmc_width;
  std::uint16_t state;
  std::uint64_t evtsel;
};

struct CommandRecord {
  std::uint64_t evtsel;
  std::uint64_t count;
  std::uint64_t period;
  std::uint32_t flags;
  std::uint32_t pad;
};
struct CommandFlags : Register<std::uint32_t> {
  static constexpr Field<0> kSetEvtsel{};
  static constexpr Field<1> kSetCount{};
  static constexpr Field<2> kSetPeriod{};
  static constexpr Field<31, 3> kReserved{};
};

struct Page {
  PageHeader header;
  CommandHeader command;
  std::array<std::uint8_t, 128> resv1;
  std::array<EventRecord, kMaxEvents> events;
  std::array<std::uint8_t, 256> resv2;
  std::array<CommandRecord, kMaxEvents> commands;
  std::array<std::uint8_t, 1024> resv3;
};
static_assert(sizeof(PageHeader) == 0x40 && offsetof(PageHeader, batch_code) == 0x2c);
static_assert(sizeof(CommandHeader) == 0x40);
static_assert(sizeof(EventRecord) == 48 && sizeof(CommandRecord) == 32);
static_assert(offsetof(Page, command) == 0x40 && offsetof(Page, resv1) == 0x80);
static_assert(offsetof(Page, events) == 0x100 && offsetof(Page, resv2) == 0x700);
static_assert(offsetof(Page, commands) == 0x800 && offsetof(Page, resv3) == 0xc00);
static_assert(sizeof(Page) == kAreaBytes);

// ---- Hypercalls ---------------------------------------------------------------------------------

enum class Call : std::uint32_t { kOpen = 1, kClose, kEnable, kDisable, kRead };

/// Results of hypercalls: KVM's.
enum class CallError : std::int64_t {
  kPermission = -1,
  kTooBig = -7,
  kFault = -14,
  kInvalid = -22,
  kNotSupported = -95,
  kNoSuchCall = -1000,
};

struct CallAttr {
  std::uint32_t type;  ///< pv::Type
  std::uint32_t pad;
  std::uint64_t config;         ///< the type's code; bits 63:32 are 0
  std::uint64_t sample_period;  ///< 0: free running
  std::uint64_t read_format;
  std::uint64_t flags;
  std::uint64_t reserved;
};
/// Which of CallEvent's times the host is to fill in; the others stay 0.
struct CallReadFormat : Register<std::uint64_t> {
  static constexpr Field<0> kTimeEnabled{};
  static constexpr Field<1> kTimeRunning{};
};
struct CallFlags : Register<std::uint64_t> {
  static constexpr Field<0> kExcludeUser{};
  static constexpr Field<1> kExcludeKernel{};
  static constexpr Field<2> kInterrupt{};  ///< EVTSEL.INT
};
struct CallEvent {
  std::uint64_t count;  ///< COUNT
  std::uint64_t status;
  std::uint64_t time_enabled;  ///< ns
  std::uint64_t time_running;  ///< ns
};
/// CallEvent::status: STATE in its low bits, and the event's bit of GLOBAL_STATUS.
struct CallStatus : Register<std::uint64_t> {
  static constexpr Field<15, 0> kState{};
  static constexpr Field<16> kOverflowed{};
};
struct CallParam {
  std::uint64_t attr_addr;   ///< guest-physical, of a CallAttr
  std::uint64_t event_addr;  ///< guest-physical, of a CallEvent
  std::uint32_t id;
  std::uint32_t flags;  ///< 0
  std::uint64_t reserved;
};
static_assert(sizeof(CallAttr) == 48 && sizeof(CallEvent) == 32 && sizeof(CallParam) == 32);

}  // namespace vpmu::virt::x86::pv
