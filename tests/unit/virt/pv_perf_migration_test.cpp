// SPDX-License-Identifier: MIT
//
// A guest that moves all the time, between hosts with different CPUs, and its twin that stays at
// home: the same instructions, registers and interrupts, so the same counts, states and page, at
// every instruction.
#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "unit/virt/fake_event_gate.hpp"
#include "unit/virt/fake_pv_perf_host.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/virt/x86/pv_perf.hpp"

namespace vpmu::virt::x86 {
namespace {

using pv::BankMsr;
using pv::Msr;
using silicon::Privilege;
using silicon::RawEvent;
using silicon::x86::CpuModel;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}
constexpr std::uint64_t kPage = 0x2000;
constexpr unsigned kEvents = 6;  ///< as many as the smallest host has counters

struct Host final : hostperf::OverflowHandler {
  explicit Host(const CpuModel& cpu) : model{cpu}, perf{cpu, vcpus} {}

  /// So many counters are taken by somebody else, who counts branches on an Ice Lake.
  void take_counters(unsigned n) {
    for (; n > 0; --n) {
      const auto taken = perf.open({.config = 0xc4, .pinned = true},
                                   hostperf::Target::of(hostperf::HostCpu{0}), *this);
      ASSERT_TRUE(taken.has_value());
      perf.enable(*taken);
    }
  }
  void on_overflow(hostperf::EventId, std::uint64_t) override {}

  const CpuModel& model;
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  const std::array<hostperf::ModelledVcpu, 1> vcpus{hostperf::ModelledVcpu{&totals, &deadlines}};
  hostperf::ModelledHostPerf perf;
};

/// What one instruction retires.
struct Instruction {
  std::array<std::uint8_t, silicon::kCommonRawEventCount> events{};
  Privilege privilege = Privilege::kKernel;
};

/// A guest on one host after the other.
class Guest {
 public:
  Guest(const PvPerfConfig& config, Host& first, const EventGate* gate)
      : config_{config}, host_{&first}, gate_{gate} {
    around.on_pmi = [this] {
      around.outcome = masked ? PmiOutcome::kMasked : PmiOutcome::kDelivered;
      if (!masked) delivered_at.push_back(around.now);
      masked = true;
    };
    make();
  }
  void move_to(Host& next) {
    const PvPerfState state = pv->save();
    pv.reset();
    host_ = &next;
    make();
    const auto restored = pv->restore(state);
    ASSERT_TRUE(restored.has_value()) << restored.error().message;
    ASSERT_TRUE(pv->has_entry_work());
  }
  /// False: #GP.
  bool write(std::uint32_t offset, std::uint64_t value) {
    return pv->write_msr(MsrIndex{config_.msr_base + offset}, value, Initiator::kGuest).is_done();
  }
  void enter() {
    if (pv->due_ns(false) <= around.now) pv->time_passed();
    if (pv->has_entry_work()) pv->before_entry();
  }
  void retire(const Instruction& instruction) {
    for (std::size_t n = 0; n < instruction.events.size(); ++n) {
      host_->totals.add(static_cast<RawEvent>(n), instruction.privilege, instruction.events[n]);
    }
    constexpr std::uint64_t kNsPerCycle = 20;
    around.now += kNsPerCycle * instruction.events[static_cast<std::size_t>(RawEvent::kCycles)];
    host_->deadlines.fire_due();
  }
  [[nodiscard]] std::vector<std::uint8_t> page() {
    const std::uint8_t* begin = around.bytes(GuestPhysical{kPage});
    // Without the sequence, which goes on behind the page's number wherever the guest goes on.
    return {begin + sizeof(std::uint32_t), begin + pv::kAreaBytes};
  }

  FakePvPerfHost around;
  PvPerfAreas areas;
  bool masked = false;  ///< LVTPC
  std::vector<std::uint64_t> delivered_at;
  std::unique_ptr<PvPerf> pv;

 private:
  void make() {
    pv = std::make_unique<PvPerf>(config_, PvPerf::Around{.model = &host_->model,
                                                          .perf = &host_->perf,
                                                          .vcpu = hostperf::VcpuIndex{0},
                                                          .host = &around,
                                                          .areas = &areas});
    if (gate_ != nullptr) pv->set_event_gate(gate_);
    pv->scheduled_in();
  }

  const PvPerfConfig config_;
  Host* host_;
  const EventGate* gate_;
};

/// Both do the same; only one moves.
class Twins {
 public:
  Twins(const PvPerfConfig& config, Host& home, Host& first, const EventGate* gate = nullptr)
      : stays{config, home, gate}, moves{config, first, gate} {}

