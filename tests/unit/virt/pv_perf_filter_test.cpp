// SPDX-License-Identifier: MIT
//
// What a guest may count with PV perf, on each CPU model: the operator's filter, by what an event
// means there, and the list of raw events that may be named at all.
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "unit/virt/fake_pv_perf_host.hpp"
#include "unit/virt/filter_images.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::virt::x86 {
namespace {

using pv::BankMsr;
using pv::Code;
using pv::Evtsel;
using pv::Msr;
using silicon::RawEvent;
using silicon::x86::CpuModel;
using silicon::x86::Vendor;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}

/// A guest on one CPU model, with everything that is offered there.
class Guest {
 public:
  explicit Guest(const CpuModel& cpu, const EventGate* raw_events = nullptr)
      : model{cpu},
        perf{cpu, vcpus},
        pv{offer_pv_perf(cpu, {}).value(),
           {.model = &cpu,
            .perf = &perf,
            .vcpu = hostperf::VcpuIndex{0},
            .host = &around,
            .areas = &areas,
            .raw_events = raw_events}} {
    pv.scheduled_in();
    EXPECT_EQ(write(raw(Msr::kGlobalCtrl), 0xffff), Access::done());
  }
  Access write(std::uint32_t offset, std::uint64_t value) {
    const Access access =
        pv.write_msr(MsrIndex{pv.config().msr_base + offset}, value, Initiator::kGuest);
    pv.before_entry();
    return access;
  }
  void select(unsigned i, Evtsel evtsel) { EXPECT_EQ(try_select(i, evtsel), Access::done()); }
  Access try_select(unsigned i, Evtsel evtsel) {
    return write(raw(Msr::kFirstBank) + pv::kBankMsrs * i, evtsel.raw);
  }
  void retire(std::uint64_t n) {
    for (std::size_t e = 0; e < silicon::kNamedRawEventCount; ++e) {
      totals.add(static_cast<RawEvent>(e), silicon::Privilege::kKernel, n);
    }
    deadlines.fire_due();
    pv.before_entry();
  }
  [[nodiscard]] Code code(unsigned i) const {
    return static_cast<Code>(pv.state(i).get(pv::State::kCode));
  }
  [[nodiscard]] std::uint64_t counted(unsigned i) const { return pv.value(i); }

  const CpuModel& model;
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  const std::array<hostperf::ModelledVcpu, 1> vcpus{hostperf::ModelledVcpu{&totals, &deadlines}};
  hostperf::ModelledHostPerf perf;
  FakePvPerfHost around;
  PvPerfAreas areas;
  PvPerf pv;
};

Evtsel event(pv::Type type, std::uint32_t code) {
  Evtsel evtsel;
  evtsel.set(Evtsel::kType, static_cast<std::uint64_t>(type));
  evtsel.set(Evtsel::kCode, code);
  evtsel.set(Evtsel::kOs, 1);
  evtsel.set(Evtsel::kEn, 1);
  return evtsel;
}
Evtsel generic(pv::Generic code) {
  return event(pv::Type::kGeneric, static_cast<std::uint32_t>(code));
}
Evtsel raw_event(unsigned select, unsigned unit_mask = 0) {
  return event(pv::Type::kRaw, select | unit_mask << 12);
}

constexpr pv::Generic kCycles = pv::Generic::kCycles, kInstructions = pv::Generic::kInstructions,
                      kReferenceCycles = pv::Generic::kReferenceCycles;

