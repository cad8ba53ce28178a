// SPDX-License-Identifier: MIT
//
// PV perf's doorbell: what each operation does, in which order, what is refused and that nothing of
// it is applied then; and when the page is written.
#include <cstring>
#include <functional>
#include <vector>

#include "unit/virt/pv_perf_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

using Kind = FakePvPerfHost::Kind;
using pv::BankMsr;
using pv::Code;
using pv::Msr;

constexpr std::uint64_t kStop = std::uint64_t{1} << 32, kLoad = std::uint64_t{1} << 33,
                        kStart = std::uint64_t{1} << 34, kSnap = std::uint64_t{1} << 35;
constexpr std::uint32_t kSetEvtsel = 1, kSetCount = 2, kSetPeriod = 4, kSetAll = 7;
constexpr std::uint64_t kUsr = std::uint64_t{1} << 40, kOs = std::uint64_t{1} << 41,
                        kEn = std::uint64_t{1} << 42, kInt = std::uint64_t{1} << 43;
constexpr std::uint64_t kCountCycles = 0 | kUsr | kOs | kEn;
constexpr std::uint64_t kCountInstructions = 1 << 8 | kUsr | kOs | kEn;
constexpr std::uint64_t kWrap = std::uint64_t{1} << 48;
constexpr std::uint64_t kHostTrouble = std::uint64_t{1} << 62;
constexpr unsigned kEvents = 6;

class PvPerfBatch : public PvPerfOnFakePerf {
 protected:
  static constexpr std::uint64_t kPage = 0x3000, kOtherPage = 0x5000;

  static PvPerfConfig everything() {
    PvPerfConfig config = full_pv_perf(kEvents);
    config.minimum_period = 50;
    return config;
  }
  PvPerfBatch() {
    make(everything());
    host.fill(kPage, sizeof(pv::Page), 0);
    write(Msr::kArea, kPage | 1);
  }

  void batch(std::uint64_t value) { write(Msr::kBatch, value); }

  pv::Page page(std::uint64_t address = kPage) { return host.get<pv::Page>(address); }
  std::uint32_t seq() { return page().header.seq; }
  static std::uint64_t address_of_command(unsigned i) {
    return kPage + offsetof(pv::Page, commands) + i * sizeof(pv::CommandRecord);
  }
  void put(unsigned i, const pv::CommandRecord& command) {
    host.put(address_of_command(i), command);
  }
  /// All different.
  static pv::CommandRecord command_of(std::uint64_t i) {
    return {.evtsel = kCountInstructions,
            .count = 100 + i,
            .period = 200 + i,
            .flags = kSetAll,
            .pad = 0};
  }
  void put_commands() {
    for (unsigned i = 0; i < kEvents; ++i) put(i, command_of(i));
  }

  /// All registers that a BATCH could change.
  std::vector<std::uint64_t> registers() {
    std::vector<std::uint64_t> values{read(Msr::kGlobalCtrl), read(Msr::kGlobalStatus),
                                      read(Msr::kArea)};
    for (unsigned i = 0; i < kEvents; ++i) {
      for (const BankMsr each : {BankMsr::kEvtsel, BankMsr::kCount, BankMsr::kPeriod,
                                 BankMsr::kTimeEn, BankMsr::kTimeRun, BankMsr::kState}) {
        values.push_back(read(i, each));
      }
    }
    return values;
  }
  void expect_result(Code code, std::uint16_t id) {
    EXPECT_EQ(page().header.batch_code, static_cast<std::uint16_t>(code));
    EXPECT_EQ(page().header.batch_id, id);
  }
  void expect_error(Code code, std::uint8_t id) {
    EXPECT_EQ(read(Msr::kError), static_cast<std::uint64_t>(code) | std::uint64_t{id} << 8);
  }
  /// Time passes and every event that runs counts as much.
  void run(std::uint64_t n) {
    host.now += n;
    perf.count(n);
    if (pv->has_entry_work()) pv->before_entry();
  }
  /// The same, but no overflow is reported: it has just happened.
  void run_unnoticed(std::uint64_t n) {
    host.now += n;
    for (auto& event : perf.events) {
      if (event.open && event.state == hostperf::EventState::kActive) event.count += n;
    }
  }
};

