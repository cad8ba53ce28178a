// SPDX-License-Identifier: MIT
//
// What a guest's access to PV perf costs from the exit to the entry, on the modelled host perf: the
// CPU around it is not in these numbers. Each also reports the allocations that it made while it
// was measured, and how many of its events were on a counter while they were started.
//
// A host CPU has eight counters for any event and three for one each, so of 32 events most wait.
// What 32 cost that all count is measured on four such PMUs.
#include "vpmu/virt/x86/pv_perf.hpp"

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

#include <benchmark/benchmark.h>

#include "bench/support/modelled_perf.hpp"
#include "bench/support/pmu_access.hpp"

namespace vpmu::bench {

namespace {

using silicon::RawEvent;
using virt::x86::PvPerf;
using virt::x86::PvPerfAreas;
using virt::x86::PvPerfConfig;
using virt::x86::PvPerfHost;
using virt::x86::PvPerfRequest;
namespace pv = virt::x86::pv;

constexpr std::uint64_t kPage = 0x1000;
constexpr std::uint64_t kStop = pv::Batch::kStop.kMask, kLoad = pv::Batch::kLoad.kMask,
                        kStart = pv::Batch::kStart.kMask, kSnap = pv::Batch::kSnap.kMask;

/// One page of RAM, time that a benchmark lets pass, and an APIC that accepts.
class SmallHost final : public PvPerfHost {
 public:
  std::uint64_t now_ns() override { return now; }
  std::uint64_t guest_tsc() override { return now * 2; }
  bool read_ram(GuestPhysical address, std::span<std::uint64_t> words) override {
    if (raw(address) - kPage >= sizeof page_) return false;
    const std::size_t first = (raw(address) - kPage) / sizeof(std::uint64_t);
    for (std::size_t n = 0; n < words.size(); ++n) {
      words[n] = std::atomic_ref{page_[first + n]}.load(std::memory_order_relaxed);
    }
    return true;
  }
  std::uint8_t* writable_ram(GuestPhysical address, std::size_t) override {
    return raw(address) == kPage ? page() : nullptr;
  }
  void ram_written(GuestPhysical, std::size_t) override { ++written; }
  virt::x86::PmiOutcome raise_pmi(virt::x86::LvtpcAfterPmi) override {
    return virt::x86::PmiOutcome::kDelivered;
  }
  void request_entry_work() override {}

  std::uint8_t* page() { return static_cast<std::uint8_t*>(static_cast<void*>(page_.data())); }

  std::uint64_t now = 1'000'000;
  std::uint64_t written = 0;

 private:
  alignas(pv::kAreaBytes) std::array<std::uint64_t, pv::kAreaBytes / 8> page_{};
};

/// Enough PMUs for all events of a guest, eight on each. All count the same vCPU.
class ManyPmus final : public hostperf::HostPerf {
 public:
  explicit ManyPmus(const silicon::x86::CpuModel& model, silicon::RetireTotals& totals)
      : first_{model, totals},
        second_{model, totals},
        third_{model, totals},
        fourth_{model, totals} {}

  tl::expected<hostperf::EventId, hostperf::OpenError> open(
      const hostperf::EventAttr& attr, hostperf::Target target,
      hostperf::OverflowHandler& handler) override {
    const auto pmu = static_cast<std::uint32_t>(attr.cookie / kEach % kPmus);
    const auto id = pmus_[pmu]->open(attr, target, handler);
    if (!id) return id;
    return static_cast<hostperf::EventId>(static_cast<std::uint32_t>(*id) * kPmus + pmu);
  }
  void close(hostperf::EventId id) override { pmu(id).close(inner(id)); }
  void enable(hostperf::EventId id) override { pmu(id).enable(inner(id)); }
  void disable(hostperf::EventId id) override { pmu(id).disable(inner(id)); }
  void pause(hostperf::EventId id) override { pmu(id).pause(inner(id)); }
  void resume(hostperf::EventId id) override { pmu(id).resume(inner(id)); }
  std::optional<hostperf::EventCount> read(hostperf::EventId id) override {
    return pmu(id).read(inner(id));
  }
  void set_period(hostperf::EventId id, std::uint64_t period) override {
    pmu(id).set_period(inner(id), period);
  }
  [[nodiscard]] hostperf::EventState state(hostperf::EventId id) const override {
    return pmu(id).state(inner(id));
  }
  [[nodiscard]] hostperf::HostCpu cpu(hostperf::EventId id) const override {
    return pmu(id).cpu(inner(id));
  }

