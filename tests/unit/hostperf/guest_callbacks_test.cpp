// SPDX-License-Identifier: MIT
#include "vpmu/hostperf/guest_callbacks.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "unit/hostperf/deny_membarrier.hpp"

namespace vpmu::hostperf {
namespace {

/// What the test's provider says, and who asked.
struct Guest {
  unsigned state = 0;
  std::uint64_t ip = 0;
  unsigned trace = 0;
  std::atomic<unsigned> calls = 0;
  /// Happens inside of each callback.
  std::function<void()> inside;

  GuestSnapshot answer() {
    ++calls;
    if (inside) inside();
    return {state, ip};
  }
};
Guest guest;

unsigned state() noexcept {
  return guest.answer().state;
}
std::uint64_t ip() noexcept {
  return guest.answer().ip;
}
GuestSnapshot snapshot() noexcept {
  return guest.answer();
}
unsigned trace_interrupt() noexcept {
  guest.answer();
  return guest.trace;
}

constexpr GuestCallbackTable kTable{.state = &state, .ip = &ip, .snapshot = &snapshot};
constexpr GuestCallbackTable kSameAgain = kTable;
constexpr GuestCallbackTable kWithTrace{
    .state = &state, .ip = &ip, .snapshot = &snapshot, .trace_interrupt = &trace_interrupt};

class GuestCallbacksTest : public testing::Test {
 protected:
  void SetUp() override {
    guest.state = guest.trace = guest.calls = 0;
    guest.ip = 0;
    guest.inside = nullptr;
  }

  GuestCallbacks host;
  const GuestCallbackReader reader;
};

using Error = GuestCallbackError;

void expect_error(const tl::expected<void, Error>& result, Error error) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), error);
}

// ---- Providers ----------------------------------------------------------------------------------

TEST_F(GuestCallbacksTest, WithoutProviderEverythingIsTheHosts) {
  EXPECT_EQ(host.state(), 0u);
  EXPECT_EQ(host.ip(), 0u);
  EXPECT_EQ(host.snapshot().state, 0u);
  EXPECT_EQ(host.snapshot().ip, 0u);
  EXPECT_EQ(host.trace_interrupt(), 0u);
}

TEST_F(GuestCallbacksTest, TheProviderIsAsked) {
  ASSERT_TRUE(host.add(kTable));
  guest.state = kGuestActive | kGuestUserMode;
  guest.ip = 0x401000;
  EXPECT_EQ(host.state(), kGuestActive | kGuestUserMode);
  EXPECT_EQ(host.ip(), 0x401000u);
  EXPECT_EQ(guest.calls, 2u);
  const GuestSnapshot both = host.snapshot();
  EXPECT_EQ(both.state, kGuestActive | kGuestUserMode);
  EXPECT_EQ(both.ip, 0x401000u);
  EXPECT_EQ(guest.calls, 3u) << "a snapshot is one call";
  ASSERT_TRUE(host.remove(kTable));
}

TEST_F(GuestCallbacksTest, AddressZeroIsAGuestsLikeAnyOther) {
  ASSERT_TRUE(host.add(kTable));
  guest.state = kGuestActive;
  EXPECT_EQ(host.snapshot().state, kGuestActive);
  EXPECT_EQ(host.snapshot().ip, 0u);
  ASSERT_TRUE(host.remove(kTable));
}

TEST_F(GuestCallbacksTest, ASecondProviderIsRefusedAndChangesNothing) {
  ASSERT_TRUE(host.add(kTable));
  expect_error(host.add(kWithTrace), Error::kAlreadyRegistered);
  expect_error(host.add(kTable), Error::kAlreadyRegistered);
  guest.trace = 1;
  EXPECT_EQ(host.trace_interrupt(), 0u) << "the second one's hook is not there";
  EXPECT_TRUE(host.remove(kTable)) << "the first one still is";
}

TEST_F(GuestCallbacksTest, RemovingSomebodyElsesTableIsRefusedAndChangesNothing) {
  expect_error(host.remove(kTable), Error::kNotRegistered);
  ASSERT_TRUE(host.add(kTable));
  expect_error(host.remove(kSameAgain), Error::kNotRegistered);
  guest.state = kGuestActive;
  EXPECT_EQ(host.state(), kGuestActive);
  ASSERT_TRUE(host.remove(kTable));
  expect_error(host.remove(kTable), Error::kNotRegistered);
}

