// SPDX-License-Identifier: MIT
//
// What EVTSEL may say, what it means on a host, and whom an operator is asked about.
#include "virt/x86/pv_perf_events.hpp"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "unit/virt/fake_event_gate.hpp"
#include "vpmu/silicon/x86/event_selector.hpp"
#include "vpmu/silicon/x86/portable_events.hpp"

namespace vpmu::virt::x86 {
namespace {

using pv::Code;
using silicon::x86::cpu_models;
using silicon::x86::CpuModel;
using silicon::x86::EventSelector;
using silicon::x86::find_cpu_model;
using silicon::x86::Vendor;
using Kind = PvPerfMeaning::Kind;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}

pv::Evtsel evtsel(pv::Type type, std::uint64_t code) {
  pv::Evtsel evtsel;
  evtsel.set(pv::Evtsel::kType, static_cast<std::uint64_t>(type));
  evtsel.set(pv::Evtsel::kCode, code);
  evtsel.set(pv::Evtsel::kEn, 1);
  evtsel.set(pv::Evtsel::kUsr, 1);
  return evtsel;
}
pv::Evtsel generic(pv::Generic event) {
  return evtsel(pv::Type::kGeneric, static_cast<std::uint64_t>(event));
}
pv::Evtsel cache(unsigned level, unsigned operation, unsigned result) {
  return evtsel(pv::Type::kCache, level | operation << 8 | result << 16);
}
pv::Evtsel raw_event(unsigned select, unsigned unit_mask, std::uint64_t conditions = 0) {
  return evtsel(pv::Type::kRaw, select | unit_mask << 12 | conditions);
}

PvPerfConfig offer(const CpuModel& model, const PvPerfRequest& request = {}) {
  return offer_pv_perf(model, request).value();
}

/// Admits nothing but what it is told.
class ListGate final : public EventGate {
 public:
  explicit ListGate(std::vector<EventSelector> admitted, std::uint32_t fixed = 0)
      : admitted_{std::move(admitted)}, fixed_{fixed} {}
  [[nodiscard]] bool admits(EventSelector event) const override {
    return std::ranges::find(admitted_, event) != admitted_.end();
  }
  [[nodiscard]] bool admits_fixed(unsigned k) const override { return (fixed_ >> k & 1) != 0; }

 private:
  std::vector<EventSelector> admitted_;
  std::uint32_t fixed_;
};

// ---- What may be written ------------------------------------------------------------------------

class PvPerfEventsCheck : public testing::Test {
 protected:
  const CpuModel& model = *find_cpu_model("icelake-server");
  PvPerfEvents events{offer(model), model};

