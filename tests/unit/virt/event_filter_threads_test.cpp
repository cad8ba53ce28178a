// SPDX-License-Identifier: MIT
//
// Filters that change while others decide by them. Readers see one whole filter at a time, never
// one that was replaced before they asked, and never memory that has been freed:
// numbered_filters.hpp says how that is seen. The same checks find publications that are done
// wrongly. To be run with -fsanitize=thread too, which sees what only might have gone wrong.
#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "unit/virt/fake_host_perf.hpp"
#include "unit/virt/numbered_filters.hpp"
#include "unit/virt/pmu_fixture.hpp"
#include "vpmu/virt/x86/event_filter_slot.hpp"

namespace vpmu::virt::x86 {
namespace {

constexpr std::uint32_t kPublications = 100'000;

/// Threads that do something again and again until the test ends. It begins when each of them has
/// done it once; once more each of them does it behind the end.
class Crew {
 public:
  template <class Turn>
  void add(Turn turn) {
    threads_.emplace_back([this, turn]() mutable {
      turn();
      ++ready_;
      while (!over_.load(std::memory_order_acquire)) {
        turn();
        std::this_thread::yield();
      }
      turn();
    });
  }
  void wait_until_ready() const {
    while (ready_.load() < threads_.size()) std::this_thread::yield();
  }
  void finish() {
    over_.store(true, std::memory_order_release);
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::vector<std::thread> threads_;
  std::atomic<std::size_t> ready_ = 0;
  std::atomic<bool> over_ = false;
};

// ---- Readers and a writer -----------------------------------------------------------------------

TEST(EventFilterThreads, ReadersSeeOneWholeFilterAndNeverOneThatWasReplaced) {
  EventFilterSlot slot;
  Watch watch;
  std::atomic<int> torn = 0, stale = 0, not_a_filter = 0;
  const auto note = [&](Fault fault) {
    torn += fault == Fault::kTorn ? 1 : 0;
    stale += fault == Fault::kStale ? 1 : 0;
    not_a_filter += fault == Fault::kNotAFilter ? 1 : 0;
  };
  Crew readers;
  for (unsigned n = 0; n < 2; ++n) {
    readers.add([&, seed = n]() mutable {
      note(watch.read(slot, seed));
      note(watch.ask(slot, seed));
      seed += 7;
    });
  }
  readers.wait_until_ready();
  for (std::uint32_t number = 1; number <= kPublications; ++number) watch.publish(slot, number);
  readers.finish();
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(stale, 0);
  EXPECT_EQ(not_a_filter, 0);
}

TEST(EventFilterThreads, PublicationReturnsWhenNobodyIsInsideTheOldFilter) {
  EventFilterSlot slot;
  Watch watch;
  watch.publish(slot, 1);
  std::atomic<bool> returned = false;
  std::thread writer;
  const Fault fault = watch.read(slot, 0, [&] {
    writer = std::thread{[&] {
      watch.publish(slot, 2);
      returned = true;
    }};
    const auto number = [](const EventFilter* filter) { return filter->image().fixed_bitmap; };
    while (slot.read(number) != 2) std::this_thread::yield();
    EXPECT_FALSE(returned) << "the new filter is there, and the old one still in use";
  });
  EXPECT_EQ(fault, Fault::kNone) << "the old filter is whole until this section ends";
  writer.join();
  EXPECT_TRUE(returned);
  EXPECT_EQ(watch.read(slot, 0), Fault::kNone);
}

// ---- vCPUs --------------------------------------------------------------------------------------

class ThreadSafeSink final : public PmiSink {
 public:
  PmiOutcome raise_pmi(LvtpcAfterPmi) override { return PmiOutcome::kDelivered; }
  void request_entry_work() override { ++requests; }
  std::atomic<std::uint64_t> requests = 0;
};

/// A vCPU whose guest counts the watch's first questions, one on each of its counters.
class Vcpu {
 public:
  Vcpu(const Watch& watch, EventFilterSlot& slot) : watch_{watch}, slot_{slot} {
    for (unsigned i = 0; i < kVersion2.gp_counters; ++i) {
      const silicon::x86::EventSelector event = watch.filters.question(i);
      write(0x186 + i, std::uint64_t{event.unit_mask} << 8 | event.event | 0x53'0000);
    }
    slot.attach(pmu_);
  }
  ~Vcpu() { slot_.detach(pmu_); }
  Vcpu(const Vcpu&) = delete;
  Vcpu& operator=(const Vcpu&) = delete;

  /// Comes by, looks which of its counters count, and runs on. What is said of them must be true of
  /// the filter that was in force, if it did not change meanwhile.
  void turn() {
    const std::uint32_t number = watch_.done();
    if (pmu_.has_entry_work()) pmu_.before_entry();
    bool right = true;
    for (unsigned i = 0; i < kVersion2.gp_counters; ++i) {
      const bool counts = pmu_.status(gp_counter(i)) == CounterStatus::kCounting;
      right = right && counts == watch_.filters.answer(number, i);
    }
    if (!right && watch_.begun() == number) ++faults_;
    perf_.count(1);
    write(0xc1 + turns_ % kVersion2.gp_counters, turns_);
    pmu_.instruction_emulated(EmulatedInstruction::kPlain, silicon::Privilege::kKernel);
    ++turns_;
  }
  /// Leaves the VM for a moment.
  void come_and_go() {
    slot_.detach(pmu_);
    pmu_.before_entry();
    if (pmu_.status(gp_counter(0)) != CounterStatus::kCounting) ++faults_;
    slot_.attach(pmu_);
    pmu_.before_entry();
  }

  [[nodiscard]] int faults() const { return faults_; }

 private:
  void write(std::uint32_t index, std::uint64_t value) {
    if (pmu_.write_msr(MsrIndex{index}, value, Initiator::kGuest).is_done()) pmu_.before_entry();
  }

  const Watch& watch_;
  EventFilterSlot& slot_;
  hostperf::FakeHostPerf perf_;
  ThreadSafeSink sink_;
  Pmu pmu_{kVersion2, perf_, hostperf::VcpuIndex{0}, sink_};
  std::uint64_t turns_ = 0;
  int faults_ = 0;
};

TEST(EventFilterThreads, ChangeIsInForceBeforeEachVcpusNextInstruction) {
  constexpr std::uint32_t kChanges = kPublications / 10;
  EventFilterSlot slot;
  Watch watch;
  Vcpu stays{watch, slot}, comes_and_goes{watch, slot};
  Crew vcpus;
  vcpus.add([&] { stays.turn(); });
  vcpus.add([&, turns = 0u]() mutable {
    comes_and_goes.turn();
    if (++turns % 64 == 0) comes_and_goes.come_and_go();
  });
  vcpus.wait_until_ready();
  for (std::uint32_t number = 1; number <= kChanges; ++number) watch.publish(slot, number);
  vcpus.finish();
  EXPECT_EQ(stays.faults(), 0);
  EXPECT_EQ(comes_and_goes.faults(), 0);
}

// ---- Publications that are done wrongly ---------------------------------------------------------

void* memory_of(const EventFilter& filter) {
  return const_cast<void*>(static_cast<const void*>(&filter));
}

class BrokenSlot {
 public:
  template <class Look>
  auto read(Look&& look) const {
    return look(filter_.get());
  }

