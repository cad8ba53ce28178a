// SPDX-License-Identifier: MIT
//
// CPUID feature bits of what the interpreter executes, Intel SDM vol. 2A table 3-8 and following,
// AMD APM vol. 3 appendix E, and the fields that are the same for every model because of it.
#pragma once

#include <cstdint>

namespace vpmu::silicon::x86::feature {

template <class... Bits>
constexpr std::uint32_t bits(Bits... bit) {
  return (0u | ... | (1u << bit));
}

/// Leaf 1, ECX. OSXSAVE (27) follows CR4 and is the CPU's; PDCM (15) is there for models with
/// IA32_PERF_CAPABILITIES.
namespace leaf1_ecx {
enum : unsigned {
  kSse3 = 0,
  kPclmulqdq = 1,
  kSsse3 = 9,
  kCmpxchg16b = 13,
  kPdcm = 15,
  kSse41 = 19,
  kSse42 = 20,
  kX2apic = 21,
  kMovbe = 22,
  kPopcnt = 23,
  kTscDeadline = 24,
  kAesni = 25,
  kXsave = 26,
  kHypervisor = 31,
};
}  // namespace leaf1_ecx
inline constexpr std::uint32_t kLeaf1Ecx = [] {
  using namespace leaf1_ecx;
  return bits(kSse3, kPclmulqdq, kSsse3, kCmpxchg16b, kSse41, kSse42, kX2apic, kMovbe, kPopcnt,
              kTscDeadline, kAesni, kXsave, kHypervisor);
}();

/// Leaf 1, EDX. HTT (28) follows the number of vCPUs.
namespace leaf1_edx {
enum : unsigned {
  kFpu = 0,
  kPse = 3,
  kTsc = 4,
  kMsr = 5,
  kPae = 6,
  kCx8 = 8,
  kApic = 9,
  kSep = 11,
  kMtrr = 12,
  kPge = 13,
  kCmov = 15,
  kPat = 16,
  kPse36 = 17,
  kClfsh = 19,
  kMmx = 23,
  kFxsr = 24,
  kSse = 25,
  kSse2 = 26,
  kHtt = 28,
};
}  // namespace leaf1_edx
inline constexpr std::uint32_t kLeaf1Edx = [] {
  using namespace leaf1_edx;
  return bits(kFpu, kPse, kTsc, kMsr, kPae, kCx8, kApic, kSep, kMtrr, kPge, kCmov, kPat, kPse36,
              kClfsh, kMmx, kFxsr, kSse, kSse2);
}();

/// Leaf 7 sub-leaf 0, EBX.
namespace leaf7_ebx {
enum : unsigned {
  kFsgsbase = 0,
  kBmi1 = 3,
  kSmep = 7,
  kBmi2 = 8,
  kErms = 9,
  kAdx = 19,
  kSmap = 20,
  kClflushopt = 23,
  // Models with transactional memory; EDX then says that every transaction aborts.
  kHle = 4,
  kRtm = 11,
};
}  // namespace leaf7_ebx
namespace leaf7_edx {
enum : unsigned { kRtmAlwaysAbort = 11, kArchLbr = 19 };
}  // namespace leaf7_edx
inline constexpr std::uint32_t kLeaf7Ebx = [] {
  using namespace leaf7_ebx;
  return bits(kFsgsbase, kBmi1, kSmep, kBmi2, kErms, kAdx, kSmap, kClflushopt);
}();

/// Leaf 80000001H. CmpLegacy (1) of AMD follows the number of vCPUs.
namespace extended_ecx {
enum : unsigned {
  kLahf64 = 0,
  kCmpLegacy = 1,
  kLzcnt = 5,
  kTopologyExtensions = 22,  ///< AMD: leaves 8000001DH and 8000001EH
  kPerfCtrExtCore = 23,      ///< AMD: six core counters
};
}  // namespace extended_ecx
namespace extended_edx {
enum : unsigned { kSyscall = 11, kNx = 20, kPage1Gb = 26, kRdtscp = 27, kLongMode = 29 };
}  // namespace extended_edx
inline constexpr std::uint32_t kExtendedEcx = bits(extended_ecx::kLahf64, extended_ecx::kLzcnt);
inline constexpr std::uint32_t kExtendedEdx = [] {
  using namespace extended_edx;
  return bits(kSyscall, kNx, kPage1Gb, kRdtscp, kLongMode);
}();

/// What AMD repeats of leaf 1 EDX.
inline constexpr std::uint32_t kExtendedEdxOfLeaf1 = 0x0183f3ff;

/// Leaf 6, EAX: the APIC timer always runs.
inline constexpr std::uint32_t kArat = 1u << 2;
/// Leaf 80000007H, EDX.
inline constexpr std::uint32_t kInvariantTsc = 1u << 8;

/// Leaf 0DH: x87 and SSE state, 512 bytes of legacy region and 64 of XSAVE header.
inline constexpr std::uint32_t kXcr0Low = 0x3;
inline constexpr std::uint32_t kXsaveBytes = 512 + 64;

/// Leaf 80000008H, EAX: 46 physical and 48 linear address bits.
inline constexpr std::uint32_t kAddressSizes = 48u << 8 | 46u;

/// Leaf 1, EAX: SDM vol. 2A figure 3-6, APM vol. 3 Fn0000_0001_EAX.
constexpr std::uint32_t signature(std::uint32_t family, std::uint32_t model,
                                  std::uint32_t stepping) {
  const std::uint32_t base = family < 0xf ? family : 0xf;
  return (family - base) << 20 | model >> 4 << 16 | base << 8 | (model & 0xf) << 4 | stepping;
}

/// Four characters as CPUID returns them in a register.
constexpr std::uint32_t text(const char* string, unsigned at) {
  std::uint32_t value = 0;
  for (unsigned n = 0; n < 4; ++n) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(string[at + n])) << (8 * n);
  }
  return value;
}

inline constexpr char kHypervisorName[] = "vpmuvpmuvpmu";

/// One cache of CPUID leaf 4, or 8000001DH of AMD. How many vCPUs share it is filled in by cpuid().
struct Cache {
  enum Type : std::uint8_t { kData = 1, kInstruction = 2, kUnified = 3 };
  Type type;
  std::uint8_t level;
  std::uint16_t ways;
  std::uint32_t sets;
};
inline constexpr std::uint32_t kCacheLine = 64;  // bytes
constexpr std::uint32_t leaf4_eax(Cache cache) {
  return 1u << 8 | static_cast<std::uint32_t>(cache.level) << 5 | cache.type;
}
constexpr std::uint32_t leaf4_ebx(Cache cache) {
  return (cache.ways - 1u) << 22 | (kCacheLine - 1);
}
constexpr std::uint32_t kib(Cache cache) {
  return cache.sets * cache.ways * kCacheLine / 1024;
}

}  // namespace vpmu::silicon::x86::feature
