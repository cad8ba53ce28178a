// SPDX-License-Identifier: MIT
//
// The host's own use of last branch records, and what must hold of it: an event that wants branches
// is given those, and only those, that retired where it looks while it was active.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"

namespace vpmu::property {

/// How such an event is opened; every value means something.
struct HostEventRequest {
  static constexpr unsigned kBits = 16;

  bool of_task = false;  ///< of a vCPU instead of a host CPU
  unsigned target = 0;
  hostperf::EventAttr attr{};

  static HostEventRequest decode(std::uint64_t bits);
};

class LbrHostEvents {
 public:
  static constexpr unsigned kSlots = 6;

  LbrHostEvents(hostperf::ModelledHostPerf& perf, unsigned vcpus);
  ~LbrHostEvents();
  LbrHostEvents(const LbrHostEvents&) = delete;
  LbrHostEvents& operator=(const LbrHostEvents&) = delete;

  void open(unsigned slot, const HostEventRequest& request);
  void enable(unsigned slot);
  void disable(unsigned slot);
  void close(unsigned slot);
  void trace(unsigned cpu, bool used);

  [[nodiscard]] bool traces(unsigned cpu) const { return traced_[cpu]; }
  [[nodiscard]] bool traces() const;
  [[nodiscard]] bool any_exclusive() const;
  /// Somebody's event that goes before a guest's, or a trace, has the unit of that CPU, or all of
  /// its PMU.
  [[nodiscard]] bool claims(unsigned cpu) const;

  /// Which vCPU is on a CPU.
  void runs(unsigned cpu, std::optional<unsigned> vcpu) { vcpu_on_[cpu] = vcpu; }
  /// To be called whenever somebody may have got the unit or lost it.
  void follow();
  /// A branch was recorded for the host.
  void recorded(unsigned cpu, unsigned vcpu, const silicon::x86::TakenBranch& branch);
  /// All that events can read.
  std::optional<std::string> check() const;

 private:
  struct Event {
    hostperf::EventId id = hostperf::kNoEvent;
    HostEventRequest request;
    bool active = false;
    std::size_t since = 0;  ///< in `history_`
  };
  struct Retired {
    unsigned cpu;
    unsigned vcpu;
    silicon::x86::TakenBranch branch;
  };
  class Handler final : public hostperf::OverflowHandler {
    void on_overflow(hostperf::EventId, std::uint64_t) override {}
  };

  [[nodiscard]] std::optional<std::string> check(const Event& event) const;
  [[nodiscard]] static bool keeps_call_stack(const Event& event);
  [[nodiscard]] std::optional<std::string> check_one(const Event& event,
                                                     const silicon::x86::LbrStack::Decoded& branch,
                                                     std::size_t& before) const;
  [[nodiscard]] std::size_t expected_at_least(const Event& event) const;
  [[nodiscard]] bool may_see(const Event& event, const Retired& retired) const;

  hostperf::ModelledHostPerf& perf_;
  const unsigned vcpus_;
  Handler handler_;
  std::array<Event, kSlots> events_;
  std::vector<bool> traced_;
  std::vector<std::optional<unsigned>> vcpu_on_;
  std::vector<Retired> history_;
  /// By host CPU: the events that shared the unit when last looked, and since when nobody's else
  /// branches can be in it.
  struct Unit {
    unsigned readers = 0;
    std::optional<unsigned> vcpu;
    std::size_t since = 0;
  };
  std::vector<Unit> units_;
};

}  // namespace vpmu::property
