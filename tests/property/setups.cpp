// SPDX-License-Identifier: MIT
#include "property/setups.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>

#include "vpmu/virt/x86/pmu_request.hpp"

namespace vpmu::property {
namespace {

using silicon::RawEvent;
using silicon::x86::CountedOn;
using silicon::x86::CpuModel;
using silicon::x86::EventRow;
using silicon::x86::fixed_only_selector;
using silicon::x86::kNoFixedCounter;
using silicon::x86::Vendor;
using virt::x86::PmuConfig;

constexpr auto kAnywhere = CountedOn::kAnyCounter;
constexpr auto kFixedOnly = CountedOn::kFixedCounter;

/// More fixed counters than any real model has events for.
constexpr EventRow kIntelEvents[] = {
    {"instructions", fixed_only_selector(0), RawEvent::kInstructions, 0, kFixedOnly, ""},
    {"cycles", fixed_only_selector(1), RawEvent::kCycles, 1, kFixedOnly, ""},
    {"ref-cycles", fixed_only_selector(2), RawEvent::kReferenceCycles, 2, kFixedOnly, ""},
    {"slots", fixed_only_selector(3), RawEvent::kSlots, 3, kFixedOnly, ""},
    {"instructions", {0xc0, 0x00}, RawEvent::kInstructions, 0, kAnywhere, ""},
    {"cycles", {0x3c, 0x00}, RawEvent::kCycles, 1, kAnywhere, ""},
    {"ref-cycles", {0x3c, 0x01}, RawEvent::kReferenceCycles, kNoFixedCounter, kAnywhere, ""},
    {"branches", {0xc4, 0x00}, RawEvent::kBranches, kNoFixedCounter, kAnywhere, ""},
    {"misses", {0xc5, 0x00}, RawEvent::kMispredictedBranches, kNoFixedCounter, kAnywhere, ""},
    {"loads", {0xd0, 0x81}, RawEvent::kLoads, kNoFixedCounter, kAnywhere, ""},
    {"stores", {0xd0, 0x82}, RawEvent::kStores, kNoFixedCounter, kAnywhere, ""},
};
constexpr EventRow kAmdEvents[] = {
    {"instructions", {0xc0, 0x00}, RawEvent::kInstructions, kNoFixedCounter, kAnywhere, ""},
    {"cycles", {0x76, 0x00}, RawEvent::kCycles, kNoFixedCounter, kAnywhere, ""},
    {"branches", {0xc2, 0x00}, RawEvent::kBranches, kNoFixedCounter, kAnywhere, ""},
    {"misses", {0xc3, 0x00}, RawEvent::kMispredictedBranches, kNoFixedCounter, kAnywhere, ""},
    {"loads", {0x29, 0x01}, RawEvent::kLoads, kNoFixedCounter, kAnywhere, ""},
    // Twelve bits of event select: neither 0x87 nor, cut off elsewhere, 0x187.
    {"returns", {0x1c8, 0x00}, RawEvent::kReturns, kNoFixedCounter, kAnywhere, ""},
    {"slots", {0x187, 0x01}, RawEvent::kSlots, kNoFixedCounter, kAnywhere, ""},
};

/// The identity of the first model of that vendor, with these events.
CpuModel hand_made_silicon(Vendor vendor, std::span<const EventRow> events) {
  const auto models = silicon::x86::cpu_models();
  const auto first = std::ranges::find(models, vendor, [](const CpuModel* m) { return m->vendor; });
  CpuModel model = first == models.end() ? *models.front() : **first;
  model.vendor = vendor;
  model.events = events;
  model.pmu.gp_counters = 8;
  model.pmu.fixed_counters = vendor == Vendor::kIntel ? 4 : 0;
  return model;
}

PmuConfig intel(std::uint8_t version, std::uint8_t gp, std::uint8_t width, std::uint8_t fixed,
                std::uint8_t fixed_width) {
  return {.vendor = Vendor::kIntel,
          .version = version,
          .gp_counters = gp,
          .gp_width = width,
          .fixed_counters = fixed,
          .fixed_width = fixed_width,
          .arch_event_length = 8,
          .arch_events_unavailable = 0x98,
          .perf_capabilities = 1 << 13,
          .has_perf_capabilities = true};
}

PmuConfig without_capabilities(PmuConfig config) {
  config.perf_capabilities = 0;
  config.has_perf_capabilities = false;
  return config;
}

PmuConfig with_any_thread(PmuConfig config) {
  config.any_thread_deprecated = false;
  return config;
}

PmuConfig with_freeze(PmuConfig config) {
  config.freeze_on_pmi = true;
  return config;
}

PmuConfig with_lbrs(PmuConfig config, std::uint8_t format) {
  config.perf_capabilities |= format;
  return config;
}

PmuConfig amd(std::uint8_t version, std::uint8_t counters) {
  return {.vendor = Vendor::kAmd,
          .version = version,
          .gp_counters = counters,
          .gp_width = 48,
          .core_extension = counters > 4};
}

PmuConfig with_host_guest_only(PmuConfig config) {
  config.host_guest_only = true;
  return config;
}

/// Models and tables that setups point to; never moved once made.
struct Catalogue {
  std::vector<std::unique_ptr<std::vector<EventRow>>> tables;
  std::vector<std::unique_ptr<CpuModel>> models;
  std::vector<Setup> setups;

