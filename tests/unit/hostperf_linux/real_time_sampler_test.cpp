// SPDX-License-Identifier: MIT
//
// Nothing here waits for a timer but two tests, which wait as long as it takes: threads interrupt
// themselves.
#include "hostperf/linux/real_time_sampler.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "vpmu/hostperf/guest_callbacks.hpp"
#include "vpmu/virt/running_vcpu.hpp"

namespace vpmu::hostperf {
namespace {

using virt::Phase;
using virt::PhaseScope;
using virt::RunningVcpu;

class SomeVcpu final : public virt::GuestContext {
 public:
  std::uint64_t ip = 0x401000;
  bool user = false;
  [[nodiscard]] bool in_user_mode() const noexcept override { return user; }
  [[nodiscard]] std::uint64_t instruction_pointer() const noexcept override { return ip; }
  [[nodiscard]] std::uint32_t vcpu_index() const noexcept override { return 3; }
};

class Kept final : public SampleSink {
 public:
  std::vector<Sample> samples;
  void on_sample(const Sample& sample) override { samples.push_back(sample); }
};

constexpr int kSignal = SIGPROF;
void interrupt_myself() {
  pthread_kill(pthread_self(), kSignal);
}

class RealTimeSamplerTest : public testing::Test {
 protected:
  RealTimeSamplerTest() {
    auto added = virt::GuestProvider::add(virt::TraceOwner::kHost);
    EXPECT_TRUE(added.has_value());
    if (added) provider.emplace(std::move(*added));
    config.frequency_hz = 0;
    config.vcpu = &virt::running_vcpu_index;
  }
  std::unique_ptr<RealTimeSampler> start() {
    auto started = RealTimeSampler::start(config);
    EXPECT_TRUE(started.has_value()) << started.error().message;
    return started ? std::move(*started) : nullptr;
  }
  /// The samples that `body` gives.
  template <class Body>
  std::vector<Sample> sampled(Body body) {
    const auto sampler = start();
    body();
    Kept kept;
    const std::size_t count = sampler->drain(kept);
    EXPECT_EQ(count, kept.samples.size());
    return kept.samples;
  }

  std::optional<virt::GuestProvider> provider;
  RealTimeConfig config;
  SomeVcpu vcpu;
};

// ---- Whose samples ------------------------------------------------------------------------------

TEST_F(RealTimeSamplerTest, AGuestThatRunsIsSampledWhereItIs) {
  const auto samples = sampled([&] {
    const RunningVcpu running{vcpu};
    const PhaseScope guest{Phase::kInGuest};
    interrupt_myself();
    vcpu.user = true;
    vcpu.ip = 0x7000;
    interrupt_myself();
  });
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].mode, SampledMode::kGuestKernel);
  EXPECT_EQ(samples[0].ip, 0x401000u);
  EXPECT_EQ(samples[0].vcpu, 3u);
  EXPECT_EQ(samples[1].mode, SampledMode::kGuestUser);
  EXPECT_EQ(samples[1].ip, 0x7000u);
  EXPECT_GE(samples[1].time_ns, samples[0].time_ns);
}

TEST_F(RealTimeSamplerTest, TheHostIsSampledAtItsOwnAddress) {
  const auto samples = sampled([&] {
    interrupt_myself();
    const RunningVcpu running{vcpu};
    const PhaseScope exit{Phase::kEmulating};
    interrupt_myself();
  });
  ASSERT_EQ(samples.size(), 2u);
  for (const Sample& sample : samples) {
    EXPECT_EQ(sample.mode, SampledMode::kHostUser);
    EXPECT_NE(sample.ip, 0u);
    EXPECT_NE(sample.ip, vcpu.ip);
  }
  EXPECT_EQ(samples[0].vcpu, Sample::kNoVcpu);
  EXPECT_EQ(samples[1].vcpu, 3u) << "the host works for this one";
}

TEST_F(RealTimeSamplerTest, WithGuestsExcludedSamplesAreTheHosts) {
  config.exclude_guest = true;
  const auto samples = sampled([&] {
    const RunningVcpu running{vcpu};
    const PhaseScope guest{Phase::kInGuest};
    interrupt_myself();
  });
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].mode, SampledMode::kHostUser);
  EXPECT_NE(samples[0].ip, vcpu.ip);
}

TEST_F(RealTimeSamplerTest, WithTheHostExcludedOnlyGuestsAreSampled) {
  config.exclude_host = true;
  const auto samples = sampled([&] {
    interrupt_myself();
    const RunningVcpu running{vcpu};
    const PhaseScope guest{Phase::kInGuest};
    interrupt_myself();
    const PhaseScope exit{Phase::kEmulating};
    interrupt_myself();
  });
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].mode, SampledMode::kGuestKernel);
}

TEST_F(RealTimeSamplerTest, WithoutAProviderSamplesAreTheHosts) {
  provider.reset();
  const auto samples = sampled([&] {
    const RunningVcpu running{vcpu};
    const PhaseScope guest{Phase::kInGuest};
    interrupt_myself();
  });
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].mode, SampledMode::kHostUser);
}

