// SPDX-License-Identifier: MIT
//
// What a virtual PMU stands between, counting what it does with them.
#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/hostperf/lbr_host.hpp"
#include "vpmu/virt/x86/pmi_sink.hpp"

namespace vpmu::property {

/// Passes everything on and knows how many events are open.
class CountingHostPerf final : public hostperf::HostPerf {
 public:
  explicit CountingHostPerf(hostperf::HostPerf& perf) : perf_{perf} {}
  [[nodiscard]] unsigned open_events() const { return open_; }
  /// Of these, guests' LBR events; and what came of opening them so far.
  [[nodiscard]] unsigned open_lbr_events() const {
    return static_cast<unsigned>(lbr_.events.size());
  }
  [[nodiscard]] std::uint64_t opened_lbr_events() const { return lbr_.opened; }
  [[nodiscard]] std::uint64_t refused_lbr_events() const { return lbr_.refused; }

  hostperf::LbrHost* lbr() override { return perf_.lbr(); }
  tl::expected<hostperf::EventId, hostperf::OpenError> open(
      const hostperf::EventAttr& attr, hostperf::Target target,
      hostperf::OverflowHandler& handler) override {
    auto event = perf_.open(attr, target, handler);
    const bool lbr = attr.config == hostperf::kGuestLbrEvent;
    if (event) ++open_;
    if (event && lbr) {
      lbr_.events.insert(*event);
      ++lbr_.opened;
    }
    if (!event && lbr) ++lbr_.refused;
    return event;
  }
  void close(hostperf::EventId event) override {
    --open_;
    lbr_.events.erase(event);
    perf_.close(event);
  }
  void enable(hostperf::EventId event) override { perf_.enable(event); }
  void disable(hostperf::EventId event) override { perf_.disable(event); }
  void pause(hostperf::EventId event) override { perf_.pause(event); }
  void resume(hostperf::EventId event) override { perf_.resume(event); }
  std::optional<hostperf::EventCount> read(hostperf::EventId event) override {
    return perf_.read(event);
  }
  void set_period(hostperf::EventId event, std::uint64_t period) override {
    perf_.set_period(event, period);
  }
  [[nodiscard]] hostperf::EventState state(hostperf::EventId event) const override {
    return perf_.state(event);
  }
  [[nodiscard]] hostperf::HostCpu cpu(hostperf::EventId event) const override {
    return perf_.cpu(event);
  }

 private:
  struct LbrEvents {
    std::set<hostperf::EventId> events;
    std::uint64_t opened = 0;
    std::uint64_t refused = 0;
  };

  hostperf::HostPerf& perf_;
  unsigned open_ = 0;
  LbrEvents lbr_;
};

/// A local APIC that answers as it is told and counts.
class CountingSink final : public virt::x86::PmiSink {
 public:
  virt::x86::PmiOutcome raise_pmi(virt::x86::LvtpcAfterPmi after) override {
    ++raised;
    last = after;
    return outcome;
  }
  void request_entry_work() override { ++requests; }

  std::uint64_t raised = 0;
  std::uint64_t requests = 0;
  virt::x86::LvtpcAfterPmi last = virt::x86::LvtpcAfterPmi::kKeep;
  virt::x86::PmiOutcome outcome = virt::x86::PmiOutcome::kDelivered;
};

}  // namespace vpmu::property