// ---- What the operations do ---------------------------------------------------------------------

TEST_F(PvPerfBatch, LoadSetsWhatTheRecordsOfTheNamedEventsSay) {
  put_commands();
  batch(kLoad | 0b10'1010);
  for (unsigned i = 0; i < kEvents; ++i) {
    const bool named = i % 2 == 1;
    EXPECT_EQ(read(i, BankMsr::kEvtsel), named ? kCountInstructions : 0) << i;
    EXPECT_EQ(read(i, BankMsr::kCount), named ? 100 + i : 0) << i;
    EXPECT_EQ(read(i, BankMsr::kPeriod), named ? 200 + i : 0) << i;
  }
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0u);
  expect_result(Code::kOk, 0xffff);
}

TEST_F(PvPerfBatch, LoadLeavesAloneWhatTheFlagsDoNotName) {
  write(0, BankMsr::kEvtsel, kCountCycles);
  write(0, BankMsr::kCount, 11);
  write(0, BankMsr::kPeriod, 77);
  for (std::uint32_t flags = 0; flags <= kSetAll; ++flags) {
    batch(kStop | 1);
    write(0, BankMsr::kEvtsel, kCountCycles);
    write(0, BankMsr::kCount, 11);
    write(0, BankMsr::kPeriod, 77);
    pv::CommandRecord command = command_of(0);
    command.flags = flags;
    put(0, command);
    batch(kLoad | 1);
    EXPECT_EQ(read(0, BankMsr::kEvtsel),
              (flags & kSetEvtsel) != 0 ? kCountInstructions : kCountCycles);
    EXPECT_EQ(read(0, BankMsr::kCount), (flags & kSetCount) != 0 ? 100u : 11u);
    EXPECT_EQ(read(0, BankMsr::kPeriod), (flags & kSetPeriod) != 0 ? 200u : 77u);
    expect_result(Code::kOk, 0xffff);
  }
}

TEST_F(PvPerfBatch, WhatIsNotToBeSetIsNotLookedAt) {
  put(0, {.evtsel = ~std::uint64_t{0},
          .count = ~std::uint64_t{0},
          .period = ~std::uint64_t{0},
          .flags = 0,
          .pad = 0});
  const auto before = registers();
  batch(kLoad | 1);
  expect_result(Code::kOk, 0xffff);
  EXPECT_EQ(registers(), before);
}

TEST_F(PvPerfBatch, StartAndStopChangeTheNamedBitsOfGlobalControl) {
  batch(kStart | 0b01'1010);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0b01'1010u);
  batch(kStart | 0b00'0110);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0b01'1110u);
  batch(kStop | 0b10'0110);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0b01'1000u);
}

TEST_F(PvPerfBatch, LoadAndStartCountsFromWhatWasLoaded) {
  put_commands();
  batch(kLoad | kStart | 0b11);
  run(40);
  EXPECT_EQ(read(0, BankMsr::kCount), 140u);
  EXPECT_EQ(read(1, BankMsr::kCount), 141u);
}

TEST_F(PvPerfBatch, StopComesBeforeLoad) {
  put_commands();
  batch(kLoad | kStart | 1);
  run(40);
  put(0, {.evtsel = 0, .count = 5, .period = 0, .flags = kSetCount, .pad = 0});
  batch(kStop | kLoad | 1);
  EXPECT_EQ(read(0, BankMsr::kCount), 5u);
  EXPECT_EQ(read(0, BankMsr::kTimeEn), 40u);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0u);
}

TEST_F(PvPerfBatch, ARunningEventMayBeLoaded) {
  put_commands();
  batch(kLoad | kStart | 1);
  run(40);
  put(0, {.evtsel = 0, .count = 1000, .period = 0, .flags = kSetCount, .pad = 0});
  batch(kLoad | 1);
  run(3);
  EXPECT_EQ(read(0, BankMsr::kCount), 1003u);
}

