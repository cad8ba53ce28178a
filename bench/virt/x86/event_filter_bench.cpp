// SPDX-License-Identifier: MIT
//
// The event filter: a decision, beside the textbook way to make it (sorted_filter.hpp), what it
// takes to make a filter and to change it, and what it costs where counters are programmed. All
// filters have 300 masked entries; the benchmark's argument is on how many event selects.
#include "vpmu/virt/x86/event_filter.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <utility>

#include "bench/support/modelled_perf.hpp"
#include "bench/virt/x86/sorted_filter.hpp"
#include "vpmu/silicon/x86/msrs.hpp"
#include "vpmu/virt/x86/event_filter_slot.hpp"
#include "vpmu/virt/x86/pmu.hpp"

namespace vpmu::bench {

namespace {

namespace msr = silicon::x86::msr;
using silicon::x86::EventSelector;
using silicon::x86::Vendor;
using virt::x86::EventFilter;
using virt::x86::EventFilterSlot;
using virt::x86::FilterImage;

constexpr std::size_t kQuestions = 4096;
using Questions = std::array<EventSelector, kQuestions>;

/// Event selects that are spread over all 256: the n-th of `count`.
std::uint16_t nth_event(unsigned n, unsigned count) {
  return static_cast<std::uint16_t>(n % count * (256 / count) + 256 / count - 1);
}

/// A quarter excludes. An entry leaves one or two bits of the unit mask open.
FilterImage filter_on(unsigned events) {
  std::mt19937 random{events};
  FilterImage image;
  image.count = FilterImage::kMaxEntries;
  image.flags = FilterImage::kMaskedEvents;
  for (unsigned i = 0; i < image.count; ++i) {
    const auto mask = static_cast<std::uint8_t>(~(1U << random() % 8 | 1U << random() % 8));
    image.entries[i] =
        virt::x86::encode_entry({nth_event(i, events), mask,
                                 static_cast<std::uint8_t>(random() & mask), random() % 4 == 0})
            .raw;
  }
  return image;
}

/// Three of four ask for an event select that the filter names; any unit mask.
Questions questions_for(unsigned events) {
  std::mt19937 random{events + 1};
  Questions questions;
  for (EventSelector& question : questions) {
    const bool named = random() % 4 != 0;
    question.event = named ? nth_event(static_cast<unsigned>(random() % events), events)
                           : static_cast<std::uint16_t>(random() % 256);
    question.unit_mask = static_cast<std::uint8_t>(random());
  }
  return questions;
}

std::unique_ptr<const EventFilter> make_filter(const FilterImage& image) {
  return EventFilter::create(image, Vendor::kIntel).value();
}

unsigned events_of(const benchmark::State& state) {
  return static_cast<unsigned>(state.range(0));
}

// ---- The decision -------------------------------------------------------------------------------

/// One after the other, independent of each other.
template <class Filter>
void ask_all(benchmark::State& state, const Filter& filter, const Questions& questions) {
  std::uint64_t admitted = 0;
  for (auto _ : state) {
    for (const EventSelector question : questions) admitted += filter.admits(question) ? 1 : 0;
    benchmark::DoNotOptimize(admitted);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kQuestions));
}

/// Which question is next depends on the answer: what a lone decision takes, with fetching the
/// question.
template <class Filter>
void ask_in_turn(benchmark::State& state, const Filter& filter, const Questions& questions) {
  std::size_t at = 0;
  for (auto _ : state) {
    for (std::size_t n = 0; n < kQuestions; ++n) {
      at = (at + (filter.admits(questions[at]) ? 1 : 2)) % kQuestions;
    }
    benchmark::DoNotOptimize(at);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kQuestions));
}

void decide(benchmark::State& state) {
  const auto filter = make_filter(filter_on(events_of(state)));
  ask_all(state, *filter, questions_for(events_of(state)));
}
void decide_sorted(benchmark::State& state) {
  const SortedFilter filter{filter_on(events_of(state))};
  ask_all(state, filter, questions_for(events_of(state)));
}
void decide_in_turn(benchmark::State& state) {
  const auto filter = make_filter(filter_on(events_of(state)));
  ask_in_turn(state, *filter, questions_for(events_of(state)));
}
void decide_in_turn_sorted(benchmark::State& state) {
  const SortedFilter filter{filter_on(events_of(state))};
  ask_in_turn(state, filter, questions_for(events_of(state)));
}
void on_few_and_many_events(benchmark::internal::Benchmark* benchmark) {
  for (const int events : {1, 8, 64, 256}) benchmark->Arg(events);
}
BENCHMARK(decide)->Name("filter/decide")->Apply(on_few_and_many_events);
BENCHMARK(decide_sorted)->Name("filter/decide_sorted")->Apply(on_few_and_many_events);
BENCHMARK(decide_in_turn)->Name("filter/decide_in_turn")->Apply(on_few_and_many_events);
BENCHMARK(decide_in_turn_sorted)
    ->Name("filter/decide_in_turn_sorted")
    ->Apply(on_few_and_many_events);

