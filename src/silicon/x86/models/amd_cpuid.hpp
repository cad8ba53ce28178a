// SPDX-License-Identifier: MIT
//
// CPUID of the modelled AMD server CPUs: the same leaves with other numbers, APM vol. 3 appendix E.
//
// The TSC deadline timer is offered, as hypervisors offer it to guests on CPUs that have none.
#pragma once

#include <array>
#include <cstdint>

#include "silicon/x86/features.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::silicon::x86::amd {

struct Identity {
  std::uint32_t signature;
  std::uint32_t highest_extended;
  const char* brand;  ///< 48 characters, padded with zeros
  feature::Cache l1d, l1i, l2, l3;
  std::uint8_t l1_dtlb_entries;  ///< fully associative
  std::uint16_t l2_dtlb_entries;
};

/// Fields of leaf 80000006H: "8 to 15 ways" and "16 to 31 ways".
constexpr std::uint32_t ways_code(std::uint32_t ways) {
  return ways >= 16 ? 8 : 6;
}

constexpr auto cpuid_rows(const Identity& id) {
  using namespace feature;
  constexpr std::uint32_t kAny = CpuidRow::kAnySubleaf;
  constexpr char kVendor[] = "AuthenticAMD";
  constexpr std::uint32_t kFullyAssociative = 0xff, kL1Itlb = 64, kL2Itlb = 1024,
                          kOneLinePerTag = 1u << 8;
  const auto cache = [](std::uint32_t n, Cache c) {
    return CpuidRow{0x8000001d, n, {leaf4_eax(c), leaf4_ebx(c), c.sets - 1, 0}};
  };
  const auto brand = [&](unsigned leaf) {
    const unsigned at = 16 * leaf;
    return CpuidRow{0x80000002 + leaf,
                    kAny,
                    {text(id.brand, at), text(id.brand, at + 4), text(id.brand, at + 8),
                     text(id.brand, at + 12)}};
  };
  const std::uint32_t l1_tlb =
      kFullyAssociative << 24 | id.l1_dtlb_entries << 16 | kFullyAssociative << 8 | kL1Itlb;
  const auto l1 = [](Cache c) { return kib(c) << 24 | c.ways << 16 | kOneLinePerTag | kCacheLine; };
  const std::uint32_t l2_tlb = 8u << 28 | id.l2_dtlb_entries << 16 | 6u << 12 | kL2Itlb;
  const std::uint32_t extended_ecx =
      kExtendedEcx | bits(extended_ecx::kTopologyExtensions, extended_ecx::kPerfCtrExtCore);
  return std::array{
      CpuidRow{0x0, kAny, {0xd, text(kVendor, 0), text(kVendor, 8), text(kVendor, 4)}},
      // EBX: CLFLUSH line in units of 8 bytes.
      CpuidRow{0x1, kAny, {id.signature, (kCacheLine / 8) << 8, kLeaf1Ecx, kLeaf1Edx}},
      CpuidRow{0x6, kAny, {kArat, 0, 0, 0}},
      CpuidRow{0x7, 0, {0, kLeaf7Ebx, 0, 0}},
      CpuidRow{0xd, 0, {kXcr0Low, kXsaveBytes, kXsaveBytes, 0}},
      CpuidRow{0x40000000,
               kAny,
               {0x40000000, text(kHypervisorName, 0), text(kHypervisorName, 4),
                text(kHypervisorName, 8)}},
      CpuidRow{0x80000000,
               kAny,
               {id.highest_extended, text(kVendor, 0), text(kVendor, 8), text(kVendor, 4)}},
      CpuidRow{0x80000001,
               kAny,
               {id.signature, 0, extended_ecx, kExtendedEdx | (kLeaf1Edx & kExtendedEdxOfLeaf1)}},
      brand(0),
      brand(1),
      brand(2),
      CpuidRow{0x80000005, kAny, {l1_tlb, l1_tlb, l1(id.l1d), l1(id.l1i)}},
      // L2: size in KiB; L3: size in units of 512 KiB.
      CpuidRow{
          0x80000006,
          kAny,
          {l2_tlb, l2_tlb,
           kib(id.l2) << 16 | ways_code(id.l2.ways) << 12 | kOneLinePerTag | kCacheLine,
           kib(id.l3) / 512 << 18 | ways_code(id.l3.ways) << 12 | kOneLinePerTag | kCacheLine}},
      CpuidRow{0x80000007, kAny, {0, 0, 0, kInvariantTsc}},
      CpuidRow{0x80000008, kAny, {kAddressSizes, 0, 0, 0}},
      cache(0, id.l1d),
      cache(1, id.l1i),
      cache(2, id.l2),
      cache(3, id.l3),
  };
}

}  // namespace vpmu::silicon::x86::amd