 protected:
  std::unique_ptr<const EventFilter> filter_;
};

/// No grace period. What would be freed is overwritten, so that it can be looked at; but for the
/// pointer to its virtual functions, on which sanitizers insist.
class FreesAtOnce : public BrokenSlot {
 public:
  void publish(std::unique_ptr<const EventFilter> filter) {
    auto old = std::exchange(filter_, std::move(filter));
    if (old == nullptr) return;
    std::memset(static_cast<std::byte*>(memory_of(*old)) + sizeof(void*), 0xdd,
                sizeof *old - sizeof(void*));
    graves_.push_back(std::move(old));
  }

 private:
  std::vector<std::unique_ptr<const EventFilter>> graves_;
};

/// One filter for ever, which is changed under its readers.
class ChangesInPlace : public BrokenSlot {
 public:
  void publish(std::unique_ptr<const EventFilter> filter) {
    if (filter_ == nullptr) {
      filter_ = std::move(filter);
      return;
    }
    // As far as a copy had got: the first half.
    std::memcpy(memory_of(*filter_), memory_of(*filter), sizeof(EventFilter) / 2);
  }
};

/// Published, but readers go on with the one they know.
class KeepsTheOld : public BrokenSlot {
 public:
  void publish(std::unique_ptr<const EventFilter> filter) {
    (filter_ == nullptr ? filter_ : kept_back_) = std::move(filter);
  }
  [[nodiscard]] bool admits(silicon::x86::EventSelector event) const {
    return filter_->admits(event);
  }