TEST_F(PvPerfBatch, SnapPublishesExactValuesOfAllEventsAndChangesNothing) {
  put_commands();
  batch(kLoad | kStart | 0b11'1111);
  run(40);
  const auto before = registers();
  batch(kSnap);
  for (unsigned i = 0; i < kEvents; ++i) {
    const pv::EventRecord record = page().events[i];
    EXPECT_EQ(record.count, 140 + i);
    EXPECT_EQ(record.time_enabled, 40u);
    EXPECT_EQ(record.time_running, 40u);
    EXPECT_EQ(record.evtsel, kCountInstructions);
    EXPECT_EQ(record.state, 1u);
    EXPECT_EQ(record.rdpmc_index, 0u);
    EXPECT_EQ(record.rdpmc_width, 0u);
    EXPECT_EQ(record.rdpmc_offset, 0u);
  }
  EXPECT_EQ(registers(), before);
}

TEST_F(PvPerfBatch, BehindAStopThePageHasTheExactEnd) {
  put_commands();
  batch(kLoad | kStart | 0b11);
  run(1234);
  batch(kStop | 0b11);
  EXPECT_EQ(page().events[0].count, 1334u);
  EXPECT_EQ(page().events[1].count, 1335u);
  EXPECT_EQ(page().events[0].time_running, 1234u);
  EXPECT_EQ(page().events[0].state, 0u);
  EXPECT_EQ(page().header.global_ctrl, 0u);
  run(100);
  EXPECT_EQ(read(0, BankMsr::kCount), 1334u);
}

TEST_F(PvPerfBatch, OnePublicationFollowsEachWhateverItDid) {
  put_commands();
  const std::uint64_t values[] = {
      kLoad | 1, kLoad | kStart | 0b111, kSnap,     kStop | kLoad | kSnap | 0b11,
      kStart,    kStart | 0b111,         kStop | 7, kStop | kLoad | kSnap};
  std::uint32_t batches = 0;
  for (const std::uint64_t value : values) {
    const std::uint32_t before = seq();
    const int written = host.written[kPage / sizeof(pv::Page)];
    host.now += 10;
    batch(value);
    EXPECT_EQ(seq(), before + 2) << value;
    EXPECT_EQ(host.written[kPage / sizeof(pv::Page)], written + 1) << value;
    EXPECT_EQ(page().header.batch_seq, ++batches) << value;
    EXPECT_EQ(page().header.pub_ns, host.now) << value;
    EXPECT_EQ(page().header.pub_tsc, host.tsc) << value;
    EXPECT_EQ(page().header.global_ctrl, read(Msr::kGlobalCtrl)) << value;
  }
  EXPECT_EQ(pv->statistics().batches, batches);
}

TEST_F(PvPerfBatch, ManyRegistersThatAreRewrittenCostEachHostEventOneOperation) {
  put_commands();
  batch(kLoad | kStart | 0b11'1111);
  EXPECT_EQ(perf.events.size(), kEvents);
  EXPECT_EQ(perf.enables, static_cast<int>(kEvents));
}

TEST_F(PvPerfBatch, ReadsAsZero) {
  batch(kSnap);
  EXPECT_EQ(read(Msr::kBatch), 0u);
}

// ---- What is refused ----------------------------------------------------------------------------

struct BadCommand {
  const char* what;
  std::function<void(pv::CommandRecord&)> spoil;
  Code code;
};

std::vector<BadCommand> bad_commands() {
  std::vector<BadCommand> bad{
      {"unknown type", [](auto& c) { c.evtsel = kCountInstructions | 5; }, Code::kType},
      {"breakpoint", [](auto& c) { c.evtsel = kEn | 4; }, Code::kType},
      {"type 255", [](auto& c) { c.evtsel = kEn | 255; }, Code::kType},
      {"unknown generic event", [](auto& c) { c.evtsel = kEn | 10 << 8; }, Code::kCode},
      {"unknown cache", [](auto& c) { c.evtsel = kEn | 1 | 7 << 8; }, Code::kCode},
      {"too wide a count", [](auto& c) { c.count = kWrap; }, Code::kWidth},
      {"the widest count", [](auto& c) { c.count = ~std::uint64_t{0}; }, Code::kWidth},
      {"too wide a period", [](auto& c) { c.period = kWrap; }, Code::kWidth},
      {"too short a period", [](auto& c) { c.period = 49; }, Code::kPeriod},
  };
  for (unsigned bit = 0; bit < 32; ++bit) {
    if (bit >= 3) {
      bad.push_back({"reserved flag", [bit](auto& c) { c.flags |= 1u << bit; }, Code::kReserved});
    }
    bad.push_back({"pad", [bit](auto& c) { c.pad = 1u << bit; }, Code::kReserved});
  }
  for (unsigned bit = 44; bit < 64; ++bit) {
    bad.push_back({"reserved bit of EVTSEL",
                   [bit](auto& c) { c.evtsel |= std::uint64_t{1} << bit; }, Code::kReserved});
  }
  return bad;
}

TEST_F(PvPerfBatch, OfFourRecordsWithOneBadNoneIsAppliedAndTheBadOneIsNamed) {
  const auto before = registers();
  std::uint32_t batches = 0;
  for (const BadCommand& bad : bad_commands()) {
    for (unsigned at = 0; at < 4; ++at) {
      put_commands();
      pv::CommandRecord spoilt = command_of(at);
      bad.spoil(spoilt);
      put(at, spoilt);
      const std::uint32_t seq_before = seq();
      batch(kLoad | kStart | 0b1111);
      EXPECT_EQ(registers(), before) << bad.what << " in record " << at;
      expect_result(bad.code, static_cast<std::uint16_t>(at));
      expect_error(bad.code, static_cast<std::uint8_t>(at));
      EXPECT_EQ(page().header.batch_seq, ++batches) << bad.what;
      EXPECT_EQ(seq(), seq_before + 2) << bad.what;
      write(Msr::kError, 0);
    }
  }
  EXPECT_EQ(pv->statistics().batches_refused, batches);
  EXPECT_EQ(perf.open_events(), 0u);
}

TEST_F(PvPerfBatch, RecordsThatAreNotNamedMayBeBad) {
  put_commands();
  put(1, {.evtsel = ~std::uint64_t{0}, .count = 0, .period = 0, .flags = ~0u, .pad = ~0u});
  batch(kLoad | 0b101);
  expect_result(Code::kOk, 0xffff);
  EXPECT_EQ(read(2, BankMsr::kCount), 102u);
}

TEST_F(PvPerfBatch, EachBitOfTheCommandHeaderIsRefusedAndConcernsNoEvent) {
  put_commands();
  const auto before = registers();
  for (unsigned bit = 0; bit < sizeof(pv::CommandHeader) * 8; ++bit) {
    std::uint64_t& word = host.word(GuestPhysical{kPage + 0x40 + bit / 64 * 8});
    word = std::uint64_t{1} << bit % 64;
    batch(kLoad | kStart | 1);
    EXPECT_EQ(registers(), before) << bit;
    expect_result(Code::kReserved, 0xffff);
    expect_error(Code::kReserved, 0xff);
    write(Msr::kError, 0);
    word = 0;
  }
}

TEST_F(PvPerfBatch, TheHeaderIsCheckedFirstThenTheRecordsFromTheLowestEvent) {
  put_commands();
  pv::CommandRecord wrong_type = command_of(1), wrong_pad = command_of(2);
  wrong_type.evtsel |= 4;
  wrong_pad.pad = 1;
  put(1, wrong_type);
  put(2, wrong_pad);
  batch(kLoad | 0b110);
  expect_result(Code::kType, 1);
  batch(kLoad | 0b100);
  expect_result(Code::kReserved, 2);
  host.put(kPage + 0x40, 1u);
  batch(kLoad | 0b110);
  expect_result(Code::kReserved, 0xffff);
}

TEST_F(PvPerfBatch, ARefusedLoadLeavesStopAppliedAndStartsNothing) {
  put_commands();
  batch(kLoad | kStart | 0b11);
  run(40);
  pv::CommandRecord bad = command_of(1);
  bad.pad = 1;
  put(1, bad);
  batch(kStop | kLoad | 0b11);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0u);
  expect_result(Code::kReserved, 1);
  EXPECT_EQ(page().events[0].count, 140u);
  EXPECT_EQ(page().events[1].count, 141u);
  batch(kLoad | kStart | 0b11);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0u);
}

