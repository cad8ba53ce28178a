// SPDX-License-Identifier: MIT
//
// What the guest's portable events are on this host: a table worked out once from the CPU model.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/silicon/x86/event_table.hpp"
#include "vpmu/virt/x86/event_gate.hpp"
#include "vpmu/virt/x86/pv_perf_abi.hpp"
#include "vpmu/virt/x86/pv_perf_config.hpp"

namespace vpmu::virt::x86 {

/// What counts for an event.
struct PvPerfMeaning {
  enum class Kind : std::uint8_t {
    kHostEvent,  ///< `config`
    kSoftware,   ///< `software`
    kAbsent,     ///< nothing on this host
  };
  Kind kind = Kind::kAbsent;
  std::uint64_t config = 0;  ///< hostperf::EventAttr::config
  silicon::x86::EventSelector selector{};
  /// Counted by this fixed counter only, so that an event filter is to be asked for that.
  std::optional<unsigned> fixed_only{};
  pv::Software software{};
};

class PvPerfEvents {
 public:
  /// `model`: of the host.
  PvPerfEvents(const PvPerfConfig& config, const silicon::x86::CpuModel& model);

  /// Whether a guest may write that at all: kOk, kReserved, kType or kCode.
  [[nodiscard]] pv::Code check(pv::Evtsel evtsel) const;
  /// Of an EVTSEL that was checked.
  [[nodiscard]] PvPerfMeaning meaning(pv::Evtsel evtsel) const;
  /// Whether the operator lets the guest count it, by what it means. Null gates admit everything.
  [[nodiscard]] bool admits(pv::Evtsel evtsel, const PvPerfMeaning& meaning, const EventGate* gate,
                            const EventGate* raw_events) const;

 private:
  const PvPerfConfig config_;
  const silicon::x86::CpuModel& model_;
  std::array<PvPerfMeaning, pv::kGenericEvents> generic_{};
  std::array<PvPerfMeaning, std::size_t{pv::kCaches} * pv::kCacheOperations * pv::kCacheResults>
      cache_{};
};

}  // namespace vpmu::virt::x86
