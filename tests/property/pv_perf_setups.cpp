// SPDX-License-Identifier: MIT
#include "property/pv_perf_setups.hpp"

#include <memory>
#include <utility>
#include <vector>

#include "vpmu/silicon/x86/portable_events.hpp"

namespace vpmu::property {
namespace {

using silicon::x86::CpuModel;
using virt::x86::PvPerfConfig;
using F = virt::x86::pv::Features;

constexpr auto kAllFeatures =
    static_cast<std::uint32_t>(mask_of(F::kPvPerf, F::kArea, F::kBatch, F::kRdpmcTrap, F::kLvtpc,
                                       F::kAutoReload, F::kRaw, F::kScaleTime, F::kHypercalls));

/// Models and setups that point to them; never moved once made.
struct Catalogue {
  std::vector<std::unique_ptr<CpuModel>> models;
  std::vector<PvPerfSetup> setups;

  const CpuModel* host(const char* name) {
    CpuModel model = *silicon::x86::find_cpu_model(name);
    model.hz = kPvPerfCyclesPerNs * 1'000'000'000;
    models.push_back(std::make_unique<CpuModel>(model));
    return models.back().get();
  }

  PvPerfSetup& add(const char* name, const char* here, const char* there) {
    PvPerfSetup& setup = setups.emplace_back();
    setup.name = name;
    setup.hosts = {host(here), host(there)};
    setup.guest_vendor = setup.hosts[0]->vendor;
    PvPerfConfig& config = setup.config;
    config.features.raw = kAllFeatures;
    config.events = 8;
    config.width = 48;
    config.at_once = 4;
    config.publish_period_us = 1000;
    for (unsigned n = 0; n < silicon::x86::kGenericEventCount; ++n) {
      const auto event = static_cast<silicon::x86::GenericEvent>(n);
      if (silicon::x86::find_event(*setup.hosts[0], event) != nullptr &&
          silicon::x86::find_event(*setup.hosts[1], event) != nullptr) {
        config.generic_events |= 1U << n;
      }
    }
    config.software_events = 0b111;
    return setup;
  }

  Catalogue() {
    setups.reserve(32);
    add("intel", "icelake-server", "icelake-server");
    add("intel to amd", "skylake-server", "zen4");
    add("amd to intel", "zen2", "sapphire-rapids");
    PvPerfSetup& many = add("32 events", "zen4", "icelake-server");
    many.config.events = 32;
    many.config.publish_period_us = 100;
    PvPerfSetup& silent = add("silent errors", "zen2", "icelake-server");
    silent.silent_errors = true;
    silent.config.width = 52;
    PvPerfSetup& slow = add("two interrupts a millisecond", "icelake-server", "haswell-server");
    slow.config.interrupts_per_ms = 2;
    slow.config.minimum_period = 16;
    // Where LVTPC stays open.
    PvPerfSetup& slower = add("one interrupt a millisecond", "zen4", "zen4");
    slower.config.interrupts_per_ms = 1;
    slower.config.events = 4;
    PvPerfSetup& wide = add("64 bits", "sapphire-rapids", "haswell-server");
    wide.config.width = 64;
    wide.config.events = 3;
    wide.config.msr_base = 0x4000'7000;
    PvPerfSetup& requested = add("published on request", "icelake-server", "skylake-server");
    requested.config.publish_period_us = 0;
    PvPerfSetup& few = add("registers alone", "icelake-server", "zen4");
    few.config.features.raw =
        static_cast<std::uint32_t>(mask_of(F::kPvPerf, F::kLvtpc, F::kScaleTime));
    few.config.events = 1;
    few.config.publish_period_us = 0;
    PvPerfSetup& calls = add("calls without reload", "zen4", "zen2");
    calls.config.features.raw = static_cast<std::uint32_t>(
        mask_of(F::kPvPerf, F::kLvtpc, F::kHypercalls, F::kScaleTime, F::kRdpmcTrap));
    calls.config.events = 4;
    calls.config.publish_period_us = 0;
    PvPerfSetup& page = add("page without batch", "icelake-server", "icelake-server");
    page.config.features.set(F::kBatch, 0);
    page.config.features.set(F::kRaw, 0);
    page.config.software_events = 0b1111;
  }
};

}  // namespace

std::span<const PvPerfSetup> pv_perf_setups() {
  static const Catalogue kCatalogue;
  return kCatalogue.setups;
}

}  // namespace vpmu::property
