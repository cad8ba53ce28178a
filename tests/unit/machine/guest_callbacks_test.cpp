// SPDX-License-Identifier: MIT
//
// What a profiler of the host learns of a guest that it interrupts.
#include "vpmu/hostperf/guest_callbacks.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <csignal>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "unit/machine/machine_fixture.hpp"
#include "vpmu/virt/running_vcpu.hpp"

namespace vpmu::machine {
namespace {

using hostperf::GuestCallbacks;
using hostperf::GuestSnapshot;
using hostperf::kGuestActive;
using test::Code;
using test::operator+;

/// Asks what was interrupted, at every overflow.
class Asking final : public hostperf::OverflowHandler {
 public:
  std::vector<GuestSnapshot> answers;
  void on_overflow(hostperf::EventId, std::uint64_t) override {
    answers.push_back(GuestCallbacks::host().snapshot());
  }
};

class MachineGuestCallbacksTest : public test::MachineTest {
 protected:
  MachineGuestCallbacksTest() {
    auto added = virt::GuestProvider::add(virt::TraceOwner::kHost);
    EXPECT_TRUE(added.has_value());
    if (added) provider.emplace(std::move(*added));
  }

  /// Overflows behind every `period` instructions.
  void sample(std::uint64_t period) {
    hostperf::HostPerf& perf = machine->host_perf();
    const auto event = perf.open({.config = 0xc0, .period = period},
                                 hostperf::Target::of(hostperf::VcpuIndex{0}), asking);
    ASSERT_TRUE(event.has_value());
    perf.enable(*event);
  }

  std::optional<virt::GuestProvider> provider;
  Asking asking;
};

TEST_F(MachineGuestCallbacksTest, AnOverflowHandlerLearnsTheNextInstructionOfTheGuest) {
  // Each instruction has a length of its own: NOP, NOP of 2, 3 and 4 bytes.
  load(Code{0x90} + Code{0x66, 0x90} + Code{0x0f, 0x1f, 0x00} + Code{0x0f, 0x1f, 0x40, 0x00} +
       test::debug_exit(0));
  sample(1);
  (void)machine->run({});
  ASSERT_GE(asking.answers.size(), 4u);
  for (const GuestSnapshot& answer : asking.answers) EXPECT_EQ(answer.state, kGuestActive);
  EXPECT_EQ(asking.answers[0].ip, kEntry + 1);
  EXPECT_EQ(asking.answers[1].ip, kEntry + 3);
  EXPECT_EQ(asking.answers[2].ip, kEntry + 6);
  EXPECT_EQ(asking.answers[3].ip, kEntry + 10);
}

TEST_F(MachineGuestCallbacksTest, InTheMiddleOfABlockTheAddressIsExact) {
  Code code;
  for (int n = 0; n < 50; ++n) code = code + Code{0x90};
  load(code + test::debug_exit(0));
  sample(7);
  (void)machine->run({});
  ASSERT_GE(asking.answers.size(), 7u);
  for (std::size_t n = 0; n < 7; ++n) EXPECT_EQ(asking.answers[n].ip, kEntry + 7 * (n + 1));
}

TEST_F(MachineGuestCallbacksTest, OutsideOfARunNoGuestIsThere) {
  load(test::debug_exit(0));
  const hostperf::GuestCallbackReader reader;
  EXPECT_EQ(GuestCallbacks::host().state(), 0u);
  EXPECT_EQ(virt::running_vcpu(), nullptr);
  (void)machine->run({});
  EXPECT_EQ(GuestCallbacks::host().state(), 0u);
  EXPECT_EQ(virt::running_vcpu(), nullptr);
}

/// What the machine is doing whenever a vCPU leaves its guest.
class AskingTrace final : public TraceSink {
 public:
  std::vector<unsigned> states;
  std::vector<virt::Phase> phases;

  void msr_read(const Where&, MsrIndex, const Access&) override {}
  void msr_write(const Where&, MsrIndex, std::uint64_t, const Access&) override {
    states.push_back(GuestCallbacks::host().state());
    phases.push_back(virt::running_phase());
  }
  void exit(const Where&, virt::ExitReason) override {}
  void interrupt(const Where&, std::uint8_t) override {}
  void nmi(const Where&) override {}
};

TEST_F(MachineGuestCallbacksTest, WhileAnAccessIsEmulatedTheHostRuns) {
  AskingTrace trace;
  config.trace = &trace;
  (void)run(test::wrmsr(0x277, 0x0007040600070406) + test::debug_exit(0));
  ASSERT_EQ(trace.states.size(), 1u);
  EXPECT_EQ(trace.states[0], 0u);
  EXPECT_EQ(trace.phases[0], virt::Phase::kEmulating);
}

// ---- Signals at any moment ----------------------------------------------------------------------

struct Interruptions {
  std::atomic<unsigned> in_guest = 0;
  std::atomic<unsigned> elsewhere = 0;  ///< addresses that the guest has no code at
  std::atomic<std::uint64_t> first = 0;
  std::atomic<std::uint64_t> last = 0;
};
Interruptions interruptions;

void ask_in_handler(int) {
  const GuestSnapshot snapshot = GuestCallbacks::host().snapshot();
  if (snapshot.state == 0) return;
  const bool inside = snapshot.ip >= interruptions.first && snapshot.ip < interruptions.last;
  ++(inside ? interruptions.in_guest : interruptions.elsewhere);
}

TEST_F(MachineGuestCallbacksTest, ASignalHandlerFindsTheGuestInItsCode) {
  // Two blocks that lead to each other: NOP; JMP +2; UD2; NOP; JMP back.
  const Code loop{0x90, 0xeb, 0x02, 0x0f, 0x0b, 0x90, 0xeb, 0xf8};
  load(loop);
  interruptions.in_guest = interruptions.elsewhere = 0;
  interruptions.first = kEntry;
  interruptions.last = kEntry + loop.size();
  struct sigaction action {
  }, before{};
  action.sa_handler = &ask_in_handler;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, &before);

  constexpr unsigned kEnough = 100;
  std::thread sender{[vcpu_thread = pthread_self(), this] {
    while (interruptions.in_guest < kEnough && interruptions.elsewhere == 0) {
      pthread_kill(vcpu_thread, SIGUSR1);
      std::this_thread::yield();
    }
    machine->stop();
  }};
  EXPECT_EQ(machine->run({}).reason, Outcome::Reason::kStopped);
  sender.join();
  sigaction(SIGUSR1, &before, nullptr);
  EXPECT_EQ(interruptions.elsewhere, 0u);
  EXPECT_GE(interruptions.in_guest, kEnough);
}

}  // namespace
}  // namespace vpmu::machine
