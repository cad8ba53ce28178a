// SPDX-License-Identifier: MIT
//
// PV perf while others are at its page: vCPUs that read what the host publishes, guests that change
// their commands while the host reads them, vCPUs that want the same page. To be run with
// -fsanitize=thread too.
#include <array>
#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "unit/virt/pv_perf_fixture.hpp"
#include "virt/x86/pv_perf_page.hpp"

namespace vpmu::virt::x86 {
namespace {

constexpr std::uint64_t kPage = 0x3000;
/// Until the other thread has done something that often, or the host this much.
constexpr std::uint64_t kTurns = 300, kMost = 100'000;

PvPerfConfig with_page(std::uint8_t events) {
  PvPerfConfig config;
  config.features.set(pv::Features::kPvPerf, 1);
  config.features.set(pv::Features::kArea, 1);
  config.features.set(pv::Features::kBatch, 1);
  config.events = events;
  config.width = 48;
  return config;
}

/// Does something again and again on a thread of its own, until it is gone; once at least.
class Meanwhile {
 public:
  template <class Turn>
  explicit Meanwhile(Turn turn)
      : thread_{[this, turn]() mutable {
          do {
            turn();
            std::this_thread::yield();
          } while (!over_.load(std::memory_order_acquire));
          turn();
        }} {}
  ~Meanwhile() {
    over_.store(true, std::memory_order_release);
    thread_.join();
  }
  Meanwhile(const Meanwhile&) = delete;
  Meanwhile& operator=(const Meanwhile&) = delete;

 private:
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

/// A guest's view of the page, as the ABI tells readers on other vCPUs to read it.
class Reader {
 public:
  explicit Reader(std::uint8_t* page) : page_{page} {}

  /// The `n` words at `offset`, of one publication; none: a thousand tries have failed.
  template <std::size_t n>
  std::optional<std::array<std::uint64_t, n>> read(std::size_t offset) {
    for (int tries = 0; tries < 1000; ++tries) {
      const std::uint32_t seq = word<std::uint32_t>(0).load(std::memory_order_acquire);
      if (seq % 2 != 0) continue;
      std::array<std::uint64_t, n> words;
      for (std::size_t i = 0; i < n; ++i) {
        words[i] = word<std::uint64_t>(offset + i * 8).load(std::memory_order_relaxed);
      }
      std::atomic_thread_fence(std::memory_order_acquire);
      if (word<std::uint32_t>(0).load(std::memory_order_relaxed) == seq) return words;
    }
    return std::nullopt;
  }

