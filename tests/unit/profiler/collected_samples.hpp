// SPDX-License-Identifier: MIT
//
// A machine with a profiler, for tests: keeps every sample.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "machine/profiler/profiler.hpp"
#include "unit/machine/machine_fixture.hpp"

namespace vpmu::test {

inline constexpr std::uint64_t kCycles = 0x003c;
inline constexpr std::uint64_t kInstructions = 0x00c0;
inline constexpr std::uint64_t kBranches = 0x00c4;

class CollectedSamples final : public hostperf::SampleSink {
 public:
  struct Kept : hostperf::Sample {
    std::vector<std::uint64_t> chain;
    std::vector<silicon::x86::LbrStack::Decoded> stack;
  };
  std::vector<Kept> samples;

  void on_sample(const hostperf::Sample& sample) override {
    Kept& kept = samples.emplace_back();
    static_cast<hostperf::Sample&>(kept) = sample;
    kept.chain.assign(sample.callchain.begin(), sample.callchain.end());
    kept.stack.assign(sample.branches.begin(), sample.branches.end());
    kept.callchain = {};
    kept.branches = {};
  }
  [[nodiscard]] std::uint64_t periods() const {
    std::uint64_t sum = 0;
    for (const Kept& sample : samples) sum += sample.period;
    return sum;
  }
};

/// "event" by period, on all vCPUs.
inline machine::SamplingEvent every(std::uint64_t period, std::uint64_t config = kInstructions) {
  return {.name = "event", .attr = {.config = config, .period = period}};
}
inline machine::SamplingEvent precise(machine::SamplingEvent event) {
  event.precise = true;
  return event;
}

class ProfiledMachineTest : public MachineTest {
 protected:
  std::optional<virt::GuestProvider> provider = [] {
    auto added = virt::GuestProvider::add(virt::TraceOwner::kHost);
    EXPECT_TRUE(added.has_value());
    return added ? std::optional<virt::GuestProvider>{std::move(*added)} : std::nullopt;
  }();
  CollectedSamples sink;
  std::unique_ptr<machine::Profiler> profiler;

  ~ProfiledMachineTest() override { profiler.reset(); }

  /// The machine is there.
  void attach(const machine::ProfilerConfig& profile) {
    profiler.reset();
    sink.samples.clear();
    auto attached = machine::Profiler::attach(*machine, *provider, profile, sink);
    ASSERT_TRUE(attached.has_value()) << attached.error().message;
    profiler = std::move(*attached);
  }
  /// Loads `code` into a machine of its own, and runs it.
  void profile(const Code& code, const machine::ProfilerConfig& profile,
               const machine::RunLimits& limits = {}) {
    profiler.reset();
    load(code);
    attach(profile);
    machine->run(limits);
  }
  [[nodiscard]] std::string refusal(const machine::ProfilerConfig& profile) {
    const auto attached = machine::Profiler::attach(*machine, *provider, profile, sink);
    return attached ? "" : attached.error().message;
  }
};

}  // namespace vpmu::test