TEST_F(GuestCallbacksTest, ATableWithoutOneOfTheThreeIsRefused) {
  GuestCallbackTable table = kTable;
  table.state = nullptr;
  expect_error(host.add(table), Error::kIncomplete);
  table = kTable;
  table.ip = nullptr;
  expect_error(host.add(table), Error::kIncomplete);
  table = kTable;
  table.snapshot = nullptr;
  expect_error(host.add(table), Error::kIncomplete);
  EXPECT_EQ(host.state(), 0u);
  EXPECT_EQ(guest.calls, 0u);
}

TEST_F(GuestCallbacksTest, AnotherProviderMayComeWhenTheFirstIsGone) {
  ASSERT_TRUE(host.add(kTable));
  ASSERT_TRUE(host.remove(kTable));
  guest.state = kGuestActive;
  EXPECT_EQ(host.state(), 0u);
  EXPECT_EQ(guest.calls, 0u);
  ASSERT_TRUE(host.add(kWithTrace));
  EXPECT_EQ(host.state(), kGuestActive);
  ASSERT_TRUE(host.remove(kWithTrace));
}

TEST_F(GuestCallbacksTest, ErrorsHaveOneLineEach) {
  for (const Error error :
       {Error::kIncomplete, Error::kAlreadyRegistered, Error::kNotRegistered, Error::kInReader}) {
    EXPECT_GT(std::string{name(error)}.size(), 10u);
    EXPECT_EQ(std::string{name(error)}.find('\n'), std::string::npos);
  }
}

// ---- Trace interrupts ---------------------------------------------------------------------------

TEST_F(GuestCallbacksTest, TraceInterruptsAreTheHostsUnlessAHookTakesThem) {
  ASSERT_TRUE(host.add(kTable));
  EXPECT_EQ(host.trace_interrupt(), 0u);
  EXPECT_EQ(guest.calls, 0u);
  ASSERT_TRUE(host.remove(kTable));
  ASSERT_TRUE(host.add(kWithTrace));
  EXPECT_EQ(host.trace_interrupt(), 0u) << "the hook has left it to the host";
  guest.trace = 1;
  EXPECT_EQ(host.trace_interrupt(), 1u);
  ASSERT_TRUE(host.remove(kWithTrace));
  EXPECT_EQ(host.trace_interrupt(), 0u);
}

// ---- Readers ------------------------------------------------------------------------------------

TEST_F(GuestCallbacksTest, ThreadsThatAreNoReadersSeeTheHostAndAreCounted) {
  ASSERT_TRUE(host.add(kTable));
  guest.state = kGuestActive;
  std::thread{[this] {
    EXPECT_EQ(host.state(), 0u);
    EXPECT_EQ(host.snapshot().state, 0u);
    EXPECT_EQ(host.dropped(), 2u);
    const GuestCallbackReader now;
    EXPECT_EQ(host.state(), kGuestActive);
  }}.join();
  EXPECT_EQ(host.dropped(), 2u);
  ASSERT_TRUE(host.remove(kTable));
  std::thread{[this] { EXPECT_EQ(host.state(), 0u); }}.join();
  EXPECT_EQ(host.dropped(), 2u) << "nothing is lost while there is nobody to be asked";
}

TEST_F(GuestCallbacksTest, AThreadIsAReaderUntilTheLastOfItsReadersGoes) {
  ASSERT_TRUE(host.add(kTable));
  guest.state = kGuestActive;
  std::thread{[this] {
    auto outer = std::make_unique<GuestCallbackReader>();
    auto inner = std::make_unique<GuestCallbackReader>();
    outer.reset();
    EXPECT_EQ(host.state(), kGuestActive);
    inner.reset();
    EXPECT_EQ(host.state(), 0u);
  }}.join();
  ASSERT_TRUE(host.remove(kTable));
}

