// SPDX-License-Identifier: MIT
//
// The host's profiler in a machine: samples what guests do, without their knowledge.
//
//   auto provider = virt::GuestProvider::add(virt::TraceOwner::kHost);
//   auto profiler = Profiler::attach(machine, *provider, config, sink);
//   machine.run({});                      // sink.on_sample() at every overflow
//
// Its events are ordinary events of HostPerf: they compete with the guests' own (which are pinned)
// and are multiplexed if they do not fit. An overflow is on exactly the instruction; what was
// interrupted is asked of the guest callbacks. The guest cannot tell that it is sampled, but by the
// counters it does not get.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "machine/guest_machine.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/sample.hpp"
#include "vpmu/virt/running_vcpu.hpp"

namespace vpmu::virt {
class GuestProvider;
}

namespace vpmu::machine {

struct SamplingEvent {
  std::string name;          ///< for messages
  hostperf::EventAttr attr;  ///< `period`: counts between samples; `branch_type` for branch stacks
  std::uint64_t frequency = 0;  ///< samples in a second of machine time, adaptive; 0: by period
  /// Sample::ip is the instruction that overflowed, not the next one. So it is, anyway, if the next
  /// one is of a privilege that `attr` excludes.
  bool precise = false;
};

struct ProfilerConfig {
  std::vector<SamplingEvent> events;
  bool on_host_cpus = false;  ///< events of the host CPUs, not of the vCPUs
  /// Longest call chain in a sample, the sampled address included; 0: none. At most kDeepest.
  unsigned callchain_depth = 0;
  static constexpr unsigned kDeepest = 127;
  static constexpr std::uint64_t kShortestPeriod = 100;  ///< what frequencies may come down to
};

/// What became of one event, over all its targets.
struct SamplingTotals {
  std::uint64_t samples = 0;
  std::uint64_t count = 0;  ///< of the event, while it was on a counter
  std::uint64_t time_enabled_ns = 0;
  std::uint64_t time_running_ns = 0;
  std::uint64_t in_error = 0;  ///< targets where it is pinned and did not fit
};

class Profiler {
 public:
  /// Before the machine's first run, or between two. All must outlive the profiler, which must go
  /// before the machine. An error names the event and what to do.
  static Result<std::unique_ptr<Profiler>> attach(GuestMachine& machine,
                                                  const virt::GuestProvider& provider,
                                                  const ProfilerConfig& config,
                                                  hostperf::SampleSink& sink);
  ~Profiler();
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  /// In the order of ProfilerConfig::events.
  [[nodiscard]] std::vector<SamplingTotals> totals() const;

 private:
  Profiler();
  struct Private;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::machine