  template <class Function>
  void both(Function function) {
    function(stays);
    function(moves);
  }
  void write(std::uint32_t offset, std::uint64_t value) {
    const bool done = stays.write(offset, value);
    ASSERT_EQ(moves.write(offset, value), done) << offset << ' ' << value;
  }
  void write(Msr which, std::uint64_t value) { write(raw(which), value); }
  void write(unsigned i, BankMsr which, std::uint64_t value) {
    write(raw(Msr::kFirstBank) + pv::kBankMsrs * i + raw(which), value);
  }
  void compare() {
    const PvPerf &one = *stays.pv, &other = *moves.pv;
    ASSERT_EQ(other.global_ctrl(), one.global_ctrl());
    ASSERT_EQ(other.global_status(), one.global_status());
    ASSERT_EQ(other.error(), one.error());
    for (unsigned i = 0; i < kEvents; ++i) {
      ASSERT_EQ(other.value(i), one.value(i)) << i;
      ASSERT_EQ(other.evtsel(i), one.evtsel(i)) << i;
      ASSERT_EQ(other.period(i), one.period(i)) << i;
      ASSERT_EQ(other.times(i).enabled_ns, one.times(i).enabled_ns) << i;
      ASSERT_EQ(other.times(i).running_ns, one.times(i).running_ns) << i;
      ASSERT_EQ(other.state(i), one.state(i)) << i;
    }
    ASSERT_EQ(moves.delivered_at, stays.delivered_at);
    ASSERT_EQ(moves.page(), stays.page());
  }

  Guest stays, moves;
};

class PvPerfMigration : public testing::Test {
 protected:
  std::uint64_t below(std::uint64_t most) { return random() % most; }

  Instruction instruction() {
    Instruction one;
    one.privilege = below(4) == 0 ? Privilege::kUser : Privilege::kKernel;
    for (std::uint8_t& n : one.events) n = static_cast<std::uint8_t>(below(3));
    one.events[static_cast<std::size_t>(RawEvent::kInstructions)] = 1;
    const auto cycles = static_cast<std::uint8_t>(1 + below(200));
    one.events[static_cast<std::size_t>(RawEvent::kCycles)] = cycles;
    one.events[static_cast<std::size_t>(RawEvent::kReferenceCycles)] = cycles;
    return one;
  }

  std::uint64_t some_evtsel(bool raw_events) {
    pv::Evtsel evtsel;
    const std::uint64_t type = below(raw_events ? 4 : 3);
    constexpr std::uint64_t kCaches[] = {0x000005, 0x010005, 0x000001, 0x010006,
                                         0x000000, 0x000100, 0x000003};
    constexpr std::uint64_t kRaw[] = {0x000c0, 0x000c4, 0x02bad, 0x00000, 0x000c5};
    switch (type) {
      case 0: evtsel.set(pv::Evtsel::kCode, below(10)); break;
      case 1: evtsel.set(pv::Evtsel::kCode, kCaches[below(std::size(kCaches))]); break;
      case 2: evtsel.set(pv::Evtsel::kCode, below(4)); break;
      default: evtsel.set(pv::Evtsel::kCode, kRaw[below(std::size(kRaw))]); break;
    }
    constexpr pv::Type kTypes[] = {pv::Type::kGeneric, pv::Type::kCache, pv::Type::kSoftware,
                                   pv::Type::kRaw};
    evtsel.set(pv::Evtsel::kType, static_cast<std::uint64_t>(kTypes[type]));
    evtsel.set(pv::Evtsel::kUsr, below(3) != 0);
    evtsel.set(pv::Evtsel::kOs, below(8) != 0);
    evtsel.set(pv::Evtsel::kEn, below(8) != 0);
    evtsel.set(pv::Evtsel::kInt, below(4) != 0);
    return evtsel.raw;
  }

  /// One guest instruction that does something to PV perf.
  void act(Twins& twins, bool raw_events) {
    const auto i = static_cast<unsigned>(below(kEvents));
    switch (below(14)) {
      case 0: twins.write(i, BankMsr::kEvtsel, some_evtsel(raw_events)); break;
      case 1:
      case 10: twins.write(i, BankMsr::kCount, bit(48) - 1 - below(60)); break;
      case 2: twins.write(i, BankMsr::kPeriod, below(4) == 0 ? 0 : 5 + below(300)); break;
      case 3: twins.write(Msr::kGlobalCtrl, below(bit(kEvents)) | below(bit(kEvents))); break;
      case 4:
      case 5:  // a handler's end
        twins.both([](Guest& guest) { guest.masked = false; });
        twins.write(Msr::kStatusReset, below(3) == 0 ? below(bit(kEvents)) : bit(kEvents) - 1);
        break;
      case 6: twins.write(Msr::kError, 0); break;
      case 7: twins.write(Msr::kStatusReset, bit(62)); break;
      case 8: {
        const std::uint64_t operation = bit(32 + static_cast<unsigned>(below(4)));
        twins.write(Msr::kBatch, operation | below(bit(kEvents)));
        break;
      }
      case 9: twins.write(Msr::kArea, below(6) == 0 ? 0 : kPage | 1); break;
      default: {
        const std::uint64_t n = 1 + below(20);
        const auto what = static_cast<pv::Software>(below(3));
        twins.both([&](Guest& guest) { guest.pv->count(what, n, Privilege::kKernel); });
      }
    }
  }