 private:
  std::unique_ptr<const EventFilter> kept_back_;
};

/// Each question is answered by the filter of its moment.
class AsksAnew {
 public:
  struct View {
    [[nodiscard]] const FilterImage& image() const { return now->image(); }
    [[nodiscard]] bool admits(silicon::x86::EventSelector event) const {
      const bool admitted = now->admits(event);
      if (++questions == 2) now = next;
      return admitted;
    }
    [[nodiscard]] bool admits_fixed(unsigned k) const { return now->admits_fixed(k); }
    mutable const EventFilter* now;
    const EventFilter* next;
    mutable int questions = 0;
  };
  void publish(std::unique_ptr<const EventFilter> filter) { filters_.push_back(std::move(filter)); }
  template <class Look>
  auto read(Look&& look) const {
    const View view{filters_[filters_.size() - 2].get(), filters_.back().get()};
    return look(&view);
  }

 private:
  std::vector<std::unique_ptr<const EventFilter>> filters_;
};

TEST(EventFilterWatch, SeesAFilterThatIsFreedUnderItsReader) {
  FreesAtOnce slot;
  Watch watch;
  watch.publish(slot, 1);
  EXPECT_EQ(watch.read(slot, 0), Fault::kNone);
  EXPECT_EQ(watch.read(slot, 0, [&] { watch.publish(slot, 2); }), Fault::kNotAFilter);
}

TEST(EventFilterWatch, SeesAFilterThatIsChangedUnderItsReader) {
  ChangesInPlace slot;
  Watch watch;
  watch.publish(slot, 1);
  EXPECT_EQ(watch.read(slot, 0), Fault::kNone);
  EXPECT_EQ(watch.read(slot, 0, [&] { watch.publish(slot, 2); }), Fault::kTorn);
}

TEST(EventFilterWatch, SeesAnswersOfTwoFilters) {
  AsksAnew slot;
  Watch watch;
  watch.publish(slot, 1);
  watch.publish(slot, 1);
  EXPECT_EQ(watch.read(slot, 0), Fault::kNone);
  watch.publish(slot, 2);
  EXPECT_EQ(watch.read(slot, 0), Fault::kTorn);
}

TEST(EventFilterWatch, SeesAFilterThatWasReplacedBefore) {
  KeepsTheOld slot;
  Watch watch;
  watch.publish(slot, 1);
  EXPECT_EQ(watch.read(slot, 0), Fault::kNone);
  EXPECT_EQ(watch.ask(slot, 0), Fault::kNone);
  watch.publish(slot, 2);
  EXPECT_EQ(watch.read(slot, 0), Fault::kStale);
  EXPECT_EQ(watch.ask(slot, 0), Fault::kStale);
}

TEST(EventFilterWatch, FiltersThatFollowOneAnotherNeverAgree) {
  const NumberedFilters filters;
  for (std::uint32_t number = 1; number + 1 < NumberedFilters::kNoFilterEvery; ++number) {
    const auto one = filters.make(number), next = filters.make(number + 1);
    for (unsigned selector = 0; selector < 0x10000; selector += 17) {
      const silicon::x86::EventSelector event{static_cast<std::uint16_t>(selector & 0xff),
                                              static_cast<std::uint8_t>(selector >> 8)};
      ASSERT_NE(one->admits(event), next->admits(event)) << number << " " << selector;
    }
    for (unsigned i = 0; i < NumberedFilters::kQuestions; ++i) {
      ASSERT_EQ(one->admits(filters.question(i)), filters.answer(number, i));
    }
  }
}

}  // namespace
}  // namespace vpmu::virt::x86