 private:
  static constexpr std::uint32_t kPmus = 4, kEach = 8;
  struct One {
    One(const silicon::x86::CpuModel& model, silicon::RetireTotals& totals)
        : deadlines{totals}, perf{model, std::array{hostperf::ModelledVcpu{&totals, &deadlines}}} {}
    silicon::Deadlines deadlines;
    hostperf::ModelledHostPerf perf;
  };

  [[nodiscard]] hostperf::ModelledHostPerf& pmu(hostperf::EventId id) const {
    return *pmus_[static_cast<std::uint32_t>(id) % kPmus];
  }
  static hostperf::EventId inner(hostperf::EventId id) {
    return static_cast<hostperf::EventId>(static_cast<std::uint32_t>(id) / kPmus);
  }

  One first_, second_, third_, fourth_;
  std::array<hostperf::ModelledHostPerf*, kPmus> pmus_{&first_.perf, &second_.perf, &third_.perf,
                                                       &fourth_.perf};
};

enum class Pmus : std::uint8_t { kOne, kMany };

/// A guest that has loaded its commands for so many events, each counted at both privileges.
class Guest : ModelledPerf {
 public:
  explicit Guest(unsigned events, Pmus pmus = Pmus::kOne)
      : all_{static_cast<std::uint32_t>((std::uint64_t{1} << events) - 1)},
        pv_{config(model, events),
            {.model = &model,
             .perf = pmus == Pmus::kOne ? static_cast<hostperf::HostPerf*>(&perf)
                                        : &many_.emplace(model, totals),
             .vcpu = hostperf::VcpuIndex{0},
             .host = &host_,
             .areas = &areas_}} {
    pv_.scheduled_in();
    write(pv::Msr::kArea, kPage | 1);
    constexpr pv::Generic kEvents[] = {pv::Generic::kInstructions, pv::Generic::kCycles,
                                       pv::Generic::kBranches, pv::Generic::kBranchMisses};
    for (unsigned i = 0; i < events; ++i) {
      pv::Evtsel evtsel;
      evtsel.set(pv::Evtsel::kCode, static_cast<std::uint64_t>(kEvents[i % std::size(kEvents)]));
      evtsel.set(pv::Evtsel::kUsr, 1);
      evtsel.set(pv::Evtsel::kOs, 1);
      evtsel.set(pv::Evtsel::kEn, 1);
      put(i, {.evtsel = evtsel.raw, .count = 0, .period = 0, .flags = 7, .pad = 0});
    }
  }

  void batch(std::uint64_t operations) { write(pv::Msr::kBatch, operations | all_); }
  void write(pv::Msr which, std::uint64_t value) {
    const Access access =
        pv_.write_msr(MsrIndex{pv_.config().msr_base + static_cast<std::uint32_t>(which)}, value,
                      Initiator::kGuest);
    if (!access.is_done()) std::abort();
    pv_.before_entry();
  }
  void read_count(unsigned i) {
    const Access access =
        pv_.read_msr(MsrIndex{pv_.config().msr_base + 0x100 + 8 * i + 1}, Initiator::kGuest);
    benchmark::DoNotOptimize(access.value());
  }
  void rdpmc(unsigned i) {
    const Access access = pv_.rdpmc(pv::kRdpmcBase + i, true, true);
    benchmark::DoNotOptimize(access.value());
  }
  /// The page is due, and is written.
  void publish() {
    host_.now = pv_.due_ns(false);
    pv_.time_passed();
    pv_.before_entry();
  }
  void run(std::uint64_t instructions) {
    retire(instructions);
    host_.now += instructions;
  }
  [[nodiscard]] unsigned counting() const {
    unsigned n = 0;
    for (unsigned i = 0; i < pv_.config().events; ++i) {
      n += pv_.status(i) == virt::x86::CounterStatus::kCounting ? 1 : 0;
    }
    return n;
  }
  [[nodiscard]] bool has_entry_work() const { return pv_.has_entry_work(); }

 private:
  static PvPerfConfig config(const silicon::x86::CpuModel& model, unsigned events) {
    return virt::x86::offer_pv_perf(model, PvPerfRequest{.events = events}).value();
  }
  void put(unsigned i, const pv::CommandRecord& command) {
    std::memcpy(host_.page() + offsetof(pv::Page, commands) + i * sizeof command, &command,
                sizeof command);
  }