TEST_F(GuestCallbacksTest, ThreadsThatFindNoPlaceReadHostAndOthersGetTheirPlacesLater) {
  ASSERT_TRUE(host.add(kTable));
  guest.state = kGuestActive;
  std::atomic<unsigned> with_place = 0, without = 0, done = 0;
  std::atomic<bool> go_on = false;
  constexpr unsigned kMore = 3;
  constexpr unsigned kThreads = kReaderSlots - 1 + kMore;  // this thread has one
  std::vector<std::thread> threads;
  const auto work = [&] {
    const GuestCallbackReader place;
    ++(place.ok() ? with_place : without);
    ++done;
    done.notify_all();
    go_on.wait(false);
  };
  const auto let_go = [&] {
    go_on = true;
    go_on.notify_all();
    for (std::thread& thread : threads) thread.join();
  };
  try {
    for (unsigned n = 0; n < kThreads; ++n) threads.emplace_back(work);
  } catch (const std::system_error&) {
    let_go();
    ASSERT_TRUE(host.remove(kTable));
    GTEST_SKIP() << "no more than " << threads.size() << " threads are allowed here";
  }
  for (unsigned now = 0; (now = done) != kThreads;) done.wait(now);
  EXPECT_EQ(with_place, kReaderSlots - 1);
  EXPECT_EQ(without, kMore);
  std::thread{[this] {
    const GuestCallbackReader none;
    EXPECT_FALSE(none.ok());
    EXPECT_EQ(host.state(), 0u);
  }}.join();
  let_go();
  std::thread{[this] {
    const GuestCallbackReader place;
    EXPECT_TRUE(place.ok());
    EXPECT_EQ(host.state(), kGuestActive);
  }}.join();
  ASSERT_TRUE(host.remove(kTable));
}

TEST_F(GuestCallbacksTest, ACallbackMayBeInterruptedByAReader) {
  ASSERT_TRUE(host.add(kTable));
  guest.state = kGuestActive;
  unsigned depth = 0;
  guest.inside = [&] {
    if (++depth == 4) return;
    EXPECT_EQ(host.state(), kGuestActive);
  };
  EXPECT_EQ(host.state(), kGuestActive);
  EXPECT_EQ(guest.calls, 4u);
  ASSERT_TRUE(host.remove(kTable)) << "nobody is left inside";
}

TEST_F(GuestCallbacksTest, NobodyAddsOrRemovesFromInsideOfACallback) {
  ASSERT_TRUE(host.add(kTable));
  guest.state = kGuestActive;
  guest.inside = [&] {
    expect_error(host.remove(kTable), Error::kInReader);
    expect_error(host.add(kWithTrace), Error::kInReader);
  };
  EXPECT_EQ(host.state(), kGuestActive);
  EXPECT_EQ(host.state(), kGuestActive) << "it is still there";
  ASSERT_TRUE(host.remove(kTable));
}

TEST_F(GuestCallbacksTest, RemoveWaitsForAReaderOnAnotherThread) {
  ASSERT_TRUE(host.add(kWithTrace));
  guest.trace = 1;
  const std::thread::id test_thread = std::this_thread::get_id();
  std::atomic<bool> inside = false, go_on = false, removed = false;
  guest.inside = [&] {
    if (std::this_thread::get_id() == test_thread) return;
    inside = true;
    while (!go_on) std::this_thread::yield();
    EXPECT_FALSE(removed);
  };
  std::thread other{[&] {
    const GuestCallbackReader mine;
    static_cast<void>(host.state());
  }};
  while (!inside) std::this_thread::yield();
  std::thread writer{[&] {
    EXPECT_TRUE(host.remove(kWithTrace));
    removed = true;
  }};
  // Taken back is seen at once, with the reader still inside.
  while (host.trace_interrupt() != 0) std::this_thread::yield();
  EXPECT_FALSE(removed);
  go_on = true;
  other.join();
  writer.join();
  EXPECT_TRUE(removed);
}

// ---- Signals ------------------------------------------------------------------------------------

class SignalHandler {
 public:
  explicit SignalHandler(std::function<void()> body) {
    body_ = std::move(body);
    struct sigaction action {};
    action.sa_handler = [](int) { body_(); };
    sigaction(SIGUSR1, &action, &before_);
  }
  ~SignalHandler() { sigaction(SIGUSR1, &before_, nullptr); }
  SignalHandler(const SignalHandler&) = delete;
  SignalHandler& operator=(const SignalHandler&) = delete;

 private:
  static inline std::function<void()> body_;
  struct sigaction before_ {};
};