TEST_F(PvPerfBatch, TheNextOneThatSucceedsSaysSoButErrorStaysUntilItIsCleared) {
  put_commands();
  pv::CommandRecord bad = command_of(0);
  bad.count = kWrap;
  put(0, bad);
  batch(kLoad | 1);
  put_commands();
  batch(kLoad | 1);
  expect_result(Code::kOk, 0xffff);
  expect_error(Code::kWidth, 0);
}

TEST_F(PvPerfBatch, WithoutAutoReloadARecordMayNotSetAPeriod) {
  PvPerfConfig without = everything();
  without.features.set(pv::Features::kAutoReload, 0);
  without.minimum_period = 0;
  make(without);
  write(Msr::kArea, kPage | 1);
  put(0, {.evtsel = 0, .count = 0, .period = 1000, .flags = kSetPeriod, .pad = 0});
  batch(kLoad | 1);
  expect_result(Code::kPeriod, 0);
  put(0, {.evtsel = 0, .count = 0, .period = 0, .flags = kSetPeriod, .pad = 0});
  batch(kLoad | 1);
  expect_result(Code::kOk, 0xffff);
}

TEST_F(PvPerfBatch, WhatTheGuestCouldKnowIsAFaultAndChangesNothing) {
  put_commands();
  batch(kLoad | kStart | 1);
  std::vector<std::uint64_t> bad{
      0,  // no operation
      0b11'1111,
      kStop | kStart | 1,
      kStop | kStart | kLoad | kSnap | 1,
  };
  for (unsigned bit = kEvents; bit < 32; ++bit) bad.push_back(kStop | 1u << bit);
  for (unsigned bit = 36; bit < 64; ++bit) bad.push_back(kStop | 1 | std::uint64_t{1} << bit);
  const auto before = registers();
  const pv::Page page_before = page();
  for (const std::uint64_t value : bad) {
    EXPECT_EQ(try_write(msr(Msr::kBatch), value), Access::fault()) << value;
  }
  pv->before_entry();
  EXPECT_EQ(registers(), before);
  const pv::Page page_after = page();
  EXPECT_EQ(std::memcmp(&page_before, &page_after, sizeof page_before), 0);
}