  const std::uint32_t all_;
  std::optional<ManyPmus> many_;  ///< if it has these
  SmallHost host_;
  PvPerfAreas areas_;
  PvPerf pv_;
};

// ---- BATCH --------------------------------------------------------------------------------------

/// Guests that each do the same, so that what is left out between costs little of what is measured.
class Guests {
 public:
  Guests(unsigned events, Pmus pmus) {
    for (auto& guest : guests_) guest = std::make_unique<Guest>(events, pmus);
  }
  void batch(std::uint64_t operations) {
    for (auto& guest : guests_) guest->batch(operations);
  }
  void run() {
    for (auto& guest : guests_) guest->run(1000);
  }
  [[nodiscard]] unsigned counting() const { return guests_.front()->counting(); }
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(guests_.size()); }

 private:
  std::array<std::unique_ptr<Guest>, 8> guests_;
};

/// `measured` again and again; `around` brings the guests back to where that can be done.
void batches(benchmark::State& state, Pmus pmus, std::uint64_t measured, std::uint64_t around) {
  Guests guests{static_cast<unsigned>(state.range(0)), pmus};
  guests.batch(kLoad | kStart);
  const unsigned counting = guests.counting();
  guests.batch(around);
  measure(state, [&] {
    guests.batch(measured);
    state.PauseTiming();
    guests.run();
    guests.batch(around);
    state.ResumeTiming();
  });
  state.counters["counting"] = counting;
  state.SetItemsProcessed(guests.size() * static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK_CAPTURE(batches, start, Pmus::kOne, kLoad | kStart, kStop)
    ->Name("pv_perf/batch_load_start")
    ->Arg(4)
    ->Arg(32);
BENCHMARK_CAPTURE(batches, start_many, Pmus::kMany, kLoad | kStart, kStop)
    ->Name("pv_perf/batch_load_start_all_counting")
    ->Arg(32);
BENCHMARK_CAPTURE(batches, stop, Pmus::kOne, kStop, kLoad | kStart)
    ->Name("pv_perf/batch_stop")
    ->Arg(4)
    ->Arg(32);
BENCHMARK_CAPTURE(batches, stop_many, Pmus::kMany, kStop, kLoad | kStart)
    ->Name("pv_perf/batch_stop_all_counting")
    ->Arg(32);

/// Of events that run already.
void reload(benchmark::State& state, Pmus pmus) {
  Guest guest{static_cast<unsigned>(state.range(0)), pmus};
  measure(state, [&] {
    guest.batch(kLoad | kStart);
    guest.run(1000);
  });
  state.counters["counting"] = guest.counting();
}
BENCHMARK_CAPTURE(reload, one, Pmus::kOne)->Name("pv_perf/batch_reload")->Arg(4)->Arg(32);
BENCHMARK_CAPTURE(reload, many, Pmus::kMany)->Name("pv_perf/batch_reload_all_counting")->Arg(32);

void snap(benchmark::State& state, Pmus pmus) {
  Guest guest{static_cast<unsigned>(state.range(0)), pmus};
  guest.batch(kLoad | kStart);
  measure(state, [&] {
    guest.batch(kSnap);
    guest.run(1000);
  });
  state.counters["counting"] = guest.counting();
}
BENCHMARK_CAPTURE(snap, one, Pmus::kOne)->Name("pv_perf/batch_snap")->Arg(4)->Arg(32);
BENCHMARK_CAPTURE(snap, many, Pmus::kMany)->Name("pv_perf/batch_snap_all_counting")->Arg(32);

// ---- Single accesses ----------------------------------------------------------------------------

void rdmsr_count(benchmark::State& state) {
  Guest guest{4};
  guest.batch(kLoad | kStart);
  unsigned i = 0;
  measure(state, [&] {
    guest.run(1);
    guest.read_count(i);
    i = (i + 1) % 4;
  });
}
BENCHMARK(rdmsr_count)->Name("pv_perf/rdmsr_count");

void rdpmc(benchmark::State& state) {
  Guest guest{4};
  guest.batch(kLoad | kStart);
  unsigned i = 0;
  measure(state, [&] {
    guest.run(1);
    guest.rdpmc(i);
    i = (i + 1) % 4;
  });
}
BENCHMARK(rdpmc)->Name("pv_perf/rdpmc");

void publication(benchmark::State& state) {
  Guest guest{static_cast<unsigned>(state.range(0))};
  guest.batch(kLoad | kStart);
  measure(state, [&] { guest.publish(); });
}
BENCHMARK(publication)->Name("pv_perf/publication")->Arg(4)->Arg(8);

/// What every entry into the guest pays: the question whether there is work.
void unused_entry(benchmark::State& state) {
  Guest guest{16};
  measure(state, [&] { benchmark::DoNotOptimize(guest.has_entry_work()); });
}
BENCHMARK(unused_entry)->Name("pv_perf/unused_entry");

}  // namespace

}  // namespace vpmu::bench