TEST(PvPerfFilter, IncludedEventsCountAndOthersDoNotHoweverTheyAreNamed) {
  for (const CpuModel* model : silicon::x86::cpu_models()) {
    const bool amd = model->vendor == Vendor::kAmd;
    const std::uint16_t branches = amd ? 0xc2 : 0xc4;
    const auto filter = filter_of(
        image_of(kAllow, kMaskedMode, {include(0xc0, 0xff, 0x00), include(branches, 0xff, 0x00)}),
        model->vendor);
    Guest guest{*model};
    guest.pv.set_event_gate(filter.get());
    guest.select(0, generic(kInstructions));
    guest.select(1, generic(kCycles));
    guest.select(2, raw_event(0xc0));
    guest.select(3, raw_event(amd ? 0x76 : 0x3c));
    guest.select(4, event(pv::Type::kCache, 0x000005));  // branches
    guest.select(5, event(pv::Type::kCache, 0x000000));  // loads
    guest.retire(10);
    for (unsigned i = 0; i < 6; ++i) {
      const bool included = i % 2 == 0;
      EXPECT_EQ(guest.counted(i), included ? 10u : 0u) << model->name << ' ' << i;
      EXPECT_EQ(guest.code(i), included ? Code::kOk : Code::kFiltered) << model->name << ' ' << i;
      EXPECT_EQ(guest.pv.state(i).get(pv::State::kRefused), included ? 0u : 1u);
    }
    EXPECT_EQ(guest.pv.open_host_events(), 3u);
    // The host could have: it is no trouble of its.
    EXPECT_EQ(guest.pv.global_status(), 0u);
    EXPECT_EQ(guest.pv.error().get(pv::ErrorRegister::kId), 5u);
  }
}

TEST(PvPerfFilter, ExcludedEventsDoNotCountHoweverTheyAreNamed) {
  for (const CpuModel* model : silicon::x86::cpu_models()) {
    const bool amd = model->vendor == Vendor::kAmd;
    const std::uint16_t cycles = amd ? 0x76 : 0x3c;
    const auto filter =
        filter_of(image_of(kDeny, kMaskedMode, {include(cycles, 0xff, 0x00)}, 0), model->vendor);
    Guest guest{*model};
    guest.pv.set_event_gate(filter.get());
    guest.select(0, generic(kCycles));
    guest.select(1, raw_event(cycles));
    guest.select(2, generic(kInstructions));
    guest.retire(7);
    EXPECT_EQ(guest.counted(0), 0u) << model->name;
    EXPECT_EQ(guest.counted(1), 0u) << model->name;
    EXPECT_EQ(guest.counted(2), 7u) << model->name;
  }
}

TEST(PvPerfFilter, FixedCountersBitmapIsForWhatOnlyTheyCount) {
  // On Skylake reference cycles are fixed counter 2's, and 3C 01 in hardware something else.
  const CpuModel& model = *silicon::x86::find_cpu_model("skylake-server");
  for (const bool allowed : {true, false}) {
    const auto filter = filter_of(
        image_of(kAllow, kMaskedMode, {include(0xc0, 0xff, 0x00)}, allowed ? 1u << 2 : 1u << 1));
    Guest guest{model};
    guest.pv.set_event_gate(filter.get());
    guest.select(0, generic(kReferenceCycles));
    guest.select(1, generic(kInstructions));  // by its selector, though fixed counter 0 is not
    guest.select(2, generic(kCycles));        // nor is fixed counter 1 enough
    guest.retire(3);
    EXPECT_EQ(guest.counted(0), allowed ? 3u : 0u);
    EXPECT_EQ(guest.counted(1), 3u);
    EXPECT_EQ(guest.counted(2), 0u);
  }
}

TEST(PvPerfFilter, SelectsOfTwelveBitsAreToldFromTheirLowEight) {
  const CpuModel& model = *silicon::x86::find_cpu_model("zen4");
  for (const std::uint16_t admitted : {0x120, 0x020}) {
    const auto filter =
        filter_of(image_of(kAllow, kMaskedMode, {include(admitted, 0xff, 0x01)}), Vendor::kAmd);
    Guest guest{model};
    guest.pv.set_event_gate(filter.get());
    guest.select(0, generic(kReferenceCycles));
    guest.select(1, raw_event(0x120, 0x01));
    guest.retire(4);
    for (const unsigned i : {0u, 1u}) {
      EXPECT_EQ(guest.counted(i), admitted == 0x120 ? 4u : 0u) << admitted << ' ' << i;
    }
  }
}