  /// All codes that a type has, by brute force over each of 32 bits alone and small numbers.
  std::set<std::uint64_t> accepted(pv::Type type, std::uint64_t most) {
    std::set<std::uint64_t> codes;
    for (std::uint64_t code = 0; code <= most; ++code) {
      if (events.check(evtsel(type, code)) == Code::kOk) codes.insert(code);
    }
    return codes;
  }
};

TEST_F(PvPerfEventsCheck, EveryTypeButTheFourIsRefused) {
  for (unsigned type = 0; type < 0x100; ++type) {
    pv::Evtsel written = evtsel(pv::Type::kGeneric, 0);
    written.set(pv::Evtsel::kType, type);
    EXPECT_EQ(events.check(written), type <= 3 ? Code::kOk : Code::kType) << type;
  }
  EXPECT_EQ(events.check(evtsel(pv::Type::kBreakpoint, 0)), Code::kType);
}

TEST_F(PvPerfEventsCheck, RawEventsAreATypeOnlyWhereTheyAreOffered) {
  const PvPerfEvents without{offer(model, {.raw = false}), model};
  EXPECT_EQ(events.check(raw_event(0xc0, 0)), Code::kOk);
  EXPECT_EQ(without.check(raw_event(0xc0, 0)), Code::kType);
}

TEST_F(PvPerfEventsCheck, EveryReservedBitAloneIsRefused) {
  for (unsigned n = 44; n < 64; ++n) {
    EXPECT_EQ(events.check({{evtsel(pv::Type::kGeneric, 0).raw | bit(n)}}), Code::kReserved) << n;
    // Whatever else is wrong with it.
    EXPECT_EQ(events.check({{evtsel(pv::Type::kBreakpoint, ~0u).raw | bit(n)}}), Code::kReserved);
  }
}

TEST_F(PvPerfEventsCheck, FlagsAreFree) {
  for (unsigned flags = 0; flags < 16; ++flags) {
    EXPECT_EQ(events.check({{std::uint64_t{flags} << 40}}), Code::kOk) << flags;
  }
}

TEST_F(PvPerfEventsCheck, GenericCodesAreTen) {
  EXPECT_EQ(accepted(pv::Type::kGeneric, 0xffff).size(), 10u);
  EXPECT_EQ(events.check(evtsel(pv::Type::kGeneric, 9)), Code::kOk);
  EXPECT_EQ(events.check(evtsel(pv::Type::kGeneric, 10)), Code::kCode);
  for (unsigned n = 4; n < 32; ++n) {
    EXPECT_EQ(events.check(evtsel(pv::Type::kGeneric, bit(n))), Code::kCode) << n;
  }
}

TEST_F(PvPerfEventsCheck, SoftwareCodesAreFour) {
  EXPECT_EQ(accepted(pv::Type::kSoftware, 0xffff).size(), 4u);
  for (unsigned n = 2; n < 32; ++n) {
    EXPECT_EQ(events.check(evtsel(pv::Type::kSoftware, bit(n))), Code::kCode) << n;
  }
}

TEST_F(PvPerfEventsCheck, CacheCodesAreTheProductOfTheirThreeParts) {
  std::set<std::uint64_t> expected;
  for (unsigned level = 0; level < 7; ++level) {
    for (unsigned operation = 0; operation < 3; ++operation) {
      for (unsigned result = 0; result < 2; ++result) {
        expected.insert(level | operation << 8 | result << 16);
      }
    }
  }
  EXPECT_EQ(accepted(pv::Type::kCache, 0x3ffff), expected);
  for (unsigned n = 17; n < 32; ++n) {
    EXPECT_EQ(events.check(evtsel(pv::Type::kCache, bit(n))), Code::kCode) << n;
  }
}

TEST_F(PvPerfEventsCheck, RawCodesLeaveOutTheirTopTwoBits) {
  for (unsigned n = 0; n < 32; ++n) {
    EXPECT_EQ(events.check(evtsel(pv::Type::kRaw, bit(n))), n < 30 ? Code::kOk : Code::kCode) << n;
  }
  EXPECT_EQ(events.check(evtsel(pv::Type::kRaw, bit(30) - 1)), Code::kOk);
}

TEST_F(PvPerfEventsCheck, AbsentEventsMayBeWritten) {
  EXPECT_EQ(events.check(generic(pv::Generic::kBusCycles)), Code::kOk);
  EXPECT_EQ(events.check(cache(1, 0, 0)), Code::kOk);
  EXPECT_EQ(events.check(raw_event(0xfff, 0xff)), Code::kOk);
}

// ---- What it means ------------------------------------------------------------------------------

TEST(PvPerfEventsMeaning, GenericEventIsAbsentExactlyIfItsBitIs) {
  for (const CpuModel* model : cpu_models()) {
    const PvPerfConfig config = offer(*model);
    const PvPerfEvents events{config, *model};
    for (unsigned n = 0; n < pv::kGenericEvents; ++n) {
      const PvPerfMeaning meaning = events.meaning(generic(static_cast<pv::Generic>(n)));
      const bool offered = (config.generic_events >> n & 1) != 0;
      EXPECT_EQ(meaning.kind, offered ? Kind::kHostEvent : Kind::kAbsent)
          << model->name << ' ' << n;
    }
  }
}

TEST(PvPerfEventsMeaning, WhatWasNotOfferedIsAbsentThoughTheHostHasIt) {
  const CpuModel& model = *find_cpu_model("zen4");
  PvPerfConfig config = offer(model);
  config.generic_events = 1;
  config.software_events = 0;
  const PvPerfEvents events{config, model};
  EXPECT_EQ(events.meaning(generic(pv::Generic::kCycles)).kind, Kind::kHostEvent);
  EXPECT_EQ(events.meaning(generic(pv::Generic::kInstructions)).kind, Kind::kAbsent);
  EXPECT_EQ(events.meaning(evtsel(pv::Type::kSoftware, 0)).kind, Kind::kAbsent);
}

TEST(PvPerfEventsMeaning, EverythingIsWhatTheSiliconSaysItIs) {
  for (const CpuModel* model : cpu_models()) {
    const PvPerfEvents events{offer(*model), *model};
    const PvPerfMeaning cycles = events.meaning(generic(pv::Generic::kCycles));
    const bool amd = model->vendor == Vendor::kAmd;
    EXPECT_EQ(cycles.config, amd ? 0x76u : 0x3cu) << model->name;
    EXPECT_EQ(cycles.selector, (EventSelector{amd ? std::uint16_t{0x76} : std::uint16_t{0x3c}, 0}));
    EXPECT_FALSE(cycles.fixed_only);
    const PvPerfMeaning stores = events.meaning(cache(3, 1, 0));
    EXPECT_EQ(stores.config, amd ? 0x0229u : 0x82d0u) << model->name;
  }
}

TEST(PvPerfEventsMeaning, FixedOnlyEventKnowsItsCounter) {
  const CpuModel& model = *find_cpu_model("skylake-server");
  const PvPerfEvents events{offer(model), model};
  const PvPerfMeaning meaning = events.meaning(generic(pv::Generic::kReferenceCycles));
  EXPECT_EQ(meaning.fixed_only, 2u);
  EXPECT_EQ(meaning.config, 0x0300u);
}

TEST(PvPerfEventsMeaning, SelectorsOfTwelveBitsAreInTwoPlaces) {
  const CpuModel& model = *find_cpu_model("zen4");
  const PvPerfEvents events{offer(model), model};
  const PvPerfMeaning portable = events.meaning(generic(pv::Generic::kReferenceCycles));
  EXPECT_EQ(portable.config, bit(32) | 0x0120u);
  EXPECT_EQ(portable.selector, (EventSelector{0x120, 1}));
  EXPECT_EQ(events.meaning(raw_event(0x1a0, 0x1e)).config, bit(32) | 0x1ea0u);
}

TEST(PvPerfEventsMeaning, RawConditionsArriveInTheEventSelect) {
  for (const char* name : {"icelake-server", "zen2"}) {
    const CpuModel& model = *find_cpu_model(name);
    const PvPerfEvents events{offer(model), model};
    // Counter mask 0xa5, edge, inverted.
    const auto meaning = events.meaning(raw_event(0xc0, 0x12, 0xa5u << 20 | bit(28) | bit(29)));
    EXPECT_EQ(meaning.config, 0xa500'0000u | bit(18) | bit(23) | 0x12c0u) << name;
    EXPECT_EQ(meaning.selector, (EventSelector{0xc0, 0x12})) << name;
    // One after the other.
    EXPECT_EQ(events.meaning(raw_event(0xc0, 0, bit(28))).config, bit(18) | 0xc0u);
    EXPECT_EQ(events.meaning(raw_event(0xc0, 0, bit(29))).config, bit(23) | 0xc0u);
    EXPECT_EQ(events.meaning(raw_event(0xc0, 0, bit(20))).config, bit(24) | 0xc0u);
  }
}

TEST(PvPerfEventsMeaning, SoftwareEventsAreTheHypervisors) {
  const CpuModel& model = *find_cpu_model("zen2");
  const PvPerfEvents events{offer(model), model};
  for (unsigned n = 0; n < 3; ++n) {
    const PvPerfMeaning meaning = events.meaning(evtsel(pv::Type::kSoftware, n));
    EXPECT_EQ(meaning.kind, Kind::kSoftware);
    EXPECT_EQ(meaning.software, static_cast<pv::Software>(n));
  }
  EXPECT_EQ(events.meaning(evtsel(pv::Type::kSoftware, 3)).kind, Kind::kAbsent);
}

TEST(PvPerfEventsMeaning, GuestOfAPoolHasTheCacheEventsThatAreEverywhere) {
  for (const CpuModel* model : cpu_models()) {
    const PvPerfEvents events{offer(*model, {.pool = true}), *model};
    for (unsigned n = 0; n < 42; ++n) {
      const silicon::x86::CacheEvent event{
          static_cast<silicon::x86::CacheEvent::Cache>(n / 6),
          static_cast<silicon::x86::CacheEvent::Operation>(n / 2 % 3),
          static_cast<silicon::x86::CacheEvent::Result>(n % 2)};
      bool everywhere = true;
      for (const CpuModel* each : cpu_models()) everywhere &= find_event(*each, event) != nullptr;
      EXPECT_EQ(events.meaning(cache(n / 6, n / 2 % 3, n % 2)).kind,
                everywhere ? Kind::kHostEvent : Kind::kAbsent)
          << model->name << ' ' << n;
    }
    EXPECT_EQ(events.meaning(cache(0, 0, 0)).kind, Kind::kHostEvent) << model->name;
    EXPECT_EQ(events.meaning(cache(0, 0, 1)).kind, Kind::kAbsent) << model->name;
  }
}

// ---- Who may count it ---------------------------------------------------------------------------

TEST(PvPerfEventsFilter, WithoutGatesAllThatTheHostHasIsAdmitted) {
  for (const CpuModel* model : cpu_models()) {
    const PvPerfEvents events{offer(*model), *model};
    for (unsigned n = 0; n < pv::kGenericEvents; ++n) {
      const pv::Evtsel written = generic(static_cast<pv::Generic>(n));
      EXPECT_TRUE(events.admits(written, events.meaning(written), nullptr, nullptr));
    }
  }
}

TEST(PvPerfEventsFilter, GenericAndCacheEventsAreAskedForByWhatTheyMeanHere) {
  for (const CpuModel* model : cpu_models()) {
    const PvPerfEvents events{offer(*model), *model};
    for (const pv::Evtsel written :
         {generic(pv::Generic::kCycles), generic(pv::Generic::kBranchMisses),
          generic(pv::Generic::kCacheReferences), cache(0, 0, 0), cache(5, 0, 1)}) {
      const PvPerfMeaning meaning = events.meaning(written);
      ASSERT_EQ(meaning.kind, Kind::kHostEvent);
      FakeEventGate excluding;
      excluding.denied_fixed = ~0u;  // is not asked for
      EXPECT_TRUE(events.admits(written, meaning, &excluding, nullptr)) << model->name;
      excluding.denied = {meaning.selector};
      EXPECT_FALSE(events.admits(written, meaning, &excluding, nullptr)) << model->name;
      EXPECT_TRUE(events.admits(written, meaning, nullptr, nullptr));
      const ListGate including{{meaning.selector}}, others{{{0x5a, 0xa5}}, ~0u};
      EXPECT_TRUE(events.admits(written, meaning, &including, nullptr)) << model->name;
      EXPECT_FALSE(events.admits(written, meaning, &others, nullptr)) << model->name;
    }
  }
}

TEST(PvPerfEventsFilter, FixedOnlyEventIsAskedForByItsCounter) {
  const CpuModel& model = *find_cpu_model("haswell-server");
  const PvPerfEvents events{offer(model), model};
  const pv::Evtsel written = generic(pv::Generic::kReferenceCycles);
  const PvPerfMeaning meaning = events.meaning(written);
  EXPECT_TRUE(events.admits(written, meaning,
                            std::make_unique<ListGate>(std::vector<EventSelector>{}, 1u << 2).get(),
                            nullptr));
  const ListGate other{{meaning.selector}, ~(1u << 2)};
  EXPECT_FALSE(events.admits(written, meaning, &other, nullptr));
}

TEST(PvPerfEventsFilter, TwelveBitSelectsAreAskedForWhole) {
  const CpuModel& model = *find_cpu_model("zen4");
  const PvPerfEvents events{offer(model), model};
  const pv::Evtsel written = generic(pv::Generic::kReferenceCycles);
  const ListGate whole{{{0x120, 0x01}}}, low{{{0x020, 0x01}}};
  EXPECT_TRUE(events.admits(written, events.meaning(written), &whole, nullptr));
  EXPECT_FALSE(events.admits(written, events.meaning(written), &low, nullptr));
}

TEST(PvPerfEventsFilter, RawEventsOutsideTheModelsTableAreRefused) {
  for (const CpuModel* model : cpu_models()) {
    const PvPerfEvents events{offer(*model), *model};
    for (unsigned select = 0; select <= 0xfff; ++select) {
      for (const unsigned unit_mask : {0x00u, 0x01u, 0x02u, 0x08u, 0x1eu, 0x4fu, 0x81u, 0xffu}) {
        const pv::Evtsel written = raw_event(select, unit_mask);
        const EventSelector selector{static_cast<std::uint16_t>(select),
                                     static_cast<std::uint8_t>(unit_mask)};
        const auto* row = silicon::x86::find_event(model->events, selector);
        const bool known =
            row != nullptr && row->counted_on == silicon::x86::CountedOn::kAnyCounter;
        ASSERT_EQ(events.admits(written, events.meaning(written), nullptr, nullptr), known)
            << model->name << std::hex << ' ' << select << ' ' << unit_mask;
      }
    }
  }
}

TEST(PvPerfEventsFilter, AllowListOfRawEventsReplacesTheTableAndTheFilterIsAskedToo) {
  const CpuModel& model = *find_cpu_model("icelake-server");
  const PvPerfEvents events{offer(model), model};
  const ListGate allowed{{{0xc0, 0x00}, {0xab, 0x01}}};
  const auto admits = [&](unsigned select, unsigned unit_mask, const EventGate* gate = nullptr) {
    const pv::Evtsel written = raw_event(select, unit_mask);
    return events.admits(written, events.meaning(written), gate, &allowed);
  };
  EXPECT_TRUE(admits(0xc0, 0x00));
  EXPECT_TRUE(admits(0xab, 0x01));
  EXPECT_FALSE(admits(0xc4, 0x00));
  FakeEventGate gate;
  gate.denied = {{0xc0, 0x00}};
  EXPECT_FALSE(admits(0xc0, 0x00, &gate));
  EXPECT_TRUE(admits(0xab, 0x01, &gate));
  // What a generic event means is no raw event.
  const pv::Evtsel branches = generic(pv::Generic::kBranches);
  EXPECT_TRUE(events.admits(branches, events.meaning(branches), nullptr, &allowed));
}

TEST(PvPerfEventsFilter, RawEventIsNeverAFixedCounterNorCutToEightBitsOnIntel) {
  const CpuModel& model = *find_cpu_model("icelake-server");
  const PvPerfEvents events{offer(model), model};
  const ListGate fixed{{{0x00, 0x03}, {0x1c0, 0x00}, {0xc0, 0x00}}, ~0u};
  for (const auto& [select, unit_mask] : {std::pair{0x00u, 0x03u}, {0x1c0u, 0x00u}}) {
    const pv::Evtsel written = raw_event(select, unit_mask);
    EXPECT_FALSE(events.admits(written, events.meaning(written), &fixed, &fixed));
    EXPECT_FALSE(events.admits(written, events.meaning(written), nullptr, nullptr));
  }
}

TEST(PvPerfEventsFilter, NobodyIsAskedAboutWhatTheHypervisorCounts) {
  const CpuModel& model = *find_cpu_model("icelake-server");
  const PvPerfEvents events{offer(model), model};
  FakeEventGate gate;
  const pv::Evtsel exits = evtsel(pv::Type::kSoftware, 0);
  EXPECT_TRUE(events.admits(exits, events.meaning(exits), &gate, &gate));
  EXPECT_EQ(gate.questions, 0);
}

}  // namespace
}  // namespace vpmu::virt::x86
