// SPDX-License-Identifier: MIT
//
// PV perf's registers: what reads and takes what, and everything that is refused, with the state
// compared before and after.
#include <vector>

#include "unit/virt/pv_perf_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

using pv::BankMsr;
using pv::Msr;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}

constexpr unsigned kEvents = 8;  // of full_pv_perf()
constexpr std::uint64_t kPage = 0x3000, kRom = 0x7000, kHole = 0x8000;

class PvPerfRegisters : public PvPerfOnFakePerf {
 protected:
  PvPerfRegisters() {
    host.set_kind(kRom, FakePvPerfHost::Kind::kReadOnly);
    host.set_kind(kHole, FakePvPerfHost::Kind::kNothing);
  }

  /// All that a guest can read, and all that moves with it.
  struct Everything {
    std::vector<std::uint64_t> registers;
    PvPerfState saved;
    friend bool operator==(const Everything&, const Everything&) = default;
  };
  Everything everything() {
    Everything all{{}, pv->save()};
    for (std::uint32_t offset = 0; offset < pv::kMsrCount; ++offset) {
      const Access access = try_read(msr(offset));
      all.registers.push_back(access.is_done() ? access.value() : 0xdead);
    }
    return all;
  }
  /// Some state that would show if something of it changed.
  void use() {
    write(Msr::kArea, kPage | 1);
    for (unsigned i = 0; i < kEvents; ++i) {
      select(i, i % 2 == 0 ? interrupting(kInstructions) : kCycles);
      set_count(i, 1000 + i);
      write(i, BankMsr::kPeriod, 2000 + i);
      write(i, BankMsr::kTimeEn, 3000 + i);
      write(i, BankMsr::kTimeRun, 3000 + i);
    }
    write(Msr::kGlobalCtrl, 0x0f);
    write(Msr::kStatusSet, 0x81 | pv::kStatusHostTrouble);
    count_more(17);
  }
  void expect_refused(MsrIndex index, std::uint64_t value) {
    const Everything before = everything();
    EXPECT_EQ(try_write(index, value), Access::fault())
        << std::hex << raw(index) - pv->config().msr_base << " := " << value;
    EXPECT_FALSE(pv->has_entry_work());
    EXPECT_EQ(everything(), before)
        << std::hex << raw(index) - pv->config().msr_base << " := " << value;
  }
  void expect_refused(Msr which, std::uint64_t value) { expect_refused(msr(which), value); }
  void expect_refused(unsigned i, BankMsr which, std::uint64_t value) {
    expect_refused(msr(i, which), value);
  }
};

// ---- What there is ------------------------------------------------------------------------------

TEST_F(PvPerfRegisters, AreAsAfterReset) {
  for (const Msr which : {Msr::kArea, Msr::kGlobalCtrl, Msr::kGlobalStatus, Msr::kStatusReset,
                          Msr::kStatusSet, Msr::kError, Msr::kBatch}) {
    EXPECT_EQ(read(which), 0u) << raw(which);
  }
  for (unsigned i = 0; i < kEvents; ++i) {
    for (std::uint32_t n = 0; n <= raw(BankMsr::kState); ++n) {
      EXPECT_EQ(read(i, static_cast<BankMsr>(n)), 0u) << i << ' ' << n;
    }
  }
}

TEST_F(PvPerfRegisters, CapSaysWhatCpuidSays) {
  const pv::Cap cap{{read(Msr::kCap)}};
  EXPECT_EQ(cap.get(pv::Cap::kFeatures), pv->config().features.raw);
  EXPECT_EQ(cap.get(pv::Cap::kEvents), kEvents);
  EXPECT_EQ(cap.get(pv::Cap::kWidth), 48u);
  EXPECT_EQ(cap.get(pv::Cap::kMinor), 0u);
  EXPECT_EQ(cap.get(pv::Cap::kMajor), 1u);
}

TEST_F(PvPerfRegisters, ReadAsTheyWereWritten) {
  use();
  EXPECT_EQ(read(Msr::kArea), kPage | 1);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0x0fu);
  EXPECT_EQ(status(), 0x81 | pv::kStatusHostTrouble);
  for (unsigned i = 0; i < kEvents; ++i) {
    EXPECT_EQ(read(i, BankMsr::kEvtsel), (i % 2 == 0 ? interrupting(kInstructions) : kCycles).raw);
    EXPECT_EQ(count(i), 1000 + i + (i < 4 ? 17 : 0));
    EXPECT_EQ(read(i, BankMsr::kPeriod), 2000 + i);
    EXPECT_EQ(time_enabled(i), 3000 + i);
    EXPECT_EQ(time_running(i), 3000 + i);
  }
}

