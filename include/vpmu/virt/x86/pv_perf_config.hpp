// SPDX-License-Identifier: MIT
//
// What of PV perf a guest is offered. Fixed when its vCPUs are created; CPUID says all of it, and a
// host that the guest moves to must offer the same or more (fits()).
#pragma once

#include <cstdint>
#include <optional>

#include "vpmu/base/result.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/pv_perf_abi.hpp"

namespace vpmu::virt::x86 {

struct PvPerfConfig {
  /// Without Features::kPvPerf the guest is offered nothing.
  pv::Features features;
  std::uint32_t cpuid_base = 0x40000000;  ///< of the four leaves; a multiple of 100H
  std::uint32_t msr_base = pv::kDefaultMsrBase;
  std::uint8_t events = 0;          ///< N, 1 to 32
  std::uint8_t width = 0;           ///< W, 48 to 64 bits
  std::uint8_t at_once = 0;         ///< counters of the host that can run at once, for information
  std::uint8_t physical_bits = 46;  ///< MAXPHYADDR
  std::uint32_t publish_period_us = 0;   ///< 0: the page is written on request only
  std::uint32_t minimum_period = 0;      ///< of PERIOD, but 0 is always allowed
  std::uint32_t generic_events = 0;      ///< by pv::Generic
  std::uint32_t software_events = 0;     ///< by pv::Software
  std::uint32_t interrupts_per_ms = 20;  ///< PMIs of a vCPU, above which it is throttled

  [[nodiscard]] constexpr bool offered() const { return has(pv::Features::kPvPerf); }
  template <unsigned Bit>
  [[nodiscard]] constexpr bool has(Field<Bit, Bit> feature) const {
    return features.get(feature) != 0;
  }
  friend bool operator==(const PvPerfConfig&, const PvPerfConfig&) = default;
};

/// What somebody wants it to be. Named as on the command line; what is left out has the default in
/// brackets.
struct PvPerfRequest {
  std::optional<unsigned> events{};             ///< [16]
  std::optional<unsigned> width{};              ///< bits [48]
  std::optional<unsigned> publish_us{};         ///< publish period [1000]
  std::optional<unsigned> minimum_period{};     ///< [0]
  std::optional<unsigned> interrupts_per_ms{};  ///< [20]
  std::optional<unsigned> msr_base{};           ///< [40005000H]
  std::optional<bool> area{};                   ///< shared page [on]
  std::optional<bool> batch{};                  ///< [on if there is a page]
  std::optional<bool> rdpmc{};                  ///< [on]
  std::optional<bool> auto_reload{};            ///< [on]
  std::optional<bool> raw{};                    ///< [on unless pool]
  std::optional<bool> hypercalls{};             ///< [on]
  /// Offer only what every CPU model that vpmu knows can do, and say so (Features::kPoolSafe)
  /// [off].
  std::optional<bool> pool{};

  friend bool operator==(const PvPerfRequest&, const PvPerfRequest&) = default;
};

/// What a host of that model offers. Errors start with the key that cannot be had, as
/// `events=33: ...`.
Result<PvPerfConfig> offer_pv_perf(const silicon::x86::CpuModel& host,
                                   const PvPerfRequest& request);

/// What to request to be offered that again, as far as a request says it.
PvPerfRequest request_for(const PvPerfConfig& config);

/// Whether there can be such an offer: numbers in their ranges, features that need each other.
bool possible(const PvPerfConfig& config);

/// Whether a guest that was offered `source` can go on where `here` is offered. The error says what
/// does not fit, and the remedy.
Result<void> fits(const PvPerfConfig& source, const PvPerfConfig& here);

/// The four leaves. False: `leaf` is none of them, and `result` as it was.
bool pv_perf_cpuid(const PvPerfConfig& config, std::uint32_t leaf,
                   silicon::x86::CpuidResult& result);

/// CAP, the register that says the same to who has no CPUID.
pv::Cap pv_perf_cap(const PvPerfConfig& config);

}  // namespace vpmu::virt::x86