/// Through the slot, as a PMU asks: with the read-side section.
void decide_in_slot(benchmark::State& state) {
  EventFilterSlot slot;
  slot.publish(make_filter(filter_on(64)));
  ask_all(state, slot, questions_for(64));
}
BENCHMARK(decide_in_slot)->Name("filter/decide_in_slot");

// ---- Making and changing one --------------------------------------------------------------------

void build(benchmark::State& state) {
  const FilterImage image = filter_on(64);
  for (auto _ : state) benchmark::DoNotOptimize(make_filter(image));
  state.counters["bytes"] = static_cast<double>(sizeof(EventFilter));
}
BENCHMARK(build)->Name("filter/build");

void build_from_bytes(benchmark::State& state) {
  std::array<std::byte, FilterImage::kHeaderBytes + 8 * FilterImage::kMaxEntries> bytes;
  (void)write_filter_image(filter_on(64), bytes);
  for (auto _ : state) {
    const auto image = virt::x86::read_filter_image(bytes, Vendor::kIntel);
    benchmark::DoNotOptimize(make_filter(image.value()));
  }
}
BENCHMARK(build_from_bytes)->Name("filter/build_from_bytes");

class AcceptingSink final : public virt::x86::PmiSink {
 public:
  virt::x86::PmiOutcome raise_pmi(virt::x86::LvtpcAfterPmi) override {
    return virt::x86::PmiOutcome::kDelivered;
  }
  void request_entry_work() override {}
};

/// A guest that counts on one counter, and what its writes of IA32_PERFEVTSEL0 cost.
struct ProgrammedPmu : ModelledPerf {
  AcceptingSink sink;
  virt::x86::Pmu pmu{virt::x86::guest_pmu(model), perf, hostperf::VcpuIndex{0}, sink};

  void write_event_select(std::uint64_t value) {
    const Access access = pmu.write_msr(msr::IA32_PERFEVTSEL0, value, Initiator::kGuest);
    benchmark::DoNotOptimize(access.is_done());
    pmu.before_entry();
  }
  /// Starts and stops it, always with the same event.
  void measure(benchmark::State& state) {
    for (auto _ : state) {
      write_event_select(0x53'00c0);
      write_event_select(0x13'00c0);
    }
    state.SetItemsProcessed(2 * static_cast<std::int64_t>(state.iterations()));
  }
};

/// A filter that lets the event pass, so that the counter does the same in all three: it denies
/// odd event selects only.
std::unique_ptr<const EventFilter> passing_filter() {
  FilterImage image = filter_on(64);
  image.action = static_cast<std::uint32_t>(virt::x86::FilterAction::kDeny);
  for (std::uint64_t& entry : image.entries) entry |= 1;
  return make_filter(image);
}

void program_without_gate(benchmark::State& state) {
  ProgrammedPmu programmed;
  programmed.measure(state);
}
BENCHMARK(program_without_gate)->Name("filter/program_without_gate");

void program_with_empty_slot(benchmark::State& state) {
  ProgrammedPmu programmed;
  EventFilterSlot slot;
  slot.attach(programmed.pmu);
  programmed.measure(state);
  slot.detach(programmed.pmu);
}
BENCHMARK(program_with_empty_slot)->Name("filter/program_with_empty_slot");

void program_with_filter(benchmark::State& state) {
  ProgrammedPmu programmed;
  EventFilterSlot slot;
  slot.attach(programmed.pmu);
  slot.publish(passing_filter());
  programmed.measure(state);
  slot.detach(programmed.pmu);
}
BENCHMARK(program_with_filter)->Name("filter/program_with_filter");

/// From the image to the vCPU's next instruction, with one vCPU.
void change(benchmark::State& state) {
  ProgrammedPmu programmed;
  EventFilterSlot slot;
  slot.attach(programmed.pmu);
  programmed.write_event_select(0x53'00c0);
  const FilterImage image = filter_on(64);
  for (auto _ : state) {
    slot.publish(make_filter(image));
    programmed.pmu.before_entry();
  }
  slot.detach(programmed.pmu);
}
BENCHMARK(change)->Name("filter/change");

}  // namespace
}  // namespace vpmu::bench