TEST_F(PvPerfRegisters, ReadingHasNoSideEffects) {
  use();
  const Everything before = everything();
  for (int n = 0; n < 3; ++n) EXPECT_EQ(everything(), before);
}

TEST_F(PvPerfRegisters, EventSelectKeepsTheCount) {
  set_count(0, 1234);
  select(0, kInstructions);
  EXPECT_EQ(count(0), 1234u);
}

TEST_F(PvPerfRegisters, StatusIsResetAndSetByBit) {
  write(Msr::kStatusSet, 0x0f | pv::kStatusHostTrouble);
  EXPECT_EQ(status(), 0x0f | pv::kStatusHostTrouble);
  write(Msr::kStatusReset, 0x05);
  EXPECT_EQ(status(), 0x0a | pv::kStatusHostTrouble);
  write(Msr::kStatusReset, pv::kStatusHostTrouble);
  EXPECT_EQ(status(), 0x0au);
  EXPECT_EQ(host.raised, 0);
}

TEST_F(PvPerfRegisters, OfSixtyFourBitsTakeAnyCount) {
  PvPerfConfig config = full_pv_perf();
  config.width = 64;
  make(config);
  set_count(0, ~std::uint64_t{0});
  write(0, BankMsr::kPeriod, ~std::uint64_t{0});
  EXPECT_EQ(count(0), ~std::uint64_t{0});
  select(0, kInstructions);
  write(Msr::kGlobalCtrl, 1);
  count_more(3);
  EXPECT_EQ(status(), 1u);
  EXPECT_EQ(count(0), 1u + 2u) << "2^64 less the period, and what is past the wrap";
}

// ---- What is refused ----------------------------------------------------------------------------

TEST_F(PvPerfRegisters, OutsideTheirRangeAreNotMine) {
  const std::uint32_t base = pv->config().msr_base;
  for (const std::uint32_t index : {base - 1, base + pv::kMsrCount, 0u, 0x10u, ~0u}) {
    EXPECT_EQ(pv->read_msr(MsrIndex{index}, Initiator::kGuest), Access::not_mine());
    EXPECT_EQ(pv->write_msr(MsrIndex{index}, 0, Initiator::kGuest), Access::not_mine());
  }
}

TEST_F(PvPerfRegisters, ThatAreNotDefinedFault) {
  use();
  std::vector<std::uint32_t> undefined;
  for (std::uint32_t offset = 8; offset < 0x100; ++offset) undefined.push_back(offset);
  for (std::uint32_t i = 0; i < pv::kMaxEvents; ++i) {
    for (std::uint32_t n = i < kEvents ? 6 : 0; n < 8; ++n) undefined.push_back(0x100 + 8 * i + n);
  }
  for (const std::uint32_t offset : undefined) {
    EXPECT_EQ(try_read(msr(offset)), Access::fault()) << std::hex << offset;
    expect_refused(msr(offset), 0);
    expect_refused(msr(offset), 1);
  }
}

TEST_F(PvPerfRegisters, OfEventsUpToTheLastAreThere) {
  for (const unsigned events : {1u, 7u, 32u}) {
    make(full_pv_perf(events));
    select(events - 1, kInstructions);
    EXPECT_EQ(read(events - 1, BankMsr::kEvtsel), kInstructions.raw);
    write(Msr::kGlobalCtrl, bit(events - 1));
    if (events == pv::kMaxEvents) continue;
    EXPECT_EQ(try_read(msr(events, BankMsr::kEvtsel)), Access::fault()) << events;
    expect_refused(events, BankMsr::kEvtsel, kInstructions.raw);
  }
  // Event 255 is beyond all MSRs.
  EXPECT_EQ(try_read(msr(255, BankMsr::kCount)), Access::not_mine());
}

TEST_F(PvPerfRegisters, ThatAreReadOnlyFault) {
  use();
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
    expect_refused(Msr::kCap, value);
    expect_refused(Msr::kGlobalStatus, value);
    for (unsigned i = 0; i < kEvents; ++i) expect_refused(i, BankMsr::kState, value);
  }
  expect_refused(Msr::kCap, read(Msr::kCap));
}