TEST_F(GuestCallbacksTest, SignalHandlersReadInsideOfReadersOfTheirThread) {
  ASSERT_TRUE(host.add(kTable));
  guest.state = kGuestActive;
  guest.ip = 0x1234;
  unsigned seen = 0;
  const SignalHandler handler{[&] {
    guest.inside = nullptr;
    seen += host.snapshot().ip == 0x1234 ? 1 : 0;
  }};
  guest.inside = [] { raise(SIGUSR1); };
  EXPECT_EQ(host.state(), kGuestActive);
  raise(SIGUSR1);
  EXPECT_EQ(seen, 2u);
  ASSERT_TRUE(host.remove(kTable));
}

TEST_F(GuestCallbacksTest, ReadingLeavesErrnoAlone) {
  ASSERT_TRUE(host.add(kTable));
  errno = ENOTTY;
  static_cast<void>(host.snapshot());
  std::thread{[this] {
    errno = EXDEV;
    static_cast<void>(host.snapshot());
    EXPECT_EQ(errno, EXDEV);
  }}.join();
  EXPECT_EQ(errno, ENOTTY);
  ASSERT_TRUE(host.remove(kTable));
}

// ---- Fork ---------------------------------------------------------------------------------------

/// What `child` gives, run in a child of this process: 0 if all is well.
int in_child(const std::function<int()>& child) {
  const pid_t pid = fork();
  if (pid == 0) _exit(child());
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(GuestCallbacksTest, AChildHasTheProviderAndWaitsForNoneOfTheParentsReaders) {
  ASSERT_TRUE(host.add(kTable));
  std::atomic<bool> inside = false, go_on = false;
  guest.state = kGuestActive;
  guest.inside = [&] {
    inside = true;
    while (!go_on) std::this_thread::yield();
  };
  std::thread other{[&] {
    const GuestCallbackReader mine;
    static_cast<void>(host.state());
  }};
  while (!inside) std::this_thread::yield();
  const int status = in_child([&] {
    alarm(20);
    guest.inside = nullptr;
    if (host.state() != kGuestActive) return 1;
    if (!host.remove(kTable)) return 2;
    if (host.state() != 0) return 3;
    return host.add(kWithTrace) ? 0 : 4;
  });
  EXPECT_EQ(status, 0);
  go_on = true;
  other.join();
  EXPECT_TRUE(host.remove(kTable)) << "what a child does is its own";
}

TEST_F(GuestCallbacksTest, AChildMadeWhileSomebodyAddsAndRemovesCanDoSo) {
  constexpr unsigned kChildren = 100;
  std::atomic<bool> over = false;
  std::thread writer{[&] {
    GuestCallbacks another;
    while (!over) {
      EXPECT_TRUE(another.add(kTable));
      EXPECT_TRUE(another.remove(kTable));
    }
  }};
  for (unsigned n = 0; n < kChildren; ++n) {
    const int status = in_child([&] {
      alarm(20);
      return host.add(kTable) && host.remove(kTable) ? 0 : 1;
    });
    ASSERT_EQ(status, 0);
  }
  over = true;
  writer.join();
}

// ---- Without membarrier -------------------------------------------------------------------------

TEST_F(GuestCallbacksTest, MembarrierMayBeTakenAwayWhenThereAreReaders) {
  constexpr int kCannotDeny = 77;
  ASSERT_TRUE(host.add(kTable));
  const int status = in_child([&] {
    alarm(20);
    guest.state = kGuestActive;
    if (!test::deny_membarrier()) return kCannotDeny;
    if (!host.remove(kTable)) return 1;
    if (host.state() != 0) return 2;
    if (!host.add(kTable)) return 3;
    if (host.state() != kGuestActive) return 4;
    return host.remove(kTable) ? 0 : 5;
  });
  if (status == kCannotDeny) GTEST_SKIP() << "system calls cannot be denied here";
  EXPECT_EQ(status, 0);
  ASSERT_TRUE(host.remove(kTable));
}

// ---- State first, then ip -----------------------------------------------------------------------

#ifndef NDEBUG
using GuestCallbacksDeathTest = GuestCallbacksTest;

TEST_F(GuestCallbacksDeathTest, AskingForAnAddressWithoutAGuestIsAnError) {
  ASSERT_TRUE(host.add(kTable));
  EXPECT_EQ(host.state(), 0u);
  EXPECT_DEATH(static_cast<void>(host.ip()), "state first");
  ASSERT_TRUE(host.remove(kTable));
}
#endif

}  // namespace
}  // namespace vpmu::hostperf