TEST_F(PvPerfBatch, WithoutAPageThereIsStopAndStartButNeitherLoadNorSnap) {
  put_commands();
  write(Msr::kArea, 0);
  const pv::Page before = page();
  for (const std::uint64_t operation : {kLoad, kSnap, kLoad | kSnap, kStop | kSnap}) {
    EXPECT_EQ(try_write(msr(Msr::kBatch), operation | 1), Access::fault());
  }
  batch(kStart | 0b11);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0b11u);
  batch(kStop | 0b10);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0b01u);
  const pv::Page after = page();
  EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0);
}

TEST_F(PvPerfBatch, IsAFaultWhereItIsNotOffered) {
  PvPerfConfig without = everything();
  without.features.set(pv::Features::kBatch, 0);
  make(without);
  EXPECT_EQ(try_write(msr(Msr::kBatch), kStop | 1), Access::fault());
}

TEST_F(PvPerfBatch, AnEventThatThisHostLacksOrTheOperatorDeniesIsNoReasonToRefuse) {
  PvPerfConfig config_without = everything();
  config_without.generic_events = 1 << 1;  // instructions only
  make(config_without);
  write(Msr::kArea, kPage | 1);
  put_commands();
  pv::CommandRecord absent = command_of(1);
  absent.evtsel = kCountCycles;
  put(1, absent);
  batch(kLoad | kStart | 0b11);
  expect_result(Code::kOk, 0xffff);
  EXPECT_EQ(page().events[1].state, 0x0502u);  // E_CODE
  EXPECT_EQ(page().header.global_status, kHostTrouble);
  expect_error(Code::kCode, 1);
  run(7);
  EXPECT_EQ(read(0, BankMsr::kCount), 107u);
  EXPECT_EQ(read(1, BankMsr::kCount), 101u);
}

// ---- A guest that changes its mind
// ---------------------------------------------------------------