TEST_F(PvPerfRegisters, RefuseEveryReservedBitByItself) {
  use();
  const auto status_allows = [](unsigned n) { return n < kEvents || n == 62; };
  for (unsigned n = 0; n < 64; ++n) {
    if (n >= kEvents) expect_refused(Msr::kGlobalCtrl, bit(n));
    if (!status_allows(n)) {
      expect_refused(Msr::kStatusReset, bit(n));
      expect_refused(Msr::kStatusSet, bit(n));
    }
    expect_refused(Msr::kError, bit(n));
    const bool in_frame = n >= 12 && n < pv->config().physical_bits;
    if (n != 0 && !in_frame) {
      expect_refused(Msr::kArea, bit(n));
      expect_refused(Msr::kArea, kPage | 1 | bit(n));
    }
    if (n >= 44) expect_refused(0, BankMsr::kEvtsel, kInstructions.raw | bit(n));
    if (n >= 48) {
      expect_refused(1, BankMsr::kCount, bit(n));
      expect_refused(1, BankMsr::kPeriod, bit(n));
    }
    const std::uint64_t stop = pv::Batch::kStop.kMask;
    if ((n >= kEvents && n < 32) || n >= 36) expect_refused(Msr::kBatch, stop | bit(n));
  }
}

TEST_F(PvPerfRegisters, RefuseWhatIsNoEvent) {
  use();
  const auto refuses = [this](std::uint32_t type, std::uint32_t code) {
    expect_refused(3, BankMsr::kEvtsel, pv_event(static_cast<pv::Type>(type), code).raw);
    pv::Evtsel off = pv_event(static_cast<pv::Type>(type), code);
    off.set(pv::Evtsel::kEn, 0);
    expect_refused(3, BankMsr::kEvtsel, off.raw);
  };
  for (std::uint32_t type = 4; type < 256; ++type) refuses(type, 0);  // breakpoints first of all
  for (const std::uint32_t code : {10u, 0x100u, ~0u}) refuses(0, code);
  for (const std::uint32_t code : {7u, 0x300u, 0x20000u, 0x1000000u, 0x80000000u}) refuses(1, code);
  for (const std::uint32_t code : {0x40000000u, 0x80000000u}) refuses(2, code);
  for (const std::uint32_t code : {4u, 0x100u, ~0u}) refuses(3, code);
}

TEST_F(PvPerfRegisters, RefuseRawEventsThatAreNotOffered) {
  PvPerfConfig config = full_pv_perf();
  config.features.set(pv::Features::kRaw, 0);
  make(config);
  expect_refused(0, BankMsr::kEvtsel, pv_event(pv::Type::kRaw, 0xc0).raw);
}

TEST_F(PvPerfRegisters, RefusePeriodsBelowTheMinimumButNotZero) {
  PvPerfConfig config = full_pv_perf();
  config.minimum_period = 1000;
  make(config);
  use();
  expect_refused(0, BankMsr::kPeriod, 1);
  expect_refused(0, BankMsr::kPeriod, 999);
  write(0, BankMsr::kPeriod, 1000);
  EXPECT_EQ(read(0, BankMsr::kPeriod), 1000u);
  write(0, BankMsr::kPeriod, 0);
  EXPECT_EQ(read(0, BankMsr::kPeriod), 0u);
}

TEST_F(PvPerfRegisters, RefusePeriodsWithoutAutoReload) {
  PvPerfConfig config = full_pv_perf();
  config.features.set(pv::Features::kAutoReload, 0);
  make(config);
  expect_refused(0, BankMsr::kPeriod, 1000);
  write(0, BankMsr::kPeriod, 0);
}

TEST_F(PvPerfRegisters, ErrorIsTheGuestsToClearOnly) {
  select(5, pv_event(pv::Type::kRaw, 0xfff));  // no event of this CPU model
  const pv::ErrorRegister found = error();
  EXPECT_NE(found.raw, 0u);
  expect_refused(Msr::kError, found.raw);
  expect_refused(Msr::kError, 1);
  write(Msr::kError, 0);
  EXPECT_EQ(error().raw, 0u);
}

TEST_F(PvPerfRegisters, ErrorIsTheHostsToBringAlong) {
  const pv::ErrorRegister saved = error_of(pv::Code::kBusy, 3);
  EXPECT_EQ(pv->write_msr(msr(Msr::kError), saved.raw, Initiator::kHost), Access::done());
  EXPECT_EQ(error(), saved);
  for (const std::uint64_t nonsense : {std::uint64_t{pv::kCodes}, bit(16)}) {
    EXPECT_EQ(pv->write_msr(msr(Msr::kError), nonsense, Initiator::kHost), Access::fault());
  }
  EXPECT_EQ(error(), saved);
}

