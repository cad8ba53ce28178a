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

#include "unit/virt/fake_pv_perf_host.hpp"
#include "virt/x86/pv_perf_page.hpp"

namespace vpmu::virt::x86 {
namespace {

constexpr std::uint64_t kPage = 0x3000;
/// Until the other thread has done something that often, or the host this much.
constexpr std::uint64_t kTurns = 500, kMost = 5'000'000;

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