TEST_F(PvPerfBatch, WhatWasReadIsWhatIsCheckedAndWhatIsLoaded) {
  put_commands();
  host.after_read = [](std::uint64_t& word) { word = ~std::uint64_t{0}; };
  batch(kLoad | kStart | 0b11'1111);
  expect_result(Code::kOk, 0xffff);
  for (unsigned i = 0; i < kEvents; ++i) {
    EXPECT_EQ(read(i, BankMsr::kEvtsel), kCountInstructions);
    EXPECT_EQ(read(i, BankMsr::kCount), 100 + i);
    EXPECT_EQ(read(i, BankMsr::kPeriod), 200 + i);
  }
  for (const int reads : host.reads) EXPECT_LE(reads, 1);
}

TEST_F(PvPerfBatch, WhatBecameGoodTooLateIsRefused) {
  put_commands();
  pv::CommandRecord bad = command_of(3);
  bad.period = kWrap;
  put(3, bad);
  host.after_read = [](std::uint64_t& word) { word = 0; };
  const auto before = registers();
  batch(kLoad | 0b1111);
  expect_result(Code::kWidth, 3);
  EXPECT_EQ(registers(), before);
}

// ---- The page is gone ---------------------------------------------------------------------------

TEST_F(PvPerfBatch, LoadFromAPageThatIsGoneClearsAreaAndTheGuestGoesOn) {
  put_commands();
  batch(kLoad | kStart | 0b11);
  run(40);
  host.set_kind(kPage, Kind::kNothing);
  batch(kStop | kLoad | 0b01);
  EXPECT_EQ(read(Msr::kArea), 0u);
  expect_error(Code::kGpa, 0xff);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0b10u);
  EXPECT_EQ(read(0, BankMsr::kCount), 140u);
  run(5);
  EXPECT_EQ(read(0, BankMsr::kCount), 140u);
  EXPECT_EQ(read(1, BankMsr::kCount), 146u);
  EXPECT_EQ(try_write(msr(Msr::kBatch), kLoad | 1), Access::fault());
  batch(kStart | 0b01);
  run(5);
  EXPECT_EQ(read(0, BankMsr::kCount), 145u);
}

TEST_F(PvPerfBatch, APageThatIsGoneAtLoadIsNotWrittenThoughItIsBackAtTheEntry) {
  const pv::Page before = page();
  host.set_kind(kPage, Kind::kNothing);
  EXPECT_EQ(pv->write_msr(msr(Msr::kBatch), kLoad | 1, Initiator::kGuest), Access::done());
  host.set_kind(kPage, Kind::kRam);
  pv->before_entry();
  EXPECT_EQ(read(Msr::kArea), 0u);
  expect_error(Code::kGpa, 0xff);
  const pv::Page after = page();
  EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0);
}

TEST_F(PvPerfBatch, APublicationToAPageThatIsGoneClearsAreaAndTheGuestGoesOn) {
  for (const Kind kind : {Kind::kNothing, Kind::kReadOnly}) {
    write(Msr::kError, 0);
    put_commands();
    batch(kLoad | kStart | 1);
    host.set_kind(kPage, kind);
    const pv::Page before = page();
    batch(kStop | 1);
    EXPECT_EQ(read(Msr::kArea), 0u);
    expect_error(Code::kGpa, 0xff);
    const pv::Page after = page();
    EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0);
    batch(kStart | 1);
    run(5);
    EXPECT_EQ(read(0, BankMsr::kCount), 105u);
    host.set_kind(kPage, Kind::kRam);
    write(Msr::kArea, kPage | 1);
  }
}

TEST_F(PvPerfBatch, APageThatIsGoneIsFreeForOtherVcpus) {
  host.set_kind(kPage, Kind::kNothing);
  batch(kSnap);
  EXPECT_TRUE(areas.claim(hostperf::VcpuIndex{7}, GuestPhysical{kPage}));
}

// ---- When the page is written -------------------------------------------------------------------

