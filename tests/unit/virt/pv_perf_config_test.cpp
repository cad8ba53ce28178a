// SPDX-License-Identifier: MIT
//
// What a guest is offered of PV perf, where it can go, and what CPUID says.
#include "vpmu/virt/x86/pv_perf_config.hpp"

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace vpmu::virt::x86 {
namespace {

using pv::Features;
using silicon::x86::cpu_models;
using silicon::x86::CpuidResult;
using silicon::x86::CpuModel;
using silicon::x86::find_cpu_model;

const CpuModel& icelake() {
  return *find_cpu_model("icelake-server");
}

PvPerfConfig offer(const PvPerfRequest& request = {}, const CpuModel& model = icelake()) {
  const auto config = offer_pv_perf(model, request);
  EXPECT_TRUE(config.has_value()) << config.error().message;
  return config.value_or(PvPerfConfig{});
}

std::string refusal(const PvPerfRequest& request) {
  const auto config = offer_pv_perf(icelake(), request);
  return config.has_value() ? "" : config.error().message;
}

// ---- Offers -------------------------------------------------------------------------------------

TEST(PvPerfOffer, DefaultsAreTheDocumentedOnes) {
  const PvPerfConfig config = offer();
  EXPECT_TRUE(config.offered());
  EXPECT_EQ(config.events, 16);
  EXPECT_EQ(config.width, 48);
  EXPECT_EQ(config.publish_period_us, 1000u);
  EXPECT_EQ(config.minimum_period, 0u);
  EXPECT_EQ(config.interrupts_per_ms, 20u);
  EXPECT_EQ(config.msr_base, 0x40005000u);
  EXPECT_EQ(config.cpuid_base, 0x40000000u);
  EXPECT_EQ(config.physical_bits, 46);
  EXPECT_EQ(config.at_once, 12);  // 8 and 4 fixed ones
  // 0 PVPERF, 1 AREA, 2 BATCH, 3 RDPMC_TRAP, 5 LVTPC, 6 AUTORELOAD, 9 RAW, 10 SCALE_TIME, 12 calls.
  EXPECT_EQ(config.features.raw, 0x166fu);
  EXPECT_EQ(config.software_events, 0b0111u);
}

TEST(PvPerfOffer, GenericEventsAreThoseOfTheSilicon) {
  // 0 to 5 and, where there are some, 9: reference cycles.
  for (const CpuModel* model : cpu_models()) {
    const std::uint32_t expected = model->name == "zen2" ? 0x03f : 0x23f;
    EXPECT_EQ(offer({}, *model).generic_events, expected) << model->name;
  }
}

TEST(PvPerfOffer, EveryOfferIsPossibleOnEveryModel) {
  for (const CpuModel* model : cpu_models()) {
    for (const PvPerfRequest& request :
         {PvPerfRequest{}, PvPerfRequest{.pool = true}, PvPerfRequest{.area = false},
          PvPerfRequest{.batch = false}, PvPerfRequest{.rdpmc = false},
          PvPerfRequest{.auto_reload = false}, PvPerfRequest{.raw = false},
          PvPerfRequest{.hypercalls = false}, PvPerfRequest{.events = 32u, .width = 64u},
          PvPerfRequest{.events = 1u, .minimum_period = ~0u}}) {
      EXPECT_TRUE(possible(offer(request, *model))) << model->name;
    }
  }
}

TEST(PvPerfOffer, WithoutAPageThereIsNoBatchAndNothingIsPublished) {
  const PvPerfConfig config = offer({.area = false});
  EXPECT_FALSE(config.has(Features::kArea));
  EXPECT_FALSE(config.has(Features::kBatch));
  EXPECT_EQ(config.publish_period_us, 0u);
}

TEST(PvPerfOffer, PoolIsTheSameOnEveryModelAndOffersNothingThatOneLacks) {
  const PvPerfConfig first = offer({.pool = true}, *cpu_models().front());
  EXPECT_TRUE(first.has(Features::kPoolSafe));
  EXPECT_FALSE(first.has(Features::kRaw));
  EXPECT_EQ(first.generic_events, 0x03fu);
  EXPECT_EQ(first.at_once, 6);
  for (const CpuModel* model : cpu_models()) EXPECT_EQ(offer({.pool = true}, *model), first);
}

TEST(PvPerfOffer, RequestsArriveInTheOffer) {
  const PvPerfConfig config = offer({.events = 32u,
                                     .width = 64u,
                                     .publish_us = 250u,
                                     .minimum_period = 1000u,
                                     .interrupts_per_ms = 3u,
                                     .msr_base = 0x40010000u,
                                     .batch = false,
                                     .rdpmc = false,
                                     .raw = false,
                                     .hypercalls = false});
  EXPECT_EQ(config.events, 32);
  EXPECT_EQ(config.width, 64);
  EXPECT_EQ(config.publish_period_us, 250u);
  EXPECT_EQ(config.minimum_period, 1000u);
  EXPECT_EQ(config.interrupts_per_ms, 3u);
  EXPECT_EQ(config.msr_base, 0x40010000u);
  EXPECT_EQ(config.features.raw, 0x463u);
}

TEST(PvPerfOffer, RefusalsNameTheKeyTheReasonAndTheRemedy) {
  struct Case {
    PvPerfRequest request;
    const char* begin;
    const char* remedy;
  };
  const Case cases[] = {
      {{.events = 0u}, "events=0: ", "1 to 32"},
      {{.events = 33u}, "events=33: ", "1 to 32"},
      {{.width = 47u}, "width=47: ", "48 to 64"},
      {{.width = 65u}, "width=65: ", "48 to 64"},
      {{.publish_us = 1'000'001u}, "publish-us=1000001: ", "0 to 1000000"},
      {{.interrupts_per_ms = 0u}, "interrupts-per-ms=0: ", "1 to 1000000"},
      {{.msr_base = 0x10u}, "msr-base=0x10: ", "leave it out"},
      {{.msr_base = 0x40005100u}, "msr-base=0x40005100: ", "multiple of 0x200"},
      {{.msr_base = 0xffffff00u}, "msr-base=0xffffff00: ", "leave it out"},
      {{.msr_base = 0x4b564c00u}, "msr-base=0x4b564c00: ", "KVM"},
      {{.area = false, .batch = true}, "batch=on: ", "area=on"},
      {{.publish_us = 5u, .area = false}, "publish-us=5: ", "area=on"},
      {{.minimum_period = 5u, .auto_reload = false}, "min-period=5: ", "auto-reload=on"},
      {{.raw = true, .pool = true}, "raw=on: ", "pool=off"},
  };
  for (const Case& each : cases) {
    const std::string message = refusal(each.request);
    EXPECT_TRUE(message.starts_with(each.begin)) << message << ", not " << each.begin;
    EXPECT_NE(message.find(each.remedy), std::string::npos) << message;
  }
}

// ---- What can be --------------------------------------------------------------------------------

TEST(PvPerfPossible, NothingIsPossibleToo) {
  EXPECT_TRUE(possible({}));
  EXPECT_FALSE(possible({.features = {{mask_of(Features::kArea)}}}));
}

TEST(PvPerfPossible, EveryNumberHasItsRange) {
  const std::vector<std::function<void(PvPerfConfig&)>> breakages{
      [](auto& c) { c.events = 0; },
      [](auto& c) { c.events = 33; },
      [](auto& c) { c.width = 47; },
      [](auto& c) { c.width = 65; },
      [](auto& c) { c.msr_base = 0; },
      [](auto& c) { c.msr_base = 0xc0000000; },
      [](auto& c) { c.msr_base += 8; },
      [](auto& c) { c.cpuid_base = 0; },
      [](auto& c) { c.cpuid_base += 1; },
      [](auto& c) { c.cpuid_base = 0x40010000; },
      [](auto& c) { c.physical_bits = 31; },
      [](auto& c) { c.physical_bits = 53; },
      [](auto& c) { c.publish_period_us = 1'000'001; },
      [](auto& c) { c.interrupts_per_ms = 0; },
      [](auto& c) { c.generic_events |= 1u << 10; },
      [](auto& c) { c.software_events |= 1u << 4; },
      [](auto& c) { c.features.set(Features::kLvtpc, 0); },
      [](auto& c) { c.features.set(Features::kScaleTime, 0); },
      [](auto& c) { c.features.set(Features::kRdpmcNative, 1); },
      [](auto& c) { c.features.set(Features::kBreakpoint, 1); },
      [](auto& c) { c.features.set(Features::kBranchStack, 1); },
      [](auto& c) { c.features.set(Features::kPoolSafe, 1); },  // with raw events
      [](auto& c) { c.features.set(Features::kArea, 0); },      // with BATCH
      [](auto& c) { c.features.raw |= 1u << 13; },
      [](auto& c) {
        c.features.set(Features::kAutoReload, 0);
        c.minimum_period = 1;
      },
      [](auto& c) {
        c.features.set(Features::kArea, 0);
        c.features.set(Features::kBatch, 0);  // and is published
      },
  };
  ASSERT_TRUE(possible(offer()));
  for (std::size_t n = 0; n < breakages.size(); ++n) {
    PvPerfConfig config = offer();
    breakages[n](config);
    EXPECT_FALSE(possible(config)) << n;
  }
}

// ---- Where a guest can go -----------------------------------------------------------------------

TEST(PvPerfFits, SameOfferAndMoreFit) {
  EXPECT_TRUE(fits(offer(), offer()).has_value());
  EXPECT_TRUE(fits(offer({.raw = false}), offer()).has_value());
  EXPECT_TRUE(fits(offer({.publish_us = 0u}), offer()).has_value());
  EXPECT_TRUE(fits(offer({.minimum_period = 9u}), offer()).has_value());
  EXPECT_TRUE(fits(offer({}, *find_cpu_model("zen2")), offer()).has_value());
  EXPECT_TRUE(fits({}, {}).has_value());
}

TEST(PvPerfFits, InterruptsAndCountersAreTheHostsOwnAffair) {
  PvPerfConfig here = offer();
  here.interrupts_per_ms = 1;
  here.at_once = 1;
  EXPECT_TRUE(fits(offer(), here).has_value());
}

TEST(PvPerfFits, GuestOfAPoolGoesAnywhere) {
  for (const CpuModel* source : cpu_models()) {
    for (const CpuModel* here : cpu_models()) {
      EXPECT_TRUE(fits(offer({.pool = true}, *source), offer({.pool = true}, *here)).has_value());
    }
  }
}

TEST(PvPerfFits, RefusalsNameTheReasonAndTheRemedy) {
  struct Case {
    PvPerfRequest source, here;
    const char* reason;
    const char* remedy;
  };
  const Case cases[] = {
      {{.events = 8u}, {}, "8 events (N)", "events=8"},
      {{}, {.events = 8u}, "16 events (N)", "events=16"},
      {{.width = 50u}, {}, "50 bits (W)", "width=50"},
      {{}, {.msr_base = 0x40010000u}, "MSRs at 0x40005000", "msr-base=0x40005000"},
      {{}, {.batch = false}, "BATCH", "batch=on"},
      {{}, {.area = false}, "the shared page", "area=on"},
      {{}, {.rdpmc = false}, "RDPMC", "rdpmc=on"},
      {{}, {.auto_reload = false}, "auto-reload", "auto-reload=on"},
      {{}, {.raw = false}, "raw events", "raw=on"},
      {{.raw = false, .pool = true}, {}, "pool", "pool=on"},
      {{}, {.hypercalls = false}, "hypercalls", "hypercalls=on"},
      {{}, {.publish_us = 1001u}, "1000 us", "publish-us=1000"},
      {{}, {.publish_us = 0u}, "1000 us", "publish-us=1000"},
      {{.minimum_period = 3u}, {.minimum_period = 4u}, "periods from 3", "min-period=3"},
  };
  for (const Case& each : cases) {
    const auto fit = fits(offer(each.source), offer(each.here));
    ASSERT_FALSE(fit.has_value()) << each.reason;
    EXPECT_TRUE(fit.error().message.starts_with("PV perf: ")) << fit.error().message;
    EXPECT_NE(fit.error().message.find(each.reason), std::string::npos) << fit.error().message;
    EXPECT_NE(fit.error().message.find(each.remedy), std::string::npos) << fit.error().message;
  }
}

TEST(PvPerfFits, HostThatLacksAnEventIsRefusedByItsName) {
  const auto generic = fits(offer(), offer({}, *find_cpu_model("zen2")));
  ASSERT_FALSE(generic.has_value());
  EXPECT_NE(generic.error().message.find("reference cycles"), std::string::npos);
  EXPECT_NE(generic.error().message.find("pool=on"), std::string::npos);
  PvPerfConfig here = offer();
  here.software_events = 0b101;
  const auto software = fits(offer(), here);
  ASSERT_FALSE(software.has_value());
  EXPECT_NE(software.error().message.find("stolen time"), std::string::npos);
}

TEST(PvPerfFits, EachMissingGenericEventAloneIsEnough) {
  for (unsigned n = 0; n < pv::kGenericEvents; ++n) {
    PvPerfConfig source = offer(), here = offer();
    source.generic_events = (1u << pv::kGenericEvents) - 1;
    here.generic_events = source.generic_events & ~(1u << n);
    EXPECT_FALSE(fits(source, here).has_value()) << n;
    EXPECT_TRUE(fits(here, source).has_value()) << n;
  }
}

TEST(PvPerfFits, OfferAndNoneDoNotFit) {
  EXPECT_FALSE(fits(offer(), {}).has_value());
  EXPECT_FALSE(fits({}, offer()).has_value());
}

TEST(PvPerfFits, LeavesAndAddressesThatTheGuestHasSeenStay) {
  PvPerfConfig here = offer();
  here.cpuid_base = 0x40000100;
  EXPECT_FALSE(fits(offer(), here).has_value());
  here = offer();
  here.physical_bits = 45;
  EXPECT_FALSE(fits(offer(), here).has_value());
}

// ---- CPUID --------------------------------------------------------------------------------------

TEST(PvPerfCpuid, LeavesAreThoseOfTheAbi) {
  PvPerfConfig config =
      offer({.events = 32u, .width = 60u, .publish_us = 77u, .minimum_period = 9u});
  config.cpuid_base = 0x40000300;
  const auto leaf = [&](std::uint32_t n) {
    CpuidResult result;
    EXPECT_TRUE(pv_perf_cpuid(config, 0x40000300 + n, result));
    return result;
  };
  EXPECT_EQ(leaf(0), (CpuidResult{0x40000303, 0x554d5056, 0x554d5056, 0x554d5056}));
  EXPECT_EQ(leaf(1), (CpuidResult{0x166f, 0x00010000, 0x40005000, 0}));
  EXPECT_EQ(leaf(2), (CpuidResult{12u << 16 | 60u << 8 | 32u, 77, 9, 4096}));
  EXPECT_EQ(leaf(3), (CpuidResult{0x23f, 0x7, 0xf, 0}));
}

TEST(PvPerfCpuid, OtherLeavesAreSomebodyElses) {
  const CpuidResult before{1, 2, 3, 4};
  CpuidResult result = before;
  for (const std::uint32_t leaf : {0u, 0x3fffffffu, 0x40000004u, 0x40000100u, 0x80000000u}) {
    EXPECT_FALSE(pv_perf_cpuid(offer(), leaf, result)) << leaf;
  }
  EXPECT_FALSE(pv_perf_cpuid({}, 0x40000000, result));
  EXPECT_EQ(result, before);
}

TEST(PvPerfCpuid, CapSaysTheSame) {
  const PvPerfConfig config = offer({.events = 5u, .width = 51u});
  EXPECT_EQ(pv_perf_cap(config).raw, std::uint64_t{config.features.raw} | 5ull << 32 | 51ull << 40 |
                                         0ull << 48 | 1ull << 56);
}

}  // namespace
}  // namespace vpmu::virt::x86