TEST(PvPerfFilter, RawEventOutsideTheListIsTakenAndCountsNothing) {
  const CpuModel& model = *silicon::x86::find_cpu_model("icelake-server");
  const auto list = filter_of(image_of(kAllow, kMaskedMode, {include(0xc4, 0xff, 0x00)}));
  Guest guest{model, list.get()};
  guest.select(0, raw_event(0xc0));
  guest.select(1, raw_event(0xc4));
  guest.select(2, generic(kInstructions));
  guest.retire(9);
  EXPECT_EQ(guest.counted(0), 0u);
  EXPECT_EQ(guest.code(0), Code::kFiltered);
  EXPECT_EQ(static_cast<Code>(guest.pv.error().get(pv::ErrorRegister::kCode)), Code::kFiltered);
  EXPECT_EQ(guest.pv.error().get(pv::ErrorRegister::kId), 0u);
  EXPECT_EQ(guest.counted(1), 9u);
  EXPECT_EQ(guest.counted(2), 9u);  // the list is of raw events only
}

TEST(PvPerfFilter, WithoutAListRawEventsAreThoseOfTheModelsTable) {
  for (const CpuModel* model : silicon::x86::cpu_models()) {
    Guest guest{*model};
    for (const silicon::x86::EventRow& row : model->events) {
      guest.select(0, raw_event(row.selector.event, row.selector.unit_mask));
      const bool general = row.counted_on == silicon::x86::CountedOn::kAnyCounter;
      EXPECT_EQ(guest.code(0), general ? Code::kOk : Code::kFiltered) << row.name;
      EXPECT_EQ(guest.pv.status(0), general ? CounterStatus::kCounting : CounterStatus::kDenied)
          << model->name << ' ' << row.name;
    }
    // Offcore responses and uncore events are in no table.
    for (const unsigned select : {0xb7u, 0xbbu, 0x00u, 0x34u}) {
      guest.select(0, raw_event(select, 0x01));
      EXPECT_EQ(guest.code(0), Code::kFiltered) << model->name << ' ' << select;
    }
  }
}

TEST(PvPerfFilter, ListIsNoWayAroundWhatTheHostCannotCount) {
  const CpuModel& model = *silicon::x86::find_cpu_model("icelake-server");
  const auto list = filter_of(image_of(kDeny, kMaskedMode, {}));  // all of them
  Guest guest{model, list.get()};
  guest.select(0, raw_event(0xb7, 0x01));
  EXPECT_EQ(guest.code(0), Code::kCode);
  EXPECT_EQ(guest.pv.global_status(), bit(62));
  guest.select(0, raw_event(0x00, 0x01));  // a fixed counter's, to Linux
  EXPECT_EQ(guest.code(0), Code::kFiltered);
}

// ---- What is #GP --------------------------------------------------------------------------------

TEST(PvPerfEvtsel, WhatIsRefusedChangesNothing) {
  for (const CpuModel* model : silicon::x86::cpu_models()) {
    Guest guest{*model};
    guest.select(3, generic(kInstructions));
    guest.retire(5);
    const PvPerfState before = guest.pv.save();
    for (std::uint64_t type = 4; type < 0x100; ++type) {
      EXPECT_EQ(guest.try_select(3, {{type | bit(42)}}), Access::fault()) << type;
    }
    for (unsigned n = 44; n < 64; ++n) {
      EXPECT_EQ(guest.try_select(3, {{generic(kCycles).raw | bit(n)}}), Access::fault()) << n;
    }
    for (const Evtsel evtsel : {event(pv::Type::kGeneric, 10), event(pv::Type::kGeneric, 1u << 31),
                                event(pv::Type::kCache, 7), event(pv::Type::kCache, 3 << 8),
                                event(pv::Type::kCache, 2 << 16), event(pv::Type::kCache, 1 << 24),
                                event(pv::Type::kRaw, 1u << 30), event(pv::Type::kRaw, 1u << 31),
                                event(pv::Type::kSoftware, 4)}) {
      EXPECT_EQ(guest.try_select(3, evtsel), Access::fault()) << std::hex << evtsel.raw;
    }
    EXPECT_EQ(guest.pv.save(), before);
    guest.retire(5);
    EXPECT_EQ(guest.counted(3), 10u);
  }
}

}  // namespace
}  // namespace vpmu::virt::x86