 private:
  template <class Word>
  std::atomic_ref<Word> word(std::size_t offset) {
    return std::atomic_ref<Word>{*static_cast<Word*>(static_cast<void*>(page_ + offset))};
  }
  std::uint8_t* page_;
};

// ---- Readers on other vCPUs ---------------------------------------------------------------------

/// Every number of the `n`-th publication is `n`, times the event's.
PvPerfPage::Content nth_content(std::uint64_t n) {
  PvPerfPage::Content content;
  content.global_ctrl = n;
  content.global_status = n;
  for (std::uint64_t i = 0; i < pv::kMaxEvents; ++i) {
    const std::uint64_t value = n * (i + 1);
    content.events[i] = {.count = value,
                         .time_enabled = value,
                         .time_running = value,
                         .rdpmc_offset = value,
                         .rdpmc_index = 0,
                         .rdpmc_width = 0,
                         .state = 0,
                         .evtsel = value};
  }
  return content;
}

TEST(PvPerfThreads, ReadersSeeEachPublicationWholeAndNoneAgainThatWasReplaced) {
  FakePvPerfHost host;
  PvPerfAreas areas;
  const PvPerfConfig config = with_page(pv::kMaxEvents);
  PvPerfPage page{config, hostperf::VcpuIndex{0}, host, areas};
  ASSERT_TRUE(page.set_area({{kPage | 1}}));
  ASSERT_TRUE(page.publish(nth_content(0)));

  std::uint64_t torn = 0, backwards = 0, newest = 0, published = 0;
  std::atomic<std::uint64_t> readings = 0;
  {
    const Meanwhile reading{[&, reader = Reader{host.bytes(GuestPhysical{kPage})}]() mutable {
      // From global_ctrl to the end of the last record.
      constexpr std::size_t kFirst = 0x08 / 8, kRecords = 0x100 / 8, kRecordWords = 48 / 8;
      const auto words = reader.read<0x700 / 8 - kFirst>(kFirst * 8);
      if (!words) return;
      const std::uint64_t n = (*words)[0];
      bool whole = (*words)[1] == n;
      for (std::size_t i = 0; i < pv::kMaxEvents; ++i) {
        for (const std::size_t field : {0, 1, 2, 3, 5}) {
          whole &= (*words)[kRecords - kFirst + i * kRecordWords + field] == n * (i + 1);
        }
      }
      torn += whole ? 0 : 1;
      backwards += n < newest ? 1 : 0;
      newest = n;
      ++readings;
    }};
    while (readings < kTurns && published < kMost) {
      ASSERT_TRUE(page.publish(nth_content(++published)));
    }
  }
  EXPECT_EQ(torn, 0u);
  EXPECT_EQ(backwards, 0u);
  EXPECT_EQ(newest, published);
}

// ---- Guests that change their commands ----------------------------------------------------------

TEST(PvPerfThreads, CommandsThatChangeMeanwhileAreOldOrNewInEachField) {
  FakePvPerfHost host;
  PvPerfAreas areas;
  const PvPerfConfig config = with_page(pv::kMaxEvents);
  PvPerfPage page{config, hostperf::VcpuIndex{0}, host, areas};
  ASSERT_TRUE(page.set_area({{kPage | 1}}));

  constexpr std::uint64_t kOld = 0x0123'4567'89ab'cdef, kNew = ~kOld;
  const auto write_all = [&](std::uint64_t value) {
    for (std::uint64_t offset = 0x800; offset < 0xc00; offset += 8) {
      std::atomic_ref{host.word(GuestPhysical{kPage + offset})}.store(value,
                                                                      std::memory_order_relaxed);
    }
  };
  write_all(kOld);
  std::uint64_t mixed = 0;
  std::atomic<std::uint64_t> scribbles = 0;
  {
    const Meanwhile scribbling{[&, value = kNew]() mutable {
      write_all(value);
      value = ~value;
      ++scribbles;
    }};
    for (std::uint64_t n = 0; scribbles < kTurns && n < kMost; ++n) {
      PvPerfPage::Commands commands;
      ASSERT_TRUE(page.load(0xffff'ffff, commands));
      for (const pv::CommandRecord& command : commands) {
        const std::uint64_t flags = command.flags | std::uint64_t{command.pad} << 32;
        for (const std::uint64_t field : {command.evtsel, command.count, command.period, flags}) {
          mixed += field == kOld || field == kNew ? 0 : 1;
        }
      }
    }
  }
  EXPECT_EQ(mixed, 0u);
}

// ---- The same through registers -----------------------------------------------------------------

class PvPerfMeanwhile : public PvPerfOnFakePerf {
 protected:
  PvPerfMeanwhile() { write(pv::Msr::kArea, kPage | 1); }

  std::atomic_ref<std::uint64_t> word(std::size_t offset) {
    return std::atomic_ref{host.word(GuestPhysical{kPage + offset})};
  }
  static constexpr std::size_t offset_of_command(unsigned i) {
    return offsetof(pv::Page, commands) + i * sizeof(pv::CommandRecord);
  }
  void put(unsigned i, const pv::CommandRecord& command) {
    host.put(kPage + offset_of_command(i), command);
  }
  void batch(std::uint64_t value) { write(pv::Msr::kBatch, value); }
};

constexpr std::uint64_t kStop = std::uint64_t{1} << 32, kLoad = std::uint64_t{1} << 33,
                        kStart = std::uint64_t{1} << 34, kSnap = std::uint64_t{1} << 35;

TEST_F(PvPerfMeanwhile, CountTimeAndStatusThatAreReadTogetherBelongTogether) {
  constexpr std::uint64_t kPeriod = 1000;
  // Each step is one count and one nanosecond; the second event wraps every thousand of them.
  put(0, {.evtsel = kInstructions.raw, .count = 0, .period = 0, .flags = 7, .pad = 0});
  put(1, {.evtsel = kInstructions.raw,
          .count = kTurn - kPeriod,
          .period = kPeriod,
          .flags = 7,
          .pad = 0});
  batch(kLoad | kStart | 0b11);
  std::uint64_t torn = 0, wrong_status = 0;
  std::atomic<std::uint64_t> readings = 0;
  std::uint64_t published = 0;
  {
    const Meanwhile reading{[&, reader = Reader{host.bytes(GuestPhysical{kPage})}]() mutable {
      constexpr std::size_t kStatus = 0x10 / 8, kFirst = 0x100 / 8, kSecond = kFirst + 48 / 8;
      const auto words = reader.read<kSecond + 48 / 8>(0);
      if (!words) return;
      const std::uint64_t count = (*words)[kFirst], enabled = (*words)[kFirst + 1],
                          running = (*words)[kFirst + 2];
      torn += count == enabled && count == running ? 0 : 1;
      // GLOBAL_STATUS is never reset here.
      wrong_status += (*words)[kStatus] == (count >= kPeriod ? 0b10 : 0) ? 0 : 1;
      torn += (*words)[kSecond] == kTurn - kPeriod + count % kPeriod ? 0 : 1;
      ++readings;
    }};
    for (; readings < kTurns && published < kMost; ++published) {
      host.now += 3;
      perf.count(3);
      pv->before_entry();
      batch(kSnap);
    }
  }
  EXPECT_EQ(torn, 0u);
  EXPECT_EQ(wrong_status, 0u);
}

TEST_F(PvPerfMeanwhile, CommandsThatChangeMeanwhileAreLoadedAsCopiedOrNotAtAll) {
  constexpr unsigned kEvents = 4;
  constexpr std::uint64_t kCounts[] = {10, 20, ~std::uint64_t{0}}, kPeriods[] = {0, 30'000, kTurn};
  const std::uint64_t kEvtsels[] = {kInstructions.raw, kCycles.raw, 4};
  const auto put_words = [&](unsigned i, std::size_t which) {
    const std::size_t begin = offset_of_command(i);
    word(begin).store(kEvtsels[which], std::memory_order_relaxed);
    word(begin + 8).store(kCounts[which], std::memory_order_relaxed);
    word(begin + 16).store(kPeriods[which], std::memory_order_relaxed);
    // Sets all; the third is a reserved flag.
    word(begin + 24).store(which == 2 ? 8 : 7, std::memory_order_relaxed);
  };
  for (unsigned i = 0; i < kEvents; ++i) put_words(i, 0);
  batch(kLoad | 0b1111);

  const auto is_one_of = [](std::uint64_t value, const std::uint64_t(&good)[3]) {
    return value == good[0] || value == good[1];
  };
  const auto registers = [&] {
    std::vector<std::uint64_t> values;
    for (unsigned i = 0; i < kEvents; ++i) {
      values.push_back(read(i, pv::BankMsr::kEvtsel));
      values.push_back(read(i, pv::BankMsr::kCount));
      values.push_back(read(i, pv::BankMsr::kPeriod));
    }
    return values;
  };
  std::atomic<std::uint64_t> scribbles = 0;
  std::uint64_t mixed = 0, changed_though_refused = 0, results = 0;
  {
    const Meanwhile scribbling{[&, random = 1u]() mutable {
      random = random * 1664525 + 1013904223;
      const std::uint32_t which = random >> 16 & 0xf;
      put_words(random >> 28 & 3, which == 0 ? 2 : which & 1);
      ++scribbles;
    }};
    for (std::uint64_t n = 0; scribbles < kTurns && n < kMost; ++n) {
      const auto before = registers();
      const std::uint64_t refused = pv->statistics().batches_refused;
      batch(kLoad | 0b1111);
      const auto after = registers();
      for (std::size_t i = 0; i < after.size(); i += 3) {
        mixed += is_one_of(after[i], kEvtsels) && is_one_of(after[i + 1], kCounts) &&
                         is_one_of(after[i + 2], kPeriods)
                     ? 0
                     : 1;
      }
      const bool was_refused = pv->statistics().batches_refused != refused;
      changed_though_refused += was_refused && before != after ? 1 : 0;
      const std::uint64_t result = word(0x28).load(std::memory_order_relaxed) >> 32;
      const std::uint64_t code = result & 0xffff, id = result >> 16;
      results +=
          was_refused ? (code != 0 && id < kEvents ? 0 : 1) : (result == 0xffff'0000 ? 0 : 1);
    }
  }
  EXPECT_EQ(mixed, 0u);
  EXPECT_EQ(changed_though_refused, 0u);
  EXPECT_EQ(results, 0u);
}

/// Another vCPU of the guest writes anything anywhere into the page, all the time; now and then
/// something that can be loaded.
TEST_F(PvPerfMeanwhile, AScribbledPageNeverMattersToTheHost) {
  constexpr std::size_t kHeader = offsetof(pv::Page, command), kHeaderEnd = 0x80;
  constexpr std::size_t kFlags = offsetof(pv::CommandRecord, flags);
  std::atomic<std::uint64_t> scribbles = 0;
  {
    const Meanwhile scribbling{[&, random = std::uint64_t{1}]() mutable {
      const bool can_be_loaded = scribbles % 4 != 0;
      for (std::size_t offset = 0; offset < sizeof(pv::Page); offset += 8) {
        random = random * 6364136223846793005 + 1442695040888963407;
        std::uint64_t value = random;
        if (can_be_loaded && offset >= kHeader && offset < kHeaderEnd) value = 0;
        if (can_be_loaded && offset >= offset_of_command(0)) {
          value = offset % sizeof(pv::CommandRecord) == kFlags ? random >> 61 : random >> 62 << 8;
        }
        word(offset).store(value, std::memory_order_relaxed);
      }
      ++scribbles;
    }};
    constexpr std::uint64_t kOperations[] = {kStop | kLoad, kLoad | kStart, kStart, kSnap};
    for (std::uint64_t n = 0; scribbles < kTurns && n < kMost; ++n) {
      batch(kOperations[n % 4] | 0xff);
      host.now += 100;
      perf.count(100);
      pv->before_entry();
    }
  }
  host.fill(kPage, sizeof(pv::Page), 0);
  batch(kSnap);
  const auto page = host.get<pv::Page>(kPage);
  EXPECT_EQ(page.header.seq % 2, 0u);
  for (unsigned i = 0; i < 8; ++i) {
    EXPECT_EQ(page.events[i].evtsel, read(i, pv::BankMsr::kEvtsel));
    EXPECT_EQ(page.events[i].count, count(i));
    EXPECT_LT(count(i), kTurn);
  }
}

// ---- A filter that somebody else changes --------------------------------------------------------

class SwitchedGate final : public EventGate {
 public:
  [[nodiscard]] bool admits(silicon::x86::EventSelector) const override { return open; }
  [[nodiscard]] bool admits_fixed(unsigned) const override { return open; }
  std::atomic<bool> open = true;
};

TEST_F(PvPerfOnFakePerf, FilterChangesAtAnyMomentAndFromThenOnHolds) {
  SwitchedGate gate;
  pv->set_event_gate(&gate);
  select(0, kInstructions);
  write(pv::Msr::kGlobalCtrl, 1);
  for (const bool last : {false, true}) {
    std::atomic<std::uint64_t> changes = 0;
    {
      const Meanwhile filter{[&, open = !last]() mutable {
        gate.open = open;
        pv->gate_changed();
        open = !open;
        ++changes;
      }};
      for (std::uint64_t n = 0; changes < kTurns && n < kMost; ++n) {
        if (pv->has_entry_work()) pv->before_entry();
        perf.count(1);
        const CounterStatus status = pv->status(0);
        ASSERT_TRUE(status == CounterStatus::kCounting || status == CounterStatus::kDenied);
      }
    }
    gate.open = last;
    pv->gate_changed();
    ASSERT_TRUE(pv->has_entry_work());
    pv->before_entry();
    EXPECT_EQ(pv->status(0), last ? CounterStatus::kCounting : CounterStatus::kDenied);
    const std::uint64_t before = count(0);
    count_more(5);
    EXPECT_EQ(count(0) - before, last ? 5u : 0u);
  }
}

// ---- vCPUs that want the same page --------------------------------------------------------------

TEST(PvPerfThreads, NoTwoVcpusHaveTheSamePageAtTheSameTime) {
  constexpr unsigned kVcpus = 4, kPages = 3;
  PvPerfAreas areas;
  /// Who has it, plus one. Taken behind a claim, left before the next.
  std::array<std::atomic<unsigned>, kPages> owner{};
  std::atomic<std::uint64_t> shared = 0, had = 0;
  std::vector<std::thread> threads;
  for (unsigned v = 0; v < kVcpus; ++v) {
    threads.emplace_back([&, v] {
      const hostperf::VcpuIndex vcpu{v};
      std::uint32_t random = v * 2654435761u + 1;
      std::optional<unsigned> own;
      for (int n = 0; n < 20'000; ++n) {
        random = random * 1664525 + 1013904223;
        const unsigned wanted = random >> 16 & 3;
        if (wanted == kPages) {
          if (own) owner[*own] = 0;
          own.reset();
          areas.release(vcpu);
          continue;
        }
        // What it has stays its own if it does not get the other one; if it does, somebody else
        // may take it at once.
        if (own) owner[*own] = 0;
        if (areas.claim(vcpu, GuestPhysical{std::uint64_t{wanted} << 12})) own = wanted;
        if (!own) continue;
        ++had;
        shared += owner[*own].exchange(v + 1) == 0 ? 0 : 1;
      }
      if (own) owner[*own] = 0;
      areas.release(vcpu);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shared, 0u);
  EXPECT_GT(had, 0u);
}

}  // namespace
}  // namespace vpmu::virt::x86