TEST_F(PvPerfBatch, EnablingAPagePublishes) {
  write(0, BankMsr::kCount, 42);
  write(Msr::kArea, kOtherPage | 1);
  const pv::Page enabled = page(kOtherPage);
  EXPECT_EQ(enabled.header.abi, 0x0001'0000u);
  EXPECT_EQ(enabled.header.pub_ns, host.now);
  EXPECT_EQ(enabled.header.batch_id, 0xffffu);
  EXPECT_EQ(enabled.header.host_flags, 2u);
  EXPECT_EQ(enabled.events[0].count, 42u);
}

TEST_F(PvPerfBatch, EachBitOfGlobalControlThatIsClearedPublishesAndNoneThatIsSet) {
  write(0, BankMsr::kEvtsel, kCountInstructions);
  const std::uint32_t before = seq();
  write(Msr::kGlobalCtrl, 0b11);
  EXPECT_EQ(seq(), before);
  run(9);
  write(Msr::kGlobalCtrl, 0b01);
  EXPECT_EQ(seq(), before + 2);
  EXPECT_EQ(page().events[0].count, 9u);
  write(Msr::kGlobalCtrl, 0b01);
  EXPECT_EQ(seq(), before + 2);
}

TEST_F(PvPerfBatch, AnOverflowPublishesBeforeItsInterrupt) {
  put(2, {.evtsel = kCountInstructions | kInt,
          .count = kWrap - 10,
          .period = 0,
          .flags = kSetAll,
          .pad = 0});
  batch(kLoad | kStart | 0b100);
  std::uint64_t status = 0, count = 0;
  host.on_pmi = [&] {
    status = page().header.global_status;
    count = page().events[2].count;
  };
  run(12);
  EXPECT_EQ(host.raised, 1);
  EXPECT_EQ(status, 0b100u);
  EXPECT_EQ(count, 2u);
}

TEST_F(PvPerfBatch, AWrapThatNobodyHasReportedYetIsInStatusOfTheSamePublication) {
  put(0,
      {.evtsel = kCountInstructions, .count = kWrap - 10, .period = 0, .flags = kSetAll, .pad = 0});
  batch(kLoad | kStart | 1);
  run_unnoticed(10);
  const std::uint32_t before = seq();
  batch(kSnap);
  EXPECT_EQ(seq(), before + 2);
  EXPECT_EQ(page().events[0].count, 0u);
  EXPECT_EQ(page().header.global_status, 1u);
  EXPECT_EQ(read(Msr::kGlobalStatus), 1u);
}

TEST_F(PvPerfBatch, LeavingTheHostCpuPublishes) {
  put_commands();
  batch(kLoad | kStart | 1);
  const std::uint32_t before = seq();
  run(25);
  pv->scheduled_out();
  pv->scheduled_in();
  pv->before_entry();
  EXPECT_EQ(seq(), before + 2);
  EXPECT_EQ(page().events[0].count, 125u);
}

TEST_F(PvPerfBatch, WhileAnEventIsActiveThePageIsNeverOlderThanItsPeriod) {
  constexpr std::uint64_t kPeriod = 1'000'000;
  EXPECT_EQ(pv->due_ns(false), PvPerf::kNever);
  put_commands();
  batch(kLoad | kStart | 1);
  for (int n = 0; n < 3; ++n) {
    const std::uint32_t before = seq();
    EXPECT_EQ(pv->due_ns(false), page().header.pub_ns + kPeriod);
    run(kPeriod - 1);
    EXPECT_EQ(seq(), before);
    run(1);
    pv->time_passed();
    pv->before_entry();
    EXPECT_EQ(seq(), before + 2);
    EXPECT_EQ(page().header.pub_ns, host.now);
  }
  batch(kStop | 1);
  const std::uint64_t due = pv->due_ns(false);
  EXPECT_TRUE(due == PvPerf::kNever || due > host.now + kPeriod);
}

TEST_F(PvPerfBatch, AnEventThatIsStartedByRegisterIsPublishedWithinThePeriodToo) {
  write(0, BankMsr::kEvtsel, kCountInstructions);
  host.now += 5'000'000;
  write(Msr::kGlobalCtrl, 1);
  EXPECT_EQ(pv->due_ns(false), host.now + 1'000'000);
  write(Msr::kGlobalCtrl, 0);
  host.now += 5'000'000;
  write(0, BankMsr::kEvtsel, 0);
  write(Msr::kGlobalCtrl, 1);
  host.now += 5'000'000;
  write(0, BankMsr::kEvtsel, kCountInstructions);
  EXPECT_EQ(pv->due_ns(false), host.now + 1'000'000);
}

TEST_F(PvPerfBatch, WithoutAPublishPeriodNothingIsDue) {
  PvPerfConfig on_request = everything();
  on_request.publish_period_us = 0;
  make(on_request);
  write(Msr::kArea, kPage | 1);
  put_commands();
  batch(kLoad | kStart | 1);
  EXPECT_EQ(page().header.host_flags, 0u);
  EXPECT_EQ(pv->due_ns(false), PvPerf::kNever);
}

TEST_F(PvPerfBatch, APageThatWasGivenBackIsNeverTouchedAgain) {
  put_commands();
  batch(kLoad | kStart | 1);
  write(Msr::kArea, 0);
  host.fill(kPage, sizeof(pv::Page), 0x5a);
  const pv::Page before = page();
  run(100);
  batch(kStop | 1);
  write(Msr::kGlobalCtrl, 1);
  write(Msr::kGlobalCtrl, 0);
  host.now += 10'000'000;
  pv->scheduled_out();
  pv->scheduled_in();
  pv->time_passed();
  pv->before_entry();
  const pv::Page after = page();
  EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0);
}