  /// `next` says where to go each time.
  template <class Next>
  void wander(Twins& twins, int moves, bool raw_events, Next next) {
    twins.write(Msr::kArea, kPage | 1);
    twins.both([](Guest& guest) { guest.enter(); });
    for (int done = 0; done < moves;) {
      // At any boundary: also while something waits for the next entry.
      const std::uint64_t instant = below(20);
      if (below(2) == 0) act(twins, raw_events);
      if (instant == 0) twins.moves.move_to(next()), ++done;
      twins.both([](Guest& guest) { guest.enter(); });
      ASSERT_NO_FATAL_FAILURE(twins.compare()) << done;
      if (instant == 1) twins.moves.move_to(next()), ++done;
      twins.moves.enter();
      const Instruction one = instruction();
      twins.both([&](Guest& guest) { guest.retire(one); });
      if (instant == 2) twins.moves.move_to(next()), ++done;
      twins.both([](Guest& guest) { guest.enter(); });
      ASSERT_NO_FATAL_FAILURE(twins.compare()) << done;
    }
    const PvPerfStatistics& one = twins.stays.pv->statistics();
    const PvPerfStatistics& other = twins.moves.pv->statistics();
    EXPECT_EQ(other.overflows, one.overflows);
    EXPECT_EQ(other.pmis_raised, one.pmis_raised);
    EXPECT_EQ(other.pmis_throttled, one.pmis_throttled);
    EXPECT_EQ(other.publications, one.publications);
    // The test would show nothing without these.
    EXPECT_GT(one.overflows, 1000u);
    EXPECT_GT(one.pmis_delivered, 200u);
    EXPECT_GT(one.publications, 1000u);
  }

  std::mt19937_64 random{12};
};

TEST_F(PvPerfMigration, TenThousandMovesBetweenAllCpuModelsAreInvisible) {
  std::vector<std::unique_ptr<Host>> hosts;
  for (const CpuModel* model : silicon::x86::cpu_models()) {
    hosts.push_back(std::make_unique<Host>(*model));
  }
  PvPerfConfig config =
      offer_pv_perf(hosts[0]->model, {.events = kEvents, .publish_us = 20u, .pool = true}).value();
  Host home{hosts[1]->model};
  Twins twins{config, home, *hosts[0]};
  std::size_t at = 0;
  wander(twins, 10'000, false, [&]() -> Host& {
    at = (at + 1 + below(hosts.size() - 1)) % hosts.size();
    return *hosts[at];
  });
}

TEST_F(PvPerfMigration, RawDeniedAndStarvedEventsMoveBetweenHostsOfOneModel) {
  const CpuModel& model = *silicon::x86::find_cpu_model("icelake-server");
  Host home{model}, here{model}, there{model};
  for (Host* host : {&home, &here, &there}) host->take_counters(6);
  FakeEventGate gate;
  gate.denied = {{0xc0, 0x00}, {0xd0, 0x82}};
  PvPerfConfig config =
      offer_pv_perf(model, {.events = kEvents, .width = 48u, .publish_us = 20u}).value();
  config.interrupts_per_ms = 3;  // and some interrupts are held back
  Twins twins{config, home, here, &gate};
  bool away = false;
  wander(twins, 6000, true, [&]() -> Host& {
    away = !away;
    return away ? there : here;
  });
  EXPECT_GT(twins.stays.pv->statistics().pmis_throttled, 10u);
  EXPECT_GT(twins.stays.pv->statistics().starvations, 100u);
}

TEST_F(PvPerfMigration, CountsOnlyGrowAndKeepEveryInstruction) {
  Host icelake{*silicon::x86::find_cpu_model("icelake-server")};
  Host zen{*silicon::x86::find_cpu_model("zen4")};
  const PvPerfConfig config = offer_pv_perf(icelake.model, {.pool = true}).value();
  Guest guest{config, icelake, nullptr};
  const std::uint32_t bank = raw(Msr::kFirstBank);
  pv::Evtsel evtsel;
  evtsel.set(pv::Evtsel::kCode, static_cast<std::uint64_t>(pv::Generic::kInstructions));
  evtsel.set(pv::Evtsel::kUsr, 1);
  evtsel.set(pv::Evtsel::kOs, 1);
  evtsel.set(pv::Evtsel::kEn, 1);
  ASSERT_TRUE(guest.write(bank, evtsel.raw));
  ASSERT_TRUE(guest.write(raw(Msr::kGlobalCtrl), 1));
  guest.enter();
  std::uint64_t executed = 0;
  for (int move = 0; move < 1000; ++move) {
    for (std::uint64_t n = below(20); n > 0; --n, ++executed) {
      guest.retire(instruction());
      guest.enter();
    }
    ASSERT_EQ(guest.pv->value(0), executed);
    guest.move_to(move % 2 == 0 ? zen : icelake);
    ASSERT_EQ(guest.pv->value(0), executed);
    guest.enter();
    ASSERT_EQ(guest.pv->value(0), executed);
  }
}

}  // namespace
}  // namespace vpmu::virt::x86
