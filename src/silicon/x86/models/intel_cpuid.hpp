// SPDX-License-Identifier: MIT
//
// CPUID of the modelled Intel server CPUs: the same leaves with other numbers.
#pragma once

#include <array>
#include <cstdint>

#include "silicon/x86/features.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/silicon/x86/lbr_registers.hpp"

namespace vpmu::silicon::x86::intel {

struct Identity {
  std::uint32_t signature;
  std::uint32_t hz;
  std::uint32_t crystal_hz;  ///< divides `hz`
  const char* brand;         ///< 48 characters, padded with zeros
  feature::Cache l1d, l1i, l2, l3;
  LbrModel lbr;
  bool tsx;
};

/// Leaf 1CH: architectural last branch records, which all have what can be had.
constexpr CpuidResult lbr_leaf(const LbrModel& lbr) {
  if (!lbr.architectural()) return {};
  Cpuid1cEax eax;
  eax.set(Cpuid1cEax::kDepths, lbr.depths);
  eax.set(Cpuid1cEax::kLip, 1);
  Cpuid1cEbx ebx;
  ebx.set(Cpuid1cEbx::kCplFilter, 1);
  ebx.set(Cpuid1cEbx::kBranchFilter, 1);
  ebx.set(Cpuid1cEbx::kCallStack, lbr.call_stack ? 1 : 0);
  Cpuid1cEcx ecx;
  ecx.set(Cpuid1cEcx::kMispredicted, 1);
  ecx.set(Cpuid1cEcx::kCycles, 1);
  ecx.set(Cpuid1cEcx::kType, 1);
  return {eax.raw, ebx.raw, ecx.raw, 0};
}

constexpr auto cpuid_rows(const Identity& id) {
  using namespace feature;
  constexpr std::uint32_t kAny = CpuidRow::kAnySubleaf;
  constexpr char kVendor[] = "GenuineIntel";
  constexpr std::uint32_t kMhz = 1'000'000;
  const auto cache = [](std::uint32_t n, Cache c) {
    return CpuidRow{0x4, n, {leaf4_eax(c), leaf4_ebx(c), c.sets - 1, 0}};
  };
  const auto brand = [&](unsigned leaf) {
    const unsigned at = 16 * leaf;
    return CpuidRow{0x80000002 + leaf,
                    kAny,
                    {text(id.brand, at), text(id.brand, at + 4), text(id.brand, at + 8),
                     text(id.brand, at + 12)}};
  };
  const std::uint32_t transactions = id.tsx ? bits(leaf7_ebx::kHle, leaf7_ebx::kRtm) : 0;
  const std::uint32_t abort = id.tsx ? bits(leaf7_edx::kRtmAlwaysAbort) : 0;
  const bool has_lbr_leaf = id.lbr.architectural();
  const std::uint32_t branches = has_lbr_leaf ? bits(leaf7_edx::kArchLbr) : 0;
  // The CPUs' own. The highest one is what leaves above it give, and has nothing to be hidden.
  const std::uint32_t highest = has_lbr_leaf ? 0x20 : 0x16;
  return std::array{
      CpuidRow{0x0, kAny, {highest, text(kVendor, 0), text(kVendor, 8), text(kVendor, 4)}},
      // EBX: CLFLUSH line in units of 8 bytes.
      CpuidRow{
          0x1,
          kAny,
          {id.signature, (kCacheLine / 8) << 8, kLeaf1Ecx | bits(leaf1_ecx::kPdcm), kLeaf1Edx}},
      // No descriptors: see leaf 4.
      CpuidRow{0x2, kAny, {0x0000ff01, 0, 0, 0}},
      cache(0, id.l1d),
      cache(1, id.l1i),
      cache(2, id.l2),
      cache(3, id.l3),
      CpuidRow{0x6, kAny, {kArat, 0, 0, 0}},
      CpuidRow{0x7, 0, {0, kLeaf7Ebx | transactions, 0, abort | branches}},
      CpuidRow{0xd, 0, {kXcr0Low, kXsaveBytes, kXsaveBytes, 0}},
      CpuidRow{0x15, kAny, {1, id.hz / id.crystal_hz, id.crystal_hz, 0}},
      CpuidRow{0x16, kAny, {id.hz / kMhz, id.hz / kMhz, 100, 0}},
      CpuidRow{0x1c, 0, lbr_leaf(id.lbr)},
      CpuidRow{0x40000000,
               kAny,
               {0x40000000, text(kHypervisorName, 0), text(kHypervisorName, 4),
                text(kHypervisorName, 8)}},
      CpuidRow{0x80000000, kAny, {0x80000008, 0, 0, 0}},
      CpuidRow{0x80000001, kAny, {0, 0, kExtendedEcx, kExtendedEdx}},
      brand(0),
      brand(1),
      brand(2),
      // L2: size, associativity as in leaf 4, line.
      CpuidRow{0x80000006, kAny, {0, 0, kib(id.l2) << 16 | 7u << 12 | kCacheLine, 0}},
      CpuidRow{0x80000007, kAny, {0, 0, 0, kInvariantTsc}},
      CpuidRow{0x80000008, kAny, {kAddressSizes, 0, 0, 0}},
  };
}

}  // namespace vpmu::silicon::x86::intel