TEST_F(PvPerfBatch, NothingOutsideTheHostsPartsOfThePageIsEverWritten) {
  put_commands();
  const pv::Page given = page();
  batch(kLoad | kStart | 0b11'1111);
  run(1'000);
  batch(kSnap);
  write(Msr::kGlobalCtrl, 0b1);
  batch(kStop | kLoad | 0b11'1111);
  write(Msr::kArea, kPage | 1);
  batch(kStop | 1);
  const pv::Page after = page();
  EXPECT_EQ(std::memcmp(&after.command, &given.command, sizeof given.command), 0);
  EXPECT_EQ(after.resv1, given.resv1);
  for (unsigned i = kEvents; i < pv::kMaxEvents; ++i) {
    const pv::EventRecord nothing{};
    EXPECT_EQ(std::memcmp(&after.events[i], &nothing, sizeof nothing), 0);
  }
  EXPECT_EQ(after.resv2, given.resv2);
  EXPECT_EQ(std::memcmp(&after.commands, &given.commands, sizeof given.commands), 0);
  EXPECT_EQ(after.resv3, given.resv3);
  for (std::uint64_t other = 0; other < FakePvPerfHost::kPages; ++other) {
    EXPECT_EQ(host.written[other] != 0, other == kPage / sizeof(pv::Page)) << other;
  }
}

// ---- A guest that comes from elsewhere ----------------------------------------------------------

TEST_F(PvPerfBatch, AreaFromElsewhereKeepsThePageAndGoesOnWithWhatIsInIt) {
  put_commands();
  batch(kLoad | kStart | 1);
  pv::CommandRecord bad = command_of(5);
  bad.pad = 1;
  put(5, bad);
  batch(kLoad | 0b10'0000);
  const pv::Page before = page();
  ASSERT_EQ(before.header.batch_seq, 2u);
  make(everything());

  EXPECT_EQ(pv->write_msr(msr(Msr::kArea), kPage | 1, Initiator::kHost), Access::done());
  const pv::Page kept = page();
  EXPECT_EQ(std::memcmp(&before, &kept, sizeof before), 0);
  pv->before_entry();
  EXPECT_EQ(seq(), before.header.seq + 4);
  EXPECT_EQ(page().header.batch_seq, 2u);
  expect_result(Code::kReserved, 5);
  batch(kStop | 1);
  EXPECT_EQ(page().header.batch_seq, 3u);
}

TEST_F(PvPerfBatch, AResultThatNoHostCanHaveLeftInThePageIsNoneOfOurs) {
  host.put(kPage + offsetof(pv::Page, header.batch_code), std::uint16_t{0x1234});
  host.put(kPage + offsetof(pv::Page, header.batch_id), std::uint16_t{kEvents});
  make(everything());
  EXPECT_EQ(pv->write_msr(msr(Msr::kArea), kPage | 1, Initiator::kHost), Access::done());
  pv->before_entry();
  expect_result(Code::kOk, 0xffff);
}

}  // namespace
}  // namespace vpmu::virt::x86