TEST_F(PvPerfRegisters, AreaIsOnlyWhereRamIs) {
  use();
  for (const std::uint64_t frame : {kRom, kHole, bit(45)}) expect_refused(Msr::kArea, frame | 1);
  ASSERT_TRUE(areas.claim(hostperf::VcpuIndex{1}, GuestPhysical{0x5000}));
  expect_refused(Msr::kArea, 0x5001);
  areas.release(hostperf::VcpuIndex{1});
  write(Msr::kArea, 0x5001);
}

TEST_F(PvPerfRegisters, AreaIsOnlyThereIfOffered) {
  PvPerfConfig config = full_pv_perf();
  config.features.set(pv::Features::kArea, 0);
  config.features.set(pv::Features::kBatch, 0);
  config.publish_period_us = 0;
  make(config);
  expect_refused(Msr::kArea, kPage | 1);
  expect_refused(Msr::kBatch, pv::Batch::kStop.kMask | 1);
}

TEST_F(PvPerfRegisters, BatchRefusesNonsense) {
  using B = pv::Batch;
  use();
  expect_refused(Msr::kBatch, 0);
  expect_refused(Msr::kBatch, 0xff);
  expect_refused(Msr::kBatch, mask_of(B::kStop, B::kStart) | 1);
  write(Msr::kArea, 0);
  expect_refused(Msr::kBatch, mask_of(B::kLoad) | 1);
  expect_refused(Msr::kBatch, mask_of(B::kSnap) | 1);
  expect_refused(Msr::kBatch, mask_of(B::kStart, B::kSnap) | 1);
}

// ---- RDPMC --------------------------------------------------------------------------------------

TEST_F(PvPerfRegisters, RdpmcReadsCountsByTheirOwnNumbers) {
  use();
  for (unsigned i = 0; i < kEvents; ++i) {
    EXPECT_EQ(pv->rdpmc(0x56500000 + i, true, true), Access::done(count(i)));
    EXPECT_EQ(pv->rdpmc(0x56500000 + i, true, false), Access::done(count(i)));
  }
}

TEST_F(PvPerfRegisters, RdpmcReadsCountsByEventWhereThereIsNoPmu) {
  use();
  for (unsigned i = 0; i < kEvents; ++i) {
    EXPECT_EQ(pv->rdpmc(i, true, false), Access::done(count(i)));
    EXPECT_EQ(pv->rdpmc(i, true, true), Access::not_mine());
  }
}

TEST_F(PvPerfRegisters, RdpmcThatUserCodeMayNotDoFaults) {
  use();
  const Everything before = everything();
  for (unsigned i = 0; i < kEvents; ++i) {
    EXPECT_EQ(pv->rdpmc(0x56500000 + i, false, true), Access::fault());
    EXPECT_EQ(pv->rdpmc(i, false, false), Access::fault());
  }
  EXPECT_EQ(everything(), before);
}

TEST_F(PvPerfRegisters, RdpmcOfNoEventFaults) {
  use();
  const Everything before = everything();
  for (const std::uint32_t i : {kEvents, 31u, 32u, 255u, 256u, 0xffffu}) {
    EXPECT_EQ(pv->rdpmc(0x56500000 + i, true, true), Access::fault()) << i;
    EXPECT_EQ(pv->rdpmc(i, true, false), Access::fault()) << i;
  }
  EXPECT_EQ(pv->rdpmc(0x564fffff, true, true), Access::not_mine());
  EXPECT_EQ(everything(), before);
}

TEST_F(PvPerfRegisters, RdpmcIsOnlyThereIfOffered) {
  PvPerfConfig config = full_pv_perf();
  config.features.set(pv::Features::kRdpmcTrap, 0);
  make(config);
  EXPECT_EQ(pv->rdpmc(0x56500000, true, true), Access::not_mine());
  EXPECT_EQ(pv->rdpmc(0, true, false), Access::not_mine());
}

// ---- Reset --------------------------------------------------------------------------------------

TEST_F(PvPerfRegisters, ResetIsAsNew) {
  const Everything fresh = everything();
  use();
  EXPECT_NE(everything().registers, fresh.registers);
  pv->reset();
  EXPECT_EQ(everything().registers, fresh.registers);
  EXPECT_EQ(perf.open_events(), 0u);
  EXPECT_FALSE(pv->has_entry_work());
  EXPECT_EQ(pv->due_ns(false), PvPerf::kNever);
  EXPECT_TRUE(areas.claim(hostperf::VcpuIndex{1}, GuestPhysical{kPage})) << "the page is free";
  areas.release(hostperf::VcpuIndex{1});
  use();
  EXPECT_EQ(count(0), 1017u);
}

}  // namespace
}  // namespace vpmu::virt::x86
