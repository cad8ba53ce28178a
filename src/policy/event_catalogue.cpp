// SPDX-License-Identifier: MIT
#include "policy/event_catalogue.hpp"

#include <algorithm>
#include <compare>
#include <map>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "policy/nearest_names.hpp"
#include "policy/pfm_events.hpp"

namespace vpmu::policy {

namespace {
using silicon::x86::CpuModel;
using silicon::x86::EventRow;
using silicon::x86::EventSelector;
using silicon::x86::kNoFixedCounter;
using silicon::x86::Vendor;

struct ModelPmu {
  std::string_view model, pmu;
};
constexpr ModelPmu kModelPmus[] = {
    {"haswell-server", "hsw_ep"}, {"skylake-server", "skx"},     {"icelake-server", "icx"},
    {"sapphire-rapids", "spr"},   {"zen2", "amd64_fam17h_zen2"}, {"zen4", "amd64_fam19h_zen4"},
};

/// libpfm4 has these wrong, most of them with the event select of the fixed counters'
/// pseudo-encodings.
struct Correction {
  std::string_view pmu, name;
  EventSelector selector;
};
constexpr Correction kCorrections[] = {
    // SDM 3B table 20-1 (slots), Intel's event files ICL, ICX, SPR and GLM.
    {"icl", "TOPDOWN.BACKEND_BOUND_SLOTS", {0xa4, 0x02}},
    {"icl", "TOPDOWN.BR_MISPREDICT_SLOTS", {0xa4, 0x08}},
    {"icx", "TOPDOWN.BACKEND_BOUND_SLOTS", {0xa4, 0x02}},
    {"icx", "TOPDOWN.BR_MISPREDICT_SLOTS", {0xa4, 0x08}},
    {"spr", "TOPDOWN.BACKEND_BOUND_SLOTS", {0xa4, 0x02}},
    {"spr", "TOPDOWN.BAD_SPEC_SLOTS", {0xa4, 0x04}},
    {"spr", "TOPDOWN.BR_MISPREDICT_SLOTS", {0xa4, 0x08}},
    {"spr", "TOPDOWN.MEMORY_BOUND_SLOTS", {0xa4, 0x10}},
    {"icl", "MEM_LOAD_MISC_RETIRED.UC", {0xd4, 0x04}},
    {"icx", "MEM_LOAD_MISC_RETIRED.UC", {0xd4, 0x04}},
    {"glm", "CPU_CLK_UNHALTED.CORE_P", {0x3c, 0x00}},
    {"glm", "CPU_CLK_UNHALTED.REF", {0x3c, 0x01}},
};

/// The fixed counters' events, as Intel's event files call them; SDM 3B table 20-2.
struct FixedName {
  const char* name;
  const char* description;
};
constexpr FixedName kFixedNames[] = {
    {"INST_RETIRED.ANY", "Instructions retired, on fixed counter 0"},
    {"CPU_CLK_UNHALTED.THREAD", "Core cycles while not halted, on fixed counter 1"},
    {"CPU_CLK_UNHALTED.REF_TSC",
     "Reference cycles at the TSC's rate while not halted, on fixed counter 2"},
    {"TOPDOWN.SLOTS", "Issue slots while not halted, on fixed counter 3"},
};

/// The letter that stands for it where upper and lower case, '.' and ':' are the same.
constexpr char fold(char c) {
  if (c >= 'a' && c <= 'z') return static_cast<char>(c - 'a' + 'A');
  return c == ':' ? '.' : c;
}

std::strong_ordering compare_folded(std::string_view a, std::string_view b) {
  return std::lexicographical_compare_three_way(
      a.begin(), a.end(), b.begin(), b.end(),
      [](char left, char right) { return fold(left) <=> fold(right); });
}

struct NameLess {
  bool operator()(std::string_view a, std::string_view b) const {
    return std::is_lt(compare_folded(a, b));
  }
};

bool has_wildcards(std::string_view pattern) {
  return pattern.find_first_of("*?") != std::string_view::npos;
}

/// At most pattern times name steps: only the last star is ever tried again.
bool fits(std::string_view name, std::string_view pattern) {
  std::size_t n = 0, p = 0;
  std::size_t star = std::string_view::npos, tried = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      tried = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || fold(pattern[p]) == fold(name[n]))) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++tried;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::string_view model_of(std::string_view pmu) {
  const auto* found = std::ranges::find(kModelPmus, pmu, &ModelPmu::pmu);
  return found == std::end(kModelPmus) ? std::string_view{} : found->model;
}

std::vector<PfmPmu> sorted_core_pmus() {
  std::vector<PfmPmu> pmus = pfm_core_pmus();
  std::ranges::sort(pmus, {}, &PfmPmu::name);
  return pmus;
}

const std::vector<PfmPmu>& core_pmus() {
  static const std::vector<PfmPmu> pmus = sorted_core_pmus();
  return pmus;
}

std::string no_such_cpu(std::string_view cpu) {
  std::vector<std::string_view> names;
  for (const ModelPmu& entry : kModelPmus) names.push_back(entry.model);
  for (const PfmPmu& pmu : core_pmus()) names.push_back(pmu.name);
  return fmt::format("CPU {} is not known; names like it: {}", in_quotes(cpu),
                     fmt::join(nearest_names(cpu, std::move(names)), ", "));
}
}  // namespace

/// Puts a catalogue together: libpfm4's events, corrected; the CPU model's, which win; the fixed
/// counters' names, where there is no such name.
class CatalogueBuilder {
 public:
  CatalogueBuilder(const CataloguedPmu& pmu, const PfmPmu& source)
      : catalogue_{new EventCatalogue{pmu}} {
    catalogue_->fixed_counters_ = source.fixed_counters;
    add_libpfm4s(source);
    if (const CpuModel* model = silicon::x86::find_cpu_model(pmu.cpu_model)) add_models(*model);
    if (pmu.vendor == Vendor::kIntel) add_fixed_names();
  }

