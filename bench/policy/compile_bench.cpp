// SPDX-License-Identifier: MIT
//
// Compiling a policy that allows all events of the largest catalogue but 20: from selectors to
// entries, and every selector decided once with the result. It reports the entries, and of how many
// event selects they are proven to be the fewest.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <vector>

#include "policy/compiler.hpp"
#include "policy/event_catalogue.hpp"

namespace vpmu::bench {

namespace {
using policy::CompiledFilter;
using policy::CompiledRow;
using policy::EventCatalogue;
using policy::SelectorSet;

constexpr std::size_t kExcluded = 20;

SelectorSet all_events(const EventCatalogue& catalogue) {
  SelectorSet all{catalogue.vendor()};
  for (const policy::NamedEvent& event : catalogue.events()) {
    if (!event.fixed_only) all.insert(event.selector);
  }
  return all;
}

/// With the most selectors; the first by name if there are several. Null: there is none.
const EventCatalogue* largest_catalogue() {
  const EventCatalogue* largest = nullptr;
  std::size_t most = 0;
  for (const policy::CataloguedPmu& pmu : policy::catalogued_pmus()) {
    const auto catalogue = EventCatalogue::of(pmu.name);
    if (!catalogue) continue;
    const std::size_t selectors = all_events(**catalogue).size();
    if (selectors <= most) continue;
    most = selectors;
    largest = *catalogue;
  }
  return largest;
}

/// Evenly spread over the names.
SelectorSet without_some(const EventCatalogue& catalogue) {
  SelectorSet allowed = all_events(catalogue);
  const auto& events = catalogue.events();
  for (std::size_t i = 0; i < kExcluded; ++i) {
    allowed.erase(events[i * events.size() / kExcluded].selector);
  }
  return allowed;
}

void compile_policy(benchmark::State& state) {
  const EventCatalogue* catalogue = largest_catalogue();
  if (catalogue == nullptr) {
    state.SkipWithError("no catalogue of events");
    return;
  }
  const SelectorSet allowed = without_some(*catalogue);
  CompiledFilter compiled;
  for (auto _ : state) {
    compiled = policy::compile(allowed, 0, catalogue->fixed_counters());
    benchmark::DoNotOptimize(compiled);
  }
  std::size_t proven = 0;
  for (const CompiledRow& row : compiled.rows) proven += row.minimal ? 1 : 0;
  const auto counter = [](std::size_t n) { return benchmark::Counter(static_cast<double>(n)); };
  state.counters["selectors"] = counter(allowed.size());
  state.counters["entries"] = counter(compiled.entries());
  state.counters["event_selects"] = counter(compiled.rows.size());
  state.counters["proven_minimal"] = counter(proven);
  state.SetLabel(catalogue->pmu().name);
}
BENCHMARK(compile_policy)->Unit(benchmark::kMillisecond);
}  // namespace

}  // namespace vpmu::bench