// ---- The handler --------------------------------------------------------------------------------

TEST_F(RealTimeSamplerTest, TheHandlerLeavesErrnoAlone) {
  (void)sampled([] {
    errno = EDOM;
    interrupt_myself();
    EXPECT_EQ(errno, EDOM);
  });
}

TEST_F(RealTimeSamplerTest, WhatFindsNoRoomIsLostAndCounted) {
  config.ring_size = 4;
  const auto sampler = start();
  for (int n = 0; n < 7; ++n) interrupt_myself();
  EXPECT_EQ(sampler->lost(), 3u);
  Kept kept;
  EXPECT_EQ(sampler->drain(kept), 4u);
  interrupt_myself();
  EXPECT_EQ(sampler->drain(kept), 1u);
  EXPECT_EQ(sampler->lost(), 3u);
}

TEST_F(RealTimeSamplerTest, SamplesCarryTheNumberOfTheirEvent) {
  config.event = 5;
  const auto samples = sampled([] { interrupt_myself(); });
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].event, 5u);
}

// ---- Starting and stopping ----------------------------------------------------------------------

TEST_F(RealTimeSamplerTest, AfterTheEndTheSignalIsAsItWas) {
  struct sigaction before {
  }, after{};
  sigaction(kSignal, nullptr, &before);
  {
    const auto sampler = start();
    interrupt_myself();
    sampler->stop();
    sampler->stop();
    Kept kept;
    EXPECT_EQ(sampler->drain(kept), 1u) << "what was sampled before is still there";
  }
  sigaction(kSignal, nullptr, &after);
  EXPECT_EQ(after.sa_handler, before.sa_handler);
}

TEST_F(RealTimeSamplerTest, AThreadThatBlocksTheSignalIsSampledAndBlocksItAgain) {
  sigset_t signal, mask;
  sigemptyset(&signal);
  sigaddset(&signal, kSignal);
  pthread_sigmask(SIG_BLOCK, &signal, nullptr);
  EXPECT_EQ(sampled([] { interrupt_myself(); }).size(), 1u);
  pthread_sigmask(SIG_UNBLOCK, &signal, &mask);
  EXPECT_TRUE(sigismember(&mask, kSignal));
}

TEST_F(RealTimeSamplerTest, EachThreadHasASamplerOfItsOwn) {
  const auto mine = start();
  EXPECT_FALSE(RealTimeSampler::start(config).has_value()) << "not two";
  std::thread{[this] {
    const auto theirs = start();
    interrupt_myself();
    interrupt_myself();
    Kept kept;
    EXPECT_EQ(theirs->drain(kept), 2u);
  }}.join();
  Kept kept;
  EXPECT_EQ(mine->drain(kept), 0u);
  interrupt_myself();
  EXPECT_EQ(mine->drain(kept), 1u) << "it has not gone with the other one";
}

TEST_F(RealTimeSamplerTest, WhatCannotBeDoneIsRefusedWithOneLine) {
  const auto refused = [](const RealTimeConfig& wanted, const char* names) {
    const auto started = RealTimeSampler::start(wanted);
    ASSERT_FALSE(started.has_value());
    EXPECT_NE(started.error().message.find(names), std::string::npos) << started.error().message;
  };
  RealTimeConfig wanted = config;
  wanted.frequency_hz = 100'001;
  refused(wanted, "100001 Hz");
  wanted = config;
  wanted.ring_size = 1000;
  refused(wanted, "1000 samples");
  wanted = config;
  wanted.signal = SIGKILL;
  refused(wanted, "signal 9");
  struct sigaction mine {
  }, before{};
  mine.sa_handler = [](int) {};
  sigaction(kSignal, &mine, &before);
  refused(config, "in use");
  sigaction(kSignal, &before, nullptr);
}

TEST_F(RealTimeSamplerTest, TheTimerInterruptsAThreadThatWorks) {
  for (const SamplingClock clock : {SamplingClock::kMonotonic, SamplingClock::kThreadCpu}) {
    config.clock = clock;
    config.frequency_hz = 1000;
    Kept kept;
    const auto sampler = start();
    {
      const RunningVcpu running{vcpu};
      const PhaseScope guest{Phase::kInGuest};
      while (kept.samples.size() < 3) sampler->drain(kept);
    }
    for (const Sample& sample : kept.samples) {
      EXPECT_EQ(sample.period % 1'000'000, 0u) << "milliseconds, since 1000 Hz are asked for";
      EXPECT_GT(sample.period, 0u);
    }
    EXPECT_EQ(kept.samples[0].mode, SampledMode::kGuestKernel);
  }
}

TEST_F(RealTimeSamplerTest, NoSignalComesBehindTheEnd) {
  // Its default action would end the process.
  config.frequency_hz = RealTimeConfig::kMostHz;
  for (int n = 0; n < 200; ++n) {
    const auto sampler = start();
    Kept kept;
    while (kept.samples.empty()) sampler->drain(kept);
  }
}

}  // namespace
}  // namespace vpmu::hostperf