  std::unique_ptr<const EventCatalogue> take() {
    for (auto& [name, event] : events_) {
      event.fixed = catalogue_->fixed_of(event.selector);
      event.fixed_only = event.fixed != kNoFixedCounter && event.selector.event == 0;
      catalogue_->events_.push_back(std::move(event));
    }
    return std::move(catalogue_);
  }

 private:
  void add_libpfm4s(const PfmPmu& source) {
    PfmEvents known = pfm_events(source);
    catalogue_->left_out_ = known.left_out;
    for (PfmEvent& event : known.events) {
      const std::string name = event.name;
      events_.try_emplace(name, NamedEvent{.name = std::move(event.name),
                                           .selector = corrected(name, event.selector),
                                           .description = std::move(event.description)});
    }
  }

  [[nodiscard]] EventSelector corrected(std::string_view name, EventSelector selector) const {
    for (const Correction& correction : kCorrections) {
      if (correction.pmu == catalogue_->pmu_.name && correction.name == name)
        return correction.selector;
    }
    return selector;
  }

  void add_models(const CpuModel& model) {
    for (const EventRow& row : model.events) {
      NamedEvent event{.name = row.name,
                       .selector = row.selector,
                       .description = fmt::format("as in {}", row.source)};
      const auto [at, is_new] = events_.try_emplace(row.name, event);
      if (!is_new) at->second.selector = row.selector;
    }
  }

  void add_fixed_names() {
    for (unsigned k = 0; k < std::min<std::size_t>(catalogue_->fixed_counters_, 4); ++k) {
      NamedEvent event{.name = kFixedNames[k].name,
                       .selector = silicon::x86::fixed_only_selector(k),
                       .description = kFixedNames[k].description};
      const auto [at, is_new] = events_.try_emplace(event.name, event);
      // The models' have none.
      if (!is_new && at->second.selector == event.selector)
        at->second.description = event.description;
    }
  }

  std::unique_ptr<EventCatalogue> catalogue_;
  std::map<std::string, NamedEvent, NameLess> events_;
};

const std::vector<CataloguedPmu>& catalogued_pmus() {
  static const std::vector<CataloguedPmu> pmus = [] {
    std::vector<CataloguedPmu> all;
    for (const PfmPmu& pmu : core_pmus()) {
      all.push_back({.name = pmu.name,
                     .description = pmu.description,
                     .vendor = pmu.amd ? Vendor::kAmd : Vendor::kIntel,
                     .cpu_model = std::string{model_of(pmu.name)}});
    }
    return all;
  }();
  return pmus;
}

Result<const EventCatalogue*> EventCatalogue::of(std::string_view cpu) {
  static std::map<std::string, std::unique_ptr<const EventCatalogue>, std::less<>> made;
  const std::vector<CataloguedPmu>& pmus = catalogued_pmus();
  if (pmus.empty()) return fail("libpfm4 could not be started: there are no names of events");
  const auto pmu = std::ranges::find_if(pmus, [cpu](const CataloguedPmu& candidate) {
    return candidate.name == cpu || (!cpu.empty() && candidate.cpu_model == cpu);
  });
  if (pmu == pmus.end()) return fail(no_such_cpu(cpu));
  auto& catalogue = made[pmu->name];
  if (catalogue == nullptr) {
    const auto place = static_cast<std::size_t>(pmu - pmus.begin());
    catalogue = CatalogueBuilder{*pmu, core_pmus()[place]}.take();
  }
  return catalogue.get();
}

std::vector<const NamedEvent*> EventCatalogue::match(std::string_view pattern) const {
  std::vector<const NamedEvent*> found;
  if (!has_wildcards(pattern)) {
    const auto at = std::ranges::lower_bound(events_, pattern, NameLess{}, &NamedEvent::name);
    if (at != events_.end() && std::is_eq(compare_folded(at->name, pattern))) found.push_back(&*at);
    return found;
  }
  for (const NamedEvent& event : events_) {
    if (fits(event.name, pattern)) found.push_back(&event);
  }
  return found;
}

std::vector<std::string> EventCatalogue::nearest(std::string_view name, std::size_t most) const {
  std::vector<std::string_view> names;
  names.reserve(events_.size());
  for (const NamedEvent& event : events_) names.emplace_back(event.name);
  std::string wanted{name};
  std::ranges::replace(wanted, ':', '.');
  const auto nearest = nearest_names(wanted, std::move(names), most);
  return {nearest.begin(), nearest.end()};
}

std::int8_t EventCatalogue::fixed_of(EventSelector selector) const {
  struct Counted {
    EventSelector selector;
    std::int8_t fixed;
  };
  constexpr Counted kArchitectural[] = {{{0xc0, 0x00}, 0}, {{0x3c, 0x00}, 1}, {{0xa4, 0x01}, 3}};
  const auto counters = static_cast<std::int8_t>(fixed_counters_);
  for (const Counted& counted : kArchitectural) {
    if (counted.selector == selector && counted.fixed < counters) return counted.fixed;
  }
  for (std::int8_t k = 0; k < counters; ++k) {
    if (silicon::x86::fixed_only_selector(static_cast<unsigned>(k)) == selector) return k;
  }
  return kNoFixedCounter;
}

std::vector<const NamedEvent*> EventCatalogue::named(EventSelector selector) const {
  std::vector<const NamedEvent*> found;
  for (const NamedEvent& event : events_) {
    if (event.selector == selector) found.push_back(&event);
  }
  return found;
}

}  // namespace vpmu::policy
