// SPDX-License-Identifier: MIT
#include "vpmu/virt/running_vcpu.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <utility>

namespace vpmu::virt {
namespace {

using hostperf::GuestCallbackError;
using hostperf::GuestCallbackReader;
using hostperf::GuestCallbacks;
using hostperf::kGuestActive;
using hostperf::kGuestUserMode;

class SomeVcpu final : public GuestContext {
 public:
  explicit SomeVcpu(std::uint64_t ip, bool user = false) : ip_{ip}, user_{user} {}
  unsigned trace_interrupts = 0;

  [[nodiscard]] bool in_user_mode() const noexcept override { return user_; }
  [[nodiscard]] std::uint64_t instruction_pointer() const noexcept override { return ip_; }
  void take_trace_interrupt() noexcept override { ++trace_interrupts; }

 private:
  const std::uint64_t ip_;
  const bool user_;
};

class RunningVcpuTest : public testing::Test {
 protected:
  GuestCallbacks& host = GuestCallbacks::host();
  const GuestCallbackReader reader;
  SomeVcpu vcpu{0x1000};
  SomeVcpu in_user{0x2000, true};
};

class GuestProviderTest : public RunningVcpuTest {
 protected:
  void provide(TraceOwner trace) {
    auto added = GuestProvider::add(trace);
    ASSERT_TRUE(added.has_value());
    provider.emplace(std::move(*added));
  }
  std::optional<GuestProvider> provider;
};

// ---- What a thread runs -------------------------------------------------------------------------

TEST_F(RunningVcpuTest, AThreadRunsNothingUntilItSaysSo) {
  EXPECT_EQ(running_vcpu(), nullptr);
  EXPECT_EQ(running_phase(), Phase::kHost);
}

TEST_F(RunningVcpuTest, ScopesNestAndEndAsTheyBegan) {
  {
    const RunningVcpu outer{vcpu};
    EXPECT_EQ(running_vcpu(), &vcpu);
    EXPECT_EQ(running_phase(), Phase::kHost) << "loaded, but not run";
    const PhaseScope guest{Phase::kInGuest};
    {
      const PhaseScope exit{Phase::kEmulating};
      EXPECT_EQ(running_phase(), Phase::kEmulating);
    }
    EXPECT_EQ(running_phase(), Phase::kInGuest);
    {
      const RunningVcpu inner{in_user};
      EXPECT_EQ(running_vcpu(), &in_user);
      EXPECT_EQ(running_phase(), Phase::kHost);
    }
    EXPECT_EQ(running_vcpu(), &vcpu);
    EXPECT_EQ(running_phase(), Phase::kInGuest);
  }
  EXPECT_EQ(running_vcpu(), nullptr);
  EXPECT_EQ(running_phase(), Phase::kHost);
}

TEST_F(RunningVcpuTest, EachThreadHasItsOwn) {
  const RunningVcpu running{vcpu};
  std::thread{[] { EXPECT_EQ(running_vcpu(), nullptr); }}.join();
}

// ---- The provider -------------------------------------------------------------------------------

TEST_F(GuestProviderTest, AGuestIsActiveWhileItsCodeRunsOnly) {
  provide(TraceOwner::kHost);
  EXPECT_EQ(host.state(), 0u);
  const RunningVcpu running{vcpu};
  EXPECT_EQ(host.state(), 0u);
  const PhaseScope guest{Phase::kInGuest};
  EXPECT_EQ(host.state(), kGuestActive);
  EXPECT_EQ(host.ip(), 0x1000u);
  const PhaseScope exit{Phase::kEmulating};
  EXPECT_EQ(host.state(), 0u) << "the hypervisor works, on behalf of the guest";
  EXPECT_EQ(host.snapshot().state, 0u);
}

TEST_F(GuestProviderTest, ASnapshotHasTheModeAndTheAddress) {
  provide(TraceOwner::kHost);
  const RunningVcpu running{in_user};
  const PhaseScope guest{Phase::kInGuest};
  const auto snapshot = host.snapshot();
  EXPECT_EQ(snapshot.state, kGuestActive | kGuestUserMode);
  EXPECT_EQ(snapshot.ip, 0x2000u);
}

TEST_F(GuestProviderTest, UserNeverComesWithoutActive) {
  provide(TraceOwner::kHost);
  const RunningVcpu running{in_user};
  for (const Phase phase : {Phase::kHost, Phase::kInGuest, Phase::kEmulating}) {
    const PhaseScope scope{phase};
    const unsigned state = host.state();
    EXPECT_TRUE((state & kGuestActive) != 0 || state == 0);
  }
}

TEST_F(GuestProviderTest, APhaseWithoutAVcpuIsTheHosts) {
  provide(TraceOwner::kGuest);
  const PhaseScope guest{Phase::kInGuest};
  EXPECT_EQ(host.state(), 0u);
  EXPECT_EQ(host.trace_interrupt(), 0u);
}

TEST_F(GuestProviderTest, AHostsTraceInterruptReachesTheHostWhileAGuestRuns) {
  provide(TraceOwner::kHost);
  const RunningVcpu running{vcpu};
  const PhaseScope guest{Phase::kInGuest};
  ASSERT_EQ(host.state(), kGuestActive);
  EXPECT_EQ(host.trace_interrupt(), 0u);
  EXPECT_EQ(vcpu.trace_interrupts, 0u);
}

TEST_F(GuestProviderTest, AGuestsTraceInterruptIsItsOwnWhileItRuns) {
  provide(TraceOwner::kGuest);
  const RunningVcpu running{vcpu};
  EXPECT_EQ(host.trace_interrupt(), 0u);
  {
    const PhaseScope guest{Phase::kInGuest};
    EXPECT_EQ(host.trace_interrupt(), 1u);
    EXPECT_EQ(vcpu.trace_interrupts, 1u);
    const PhaseScope exit{Phase::kEmulating};
    EXPECT_EQ(host.trace_interrupt(), 0u);
  }
  EXPECT_EQ(host.trace_interrupt(), 0u);
  EXPECT_EQ(vcpu.trace_interrupts, 1u);
}

TEST_F(GuestProviderTest, ThereIsOneUntilItGoes) {
  provide(TraceOwner::kHost);
  const auto second = GuestProvider::add(TraceOwner::kGuest);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error(), GuestCallbackError::kAlreadyRegistered);
  provider.reset();
  EXPECT_TRUE(GuestProvider::add(TraceOwner::kGuest).has_value());
}

TEST_F(GuestProviderTest, MovingItKeepsItRegistered) {
  provide(TraceOwner::kHost);
  const RunningVcpu running{vcpu};
  const PhaseScope guest{Phase::kInGuest};
  {
    const GuestProvider moved{std::move(*provider)};
    provider.reset();
    EXPECT_EQ(host.state(), kGuestActive);
  }
  EXPECT_EQ(host.state(), 0u);
}

}  // namespace
}  // namespace vpmu::virt
