// SPDX-License-Identifier: MIT
//
// A host for tests that a reader can work out by hand: PMUs of two general-purpose counters and one
// fixed one, a clock of 1 GHz, so that a cycle is a nanosecond, and vCPUs that retire what the test
// says.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "vpmu/hostperf/modelled_host_perf.hpp"

namespace vpmu::hostperf {

class Handler final : public OverflowHandler {
 public:
  void on_overflow(EventId event, std::uint64_t cookie) override {
    calls.emplace_back(event, cookie);
    if (reaction) reaction(event);
  }
  std::vector<std::pair<EventId, std::uint64_t>> calls;
  std::function<void(EventId)> reaction;
};

// What can be counted on a small host.
inline constexpr std::uint64_t kBranches = 0x00c4;      // on both counters
inline constexpr std::uint64_t kInstructions = 0x00c0;  // there, and on the fixed one
inline constexpr std::uint64_t kFixedOnly = 0x0100;     // instructions, on the fixed one
inline constexpr std::uint64_t kLoads = 0x81d0;         // on counter 0
inline constexpr std::uint64_t kStores = 0x82d0;        // on counter 1

/// Last branch records of four entries, with everything else that real ones have.
inline constexpr silicon::x86::LbrModel kFourRecords{.format = silicon::x86::LbrFormat::kInfo,
                                                     .depth = 4,
                                                     .call_stack = true,
                                                     .from = MsrIndex{0x680},
                                                     .to = MsrIndex{0x6c0},
                                                     .info = MsrIndex{0xdc0}};

inline silicon::x86::CpuModel small_model() {
  using silicon::RawEvent;
  using silicon::x86::CountedOn;
  using silicon::x86::kNoFixedCounter;
  constexpr auto kAny = CountedOn::kAnyCounter;
  static constexpr silicon::x86::EventRow kEvents[] = {
      {"BRANCHES", {0xc4, 0x00}, RawEvent::kBranches, kNoFixedCounter, kAny, ""},
      {"INSTRUCTIONS", {0xc0, 0x00}, RawEvent::kInstructions, 0, kAny, ""},
      {"FIXED", {0x00, 0x01}, RawEvent::kInstructions, 0, CountedOn::kFixedCounter, ""},
      {"LOADS", {0xd0, 0x81}, RawEvent::kLoads, kNoFixedCounter, kAny, "", "", 0b01},
      {"STORES", {0xd0, 0x82}, RawEvent::kStores, kNoFixedCounter, kAny, "", "", 0b10},
      {"ELSEWHERE", {0xd0, 0x83}, RawEvent::kStores, kNoFixedCounter, kAny, "", "", 0b100},
  };
  silicon::x86::CpuModel model = *silicon::x86::find_cpu_model("icelake-server");
  model.hz = 1'000'000'000;
  model.pmu.gp_counters = 2;
  model.pmu.fixed_counters = 1;
  model.events = kEvents;
  model.lbr = kFourRecords;
  return model;
}

class SmallHost {
 public:
  struct Vcpu {
    silicon::RetireTotals totals;
    silicon::Deadlines deadlines{totals};
  };

  SmallHost(unsigned vcpu_count, unsigned cpus, std::uint64_t rotation_ns = 1'000,
            const silicon::x86::CpuModel& cpu_model = small_model())
      : model{cpu_model}, vcpus(vcpu_count) {
    std::vector<ModelledVcpu> modelled;
    for (Vcpu& vcpu : vcpus) modelled.push_back({&vcpu.totals, &vcpu.deadlines});
    perf.emplace(model, modelled, ModelledHost{.cpus = cpus, .rotation_ns = rotation_ns});
  }

  EventId open(const EventAttr& attr, Target target) {
    const auto event = perf->open(attr, target, handler);
    EXPECT_TRUE(event.has_value());
    return event.value_or(kNoEvent);
  }
  EventId start(const EventAttr& attr, Target target) {
    const EventId event = open(attr, target);
    perf->enable(event);
    return event;
  }
  /// `count` instructions, each a branch, a load, a store and a cycle, and the boundary behind
  /// them.
  void retire(unsigned vcpu, std::uint64_t count,
              silicon::Privilege privilege = silicon::Privilege::kUser) {
    using silicon::RawEvent;
    for (const RawEvent raw : {RawEvent::kInstructions, RawEvent::kCycles, RawEvent::kBranches,
                               RawEvent::kLoads, RawEvent::kStores}) {
      vcpus[vcpu].totals.add(raw, privilege, count);
    }
    vcpus[vcpu].deadlines.fire_due();
  }
  std::uint64_t value(EventId event) { return perf->read(event).value().value; }
  std::uint64_t enabled_ns(EventId event) { return perf->read(event).value().time_enabled_ns; }
  std::uint64_t running_ns(EventId event) { return perf->read(event).value().time_running_ns; }

  const silicon::x86::CpuModel model;
  Handler handler;
  std::deque<Vcpu> vcpus;
  std::optional<ModelledHostPerf> perf;
};

inline Target task(unsigned vcpu) {
  return Target::of(static_cast<VcpuIndex>(vcpu));
}
inline Target cpu(unsigned number) {
  return Target::of(static_cast<HostCpu>(number));
}

}  // namespace vpmu::hostperf
