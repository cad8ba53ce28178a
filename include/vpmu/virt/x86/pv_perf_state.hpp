// SPDX-License-Identifier: MIT
//
// All of PV perf that moves with its guest: PvPerf::save() and PvPerf::restore(). The page's
// content moves as RAM.
#pragma once

#include <array>
#include <cstdint>

#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/pv_perf_abi.hpp"
#include "vpmu/virt/x86/pv_perf_config.hpp"

namespace vpmu::virt::x86 {

/// For reports; nothing of it is visible to the guest.
struct PvPerfStatistics {
  std::uint64_t overflows = 0;
  std::uint64_t pmis_raised = 0;  ///< sent to LVTPC
  std::uint64_t pmis_delivered = 0;
  std::uint64_t pmis_masked = 0;
  std::uint64_t pmis_rejected = 0;
  std::uint64_t pmis_throttled = 0;  ///< held back by the rate limit
  std::uint64_t publications = 0;
  std::uint64_t batches = 0;
  std::uint64_t batches_refused = 0;  ///< LOADs that failed
  std::uint64_t hypercalls = 0;
  std::uint64_t host_events_opened = 0;
  std::uint64_t starvations = 0;  ///< events that the host came to be unable to run

  friend bool operator==(const PvPerfStatistics&, const PvPerfStatistics&) = default;
};

struct PvPerfState {
  /// Of a CallEvent that is no RAM any more.
  static constexpr std::uint64_t kGone = ~std::uint64_t{0};

  struct Event {
    std::uint64_t evtsel = 0;
    std::uint64_t count = 0;
    std::uint64_t period = 0;
    std::uint64_t time_enabled_ns = 0;
    std::uint64_t time_running_ns = 0;
    std::uint64_t state = 0;       ///< STATE; what of it is the host's is worked out anew
    bool countable = false;        ///< EVTSEL is something that the host could have counted
    bool unheeded = false;         ///< reloaded again since GLOBAL_STATUS said so
    bool called = false;           ///< open by hypercall
    std::uint64_t call_event = 0;  ///< guest-physical, where its CallEvent is, or kGone
    std::uint64_t call_read_format = 0;
    bool call_event_due = false;  ///< to be written at the next entry

    friend bool operator==(const Event&, const Event&) = default;
  };

  std::uint32_t version = pv::kVersion;  ///< of the ABI: CPUID base+1 EBX
  PvPerfConfig config;                   ///< of the host that it was saved on
  /// What raw events (type 2) are events of.
  silicon::x86::Vendor host_vendor = silicon::x86::Vendor::kIntel;
  std::uint16_t host_family = 0;
  std::uint64_t global_ctrl = 0;
  std::uint64_t global_status = 0;
  std::uint64_t error = 0;
  std::uint64_t area = 0;
  std::array<Event, pv::kMaxEvents> events{};

  std::uint32_t seq = 0;
  std::uint32_t batch_seq = 0;
  std::uint16_t batch_code = 0;
  std::uint16_t batch_id = pv::kNoId;

  bool publish_requested = false;    ///< the page is to be written at the next entry
  std::uint64_t publish_due_ns = 0;  ///< when it was to be written next; 0: not at all
  std::uint64_t tick_ns = 0;         ///< the rate limit's millisecond that runs
  std::uint32_t interrupts_in_tick = 0;
  bool interrupt_pending = false;    ///< to be delivered at the next entry
  bool interrupt_held_back = false;  ///< by the rate limit, to be looked at in the next tick
  PvPerfStatistics statistics;

  friend bool operator==(const PvPerfState&, const PvPerfState&) = default;
};

}  // namespace vpmu::virt::x86