  const CpuModel* keep(CpuModel model) {
    models.push_back(std::make_unique<CpuModel>(model));
    return models.back().get();
  }
  void add(std::string name, const CpuModel* silicon, const PmuConfig& config) {
    setups.push_back(
        {.name = std::move(name), .silicon = silicon, .config = config, .conditions = true});
  }
  void add_models();
  void add_requests(const std::string& name, const CpuModel& model, const CpuModel* silicon);
  void add_intel();
  void add_amd();
  void add_starved();
};

void Catalogue::add_models() {
  for (const CpuModel* model : silicon::x86::cpu_models()) {
    auto& table = tables.emplace_back(
        std::make_unique<std::vector<EventRow>>(model->events.begin(), model->events.end()));
    for (EventRow& row : *table) row.counters = 0xff;
    CpuModel roomy = *model;
    roomy.events = *table;
    roomy.pmu.gp_counters = 8;
    const CpuModel* silicon = keep(roomy);
    const std::string name{model->name};
    add(name, silicon, virt::x86::guest_pmu(*model));
    add_requests(name, *model, silicon);
  }
}

/// What `vpmu run --pmu` gives: every version of the model, with what there is to choose.
void Catalogue::add_requests(const std::string& name, const CpuModel& model,
                             const CpuModel* silicon) {
  const bool intel = model.vendor == Vendor::kIntel;
  for (unsigned version = 1; version <= model.pmu.version; ++version) {
    for (const bool plain : {true, false}) {
      virt::x86::PmuRequest request{.version = version};
      if (!plain && intel) {
        request.gp = 3;
        request.full_width = false;
        if (version > 1) request.freeze = true;
        if (version == 3 || version == 4) request.any_thread = true;
      }
      if (!plain && !intel) request.host_guest_only = true;
      const auto config = virt::x86::restrict_pmu(model, request);
      if (!config) std::abort();
      add(name + " version " + std::to_string(version) + (plain ? "" : ", other choices"), silicon,
          *config);
    }
  }
}

void Catalogue::add_intel() {
  const CpuModel* silicon = keep(hand_made_silicon(Vendor::kIntel, kIntelEvents));
  const auto add_one = [&](std::string name, const PmuConfig& config) {
    add("intel " + std::move(name), silicon, config);
  };
  add_one("without PMU", virt::x86::no_pmu(Vendor::kIntel));
  add_one("v1", without_capabilities(intel(1, 2, 40, 0, 0)));
  add_one("v1, one counter", intel(1, 1, 32, 0, 0));
  add_one("v2", intel(2, 4, 48, 3, 40));
  add_one("v2 without conditions on cycles", intel(2, 4, 48, 3, 48));
  setups.back().conditions = false;
  add_one("v2 without full-width writes", without_capabilities(intel(2, 4, 40, 2, 48)));
  add_one("v2, one of each", intel(2, 1, 48, 1, 48));
  add_one("v2, freeze", with_freeze(intel(2, 4, 48, 3, 48)));
  add_one("v3", intel(3, 4, 48, 3, 48));
  add_one("v3, AnyThread, freeze", with_freeze(with_any_thread(intel(3, 4, 48, 3, 48))));
  add_one("v4", intel(4, 8, 48, 3, 48));
  add_one("v4, AnyThread, freeze", with_freeze(with_any_thread(intel(4, 4, 48, 3, 33))));
  add_one("v5", intel(5, 8, 48, 4, 48));
  constexpr std::uint8_t kInfo = 5, kArchitectural = 0x3f;
  add_one("v1, LBRs", with_lbrs(intel(1, 2, 40, 0, 0), kInfo));
  add_one("v2, LBRs", with_lbrs(intel(2, 4, 48, 3, 48), kInfo));
  add_one("v3, LBRs, freeze", with_lbrs(with_freeze(intel(3, 4, 48, 3, 48)), kInfo));
  add_one("v4, LBRs", with_lbrs(intel(4, 8, 48, 3, 48), kInfo));
  add_one("v5, LBRs, freeze", with_lbrs(with_freeze(intel(5, 8, 48, 4, 48)), kArchitectural));
  add_one("v5, freeze", with_freeze(intel(5, 8, 48, 4, 40)));
}

void Catalogue::add_amd() {
  const CpuModel* silicon = keep(hand_made_silicon(Vendor::kAmd, kAmdEvents));
  const auto add_one = [&](std::string name, const PmuConfig& config) {
    add("amd " + std::move(name), silicon, config);
  };
  add_one("without PMU", virt::x86::no_pmu(Vendor::kAmd));
  add_one("K7", amd(1, 4));
  add_one("core extension", amd(1, 6));
  add_one("core extension, host/guest-only", with_host_guest_only(amd(1, 6)));
  add_one("PerfMonV2", amd(2, 6));
  add_one("PerfMonV2, host/guest-only", with_host_guest_only(amd(2, 6)));
}

void Catalogue::add_starved() {
  const auto with_counters = [&](CpuModel model, std::uint8_t gp, std::uint8_t fixed) {
    model.pmu.gp_counters = gp;
    model.pmu.fixed_counters = fixed;
    return keep(model);
  };
  const auto add_one = [&](std::string name, const CpuModel* silicon, const PmuConfig& config) {
    add("starved " + std::move(name), silicon, config);
    setups.back().room = false;
  };
  const CpuModel intel_silicon = hand_made_silicon(Vendor::kIntel, kIntelEvents);
  add_one("intel v2", with_counters(intel_silicon, 1, 4), intel(2, 4, 48, 3, 48));
  add_one("intel v5", with_counters(intel_silicon, 3, 4), intel(5, 8, 48, 4, 48));
  const CpuModel amd_silicon = hand_made_silicon(Vendor::kAmd, kAmdEvents);
  add_one("amd PerfMonV2", with_counters(amd_silicon, 2, 0), with_host_guest_only(amd(2, 6)));
}

Catalogue make_catalogue() {
  Catalogue catalogue;
  catalogue.add_models();
  catalogue.add_intel();
  catalogue.add_amd();
  catalogue.add_starved();
  return catalogue;
}

}  // namespace

std::span<const Setup> setups() {
  static const Catalogue kCatalogue = make_catalogue();
  return kCatalogue.setups;
}

}  // namespace vpmu::property
