// SPDX-License-Identifier: MIT
#include "property/guest_lbr_setups.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "property/lbr_setups.hpp"

namespace vpmu::property {
namespace {

using silicon::x86::CpuModel;
using silicon::x86::LbrModel;
using silicon::x86::Vendor;
using virt::x86::PmuConfig;

/// What there is of everything else does not matter here.
PmuConfig config_with(std::uint8_t version, const LbrModel& lbr) {
  constexpr std::uint64_t kFullWidthWrites = 1 << 13;
  const auto fixed = static_cast<std::uint8_t>(version > 1 ? 3 : 0);
  return {.vendor = Vendor::kIntel,
          .version = version,
          .gp_counters = 4,
          .gp_width = 48,
          .fixed_counters = fixed,
          .fixed_width = static_cast<std::uint8_t>(fixed != 0 ? 48 : 0),
          .arch_event_length = 8,
          .perf_capabilities = kFullWidthWrites | static_cast<std::uint64_t>(lbr.format),
          .has_perf_capabilities = true};
}

/// Models that setups point to; never moved once made.
struct Catalogue {
  std::vector<std::unique_ptr<CpuModel>> models;
  std::vector<GuestLbrSetup> setups;

  const CpuModel* model_with(const LbrModel& lbr);
  void add(const std::string& name, const CpuModel* model, const PmuConfig& config, bool offered);
  void add_offers();
  void add_refusals();
};

const CpuModel* Catalogue::model_with(const LbrModel& lbr) {
  const auto all = silicon::x86::cpu_models();
  const auto intel =
      std::ranges::find(all, Vendor::kIntel, [](const CpuModel* m) { return m->vendor; });
  CpuModel model = intel == all.end() ? *all.front() : **intel;
  model.lbr = lbr;
  // So that the host has room for everybody's counters.
  model.pmu.gp_counters = 8;
  return models.emplace_back(std::make_unique<CpuModel>(model)).get();
}

void Catalogue::add(const std::string& name, const CpuModel* model, const PmuConfig& config,
                    bool offered) {
  for (const unsigned cpus : {1u, 2u}) {
    setups.push_back({.name = name + ", PMU version " + std::to_string(config.version) +
                              (cpus == 1 ? ", 1 host CPU" : ", 2 host CPUs"),
                      .silicon = model,
                      .config = config,
                      .host_cpus = cpus,
                      .offered = offered});
  }
}

void Catalogue::add_offers() {
  constexpr std::uint8_t kFirstArchitectural = 4, kLast = 5;
  for (const LbrSetup& setup : lbr_setups()) {
    if (!setup.model.call_stack) continue;
    const CpuModel* const model = model_with(setup.model);
    const std::uint8_t first = setup.model.architectural() ? kFirstArchitectural : 1;
    for (std::uint8_t version = first; version <= kLast; ++version)
      add(setup.name, model, config_with(version, setup.model), true);
  }
}

void Catalogue::add_refusals() {
  const auto setup_named = [](std::string_view name) {
    return *std::ranges::find(lbr_setups(), name, &LbrSetup::name);
  };
  const LbrModel format4 = setup_named("format 4").model, format5 = setup_named("format 5").model;
  const CpuModel* const host = model_with(format5);
  PmuConfig without = config_with(2, format5);
  without.perf_capabilities = 0;
  add("not asked for", host, without, false);
  add("no PMU", host, virt::x86::no_pmu(Vendor::kIntel), false);
  add("other format than the host's", host, config_with(2, format4), false);
  add("host without LBRs", model_with(LbrModel{}), config_with(2, format5), false);
  const LbrModel no_call_stack = setup_named("format 3, 16 records").model;
  add("host without call stack", model_with(no_call_stack), config_with(2, no_call_stack), false);
}

Catalogue make_catalogue() {
  Catalogue catalogue;
  catalogue.add_offers();
  catalogue.add_refusals();
  return catalogue;
}

}  // namespace

std::span<const GuestLbrSetup> guest_lbr_setups() {
  static const Catalogue kCatalogue = make_catalogue();
  return kCatalogue.setups;
}

}  // namespace vpmu::property
