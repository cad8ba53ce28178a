// SPDX-License-Identifier: MIT
//
// PV perf by hypercalls: what they do, each way to be refused, and what they and the registers see
// of each other.
#include <algorithm>
#include <string>
#include <vector>

#include "unit/virt/pv_perf_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

using pv::BankMsr;
using pv::Call;
using pv::CallAttr;
using pv::CallError;
using pv::CallEvent;
using pv::CallFlags;
using pv::CallParam;
using pv::CallReadFormat;
using pv::CallStatus;
using pv::Msr;
using Kind = FakePvPerfHost::Kind;

constexpr std::uint64_t kParam = 0x2000, kAttr = 0x3000, kRecord = 0x4000, kPage = 0x1000;
constexpr std::uint64_t kPastRam = FakePvPerfHost::kPages * FakePvPerfHost::kPageBytes;
constexpr unsigned kId = 3;
constexpr std::int64_t kOk = 0;
constexpr std::int64_t error(CallError code) {
  return static_cast<std::int64_t>(code);
}
constexpr std::int64_t kInvalid = error(CallError::kInvalid), kFault = error(CallError::kFault),
                       kNotSupported = error(CallError::kNotSupported);

CallAttr attr_of(pv::Type type, std::uint64_t config, std::uint64_t period = 0) {
  CallAttr attr{};
  attr.type = static_cast<std::uint32_t>(type);
  attr.config = config;
  attr.sample_period = period;
  return attr;
}

template <class Fixture>
class Calls : public Fixture {
 protected:
  using Fixture::host;
  using Fixture::pv;

  /// RAX, as the machine gives it to the guest; not_mine() has none.
  Access raw_call(const PvPerf::Hypercall& made) {
    const Access access = pv->hypercall(made);
    if (access.is_done()) pv->before_entry();
    return access;
  }
  std::int64_t call(std::uint64_t operation, std::uint64_t first = 0, std::uint64_t second = 0) {
    const Access access = raw_call({.number = pv::kHypercall,
                                    .arguments = {operation, first, second, 0},
                                    .long_mode = true,
                                    .user = false});
    EXPECT_TRUE(access.is_done());
    return static_cast<std::int64_t>(access.value());
  }
  std::int64_t call(Call operation, std::uint64_t first = kId, std::uint64_t second = 0) {
    return call(static_cast<std::uint64_t>(operation), first, second);
  }
  /// With the structures as they are here.
  std::int64_t open() {
    host.put(kAttr, attr);
    host.put(param_at, param);
    return call(Call::kOpen, param_at & 0xffffffff, param_at >> 32);
  }
  CallEvent record() { return host.template get<CallEvent>(param.event_addr); }
  CallStatus record_status() { return {{record().status}}; }

  CallAttr attr = attr_of(pv::Type::kGeneric, 1);  ///< instructions
  CallParam param{.attr_addr = kAttr, .event_addr = kRecord, .id = kId, .flags = 0, .reserved = 0};
  std::uint64_t param_at = kParam;
};

struct PvPerfCalls : Calls<PvPerfOnModelledPerf> {
  static constexpr std::uint64_t kBothTimes =
      mask_of(CallReadFormat::kTimeEnabled, CallReadFormat::kTimeRunning);
};

// ---- The convention -----------------------------------------------------------------------------

TEST_F(PvPerfCalls, OfAnotherNumberAreNotOurs) {
  for (const std::uint64_t number : {0ULL, 3ULL, 0x564fULL, 0x5651ULL, 0x1'0000'5650ULL}) {
    EXPECT_TRUE(raw_call({number, {5, kId, 0, 0}, true, false}).is_not_mine()) << number;
  }
}

TEST_F(PvPerfCalls, ThatAreNotOfferedAreNotOurs) {
  PvPerfConfig config = full_pv_perf();
  config.features.set(pv::Features::kHypercalls, 0);
  make(config);
  EXPECT_TRUE(raw_call({pv::kHypercall, {1, kParam, 0, 0}, true, false}).is_not_mine());
}

TEST_F(PvPerfCalls, OfUserCodeGiveMinus1AndDoNothing) {
  host.put(kAttr, attr);
  host.put(kParam, param);
  const Access access = raw_call({pv::kHypercall, {1, kParam, 0, 0}, true, true});
  EXPECT_EQ(access, Access::done(~std::uint64_t{0}));
  EXPECT_EQ(call(Call::kRead), kInvalid);  // it is not open
  EXPECT_EQ(host.reads[kParam / 8], 0);
}

TEST_F(PvPerfCalls, Of32BitCodeHaveArgumentsAndResultsOf32Bits) {
  host.put(kAttr, attr);
  host.put(kParam, param);
  constexpr std::uint64_t kRubbish = 0xdead'beef'0000'0000;
  const auto call32 = [this](std::uint64_t operation, std::uint64_t first, std::uint64_t second) {
    return raw_call({kRubbish | pv::kHypercall,
                     {kRubbish | operation, kRubbish | first, kRubbish | second, kRubbish},
                     false,
                     false});
  };
  EXPECT_EQ(call32(1, kParam, 0), Access::done(0));
  EXPECT_EQ(call32(3, kId, 0), Access::done(0));
  EXPECT_EQ(call32(5, kId, 0), Access::done(0));
  EXPECT_EQ(call32(1, kParam, 0), Access::done(static_cast<std::uint32_t>(kInvalid)));
  EXPECT_EQ(call32(9, 0, 0), Access::done(static_cast<std::uint32_t>(kNotSupported)));
  EXPECT_EQ(raw_call({pv::kHypercall, {1, kParam, 0, 0}, false, true}), Access::done(0xffffffff));
}

TEST_F(PvPerfCalls, OfLongModeHaveArgumentsOf64Bits) {
  open();
  constexpr std::uint64_t kMore = std::uint64_t{1} << 32;
  EXPECT_EQ(call(Call::kRead, kId | kMore), kInvalid);
  EXPECT_EQ(call(static_cast<std::uint64_t>(Call::kRead) | kMore, kId), kNotSupported);
}

TEST_F(PvPerfCalls, TakeTheUpperHalfOfAnAddressFromRdx) {
  host.put(kAttr, attr);
  host.put(kParam, param);
  EXPECT_EQ(call(Call::kOpen, kParam, 1), kFault);
  EXPECT_EQ(call(Call::kOpen, kParam, 0), kOk);
}

// ---- What they do -------------------------------------------------------------------------------

TEST_F(PvPerfCalls, OpenSetsTheRegistersUp) {
  set_count(kId, 77);
  write(kId, BankMsr::kEvtsel, kCycles.raw);
  write(Msr::kGlobalCtrl, 1 << kId);
  write(Msr::kStatusSet, 1 << kId | 1);
  steps(10);
  attr = attr_of(pv::Type::kGeneric, 4, 1000);
  attr.flags = mask_of(CallFlags::kExcludeKernel, CallFlags::kInterrupt);
  ASSERT_EQ(open(), kOk);
  pv::Evtsel expected = interrupting(pv_event(pv::Generic::kBranches));
  expected.set(pv::Evtsel::kOs, 0);
  EXPECT_EQ(read(kId, BankMsr::kEvtsel), expected.raw);
  EXPECT_EQ(read(kId, BankMsr::kPeriod), 1000u);
  EXPECT_EQ(count(kId), kTurn - 1000);
  EXPECT_EQ(time_enabled(kId), 0u);
  EXPECT_EQ(time_running(kId), 0u);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0u);
  EXPECT_EQ(status(), 1u);
}

TEST_F(PvPerfCalls, OpenOfAFreeRunningEventCountsFromZero) {
  attr.flags = mask_of(CallFlags::kExcludeUser);
  ASSERT_EQ(open(), kOk);
  pv::Evtsel expected = kInstructions;
  expected.set(pv::Evtsel::kUsr, 0);
  EXPECT_EQ(read(kId, BankMsr::kEvtsel), expected.raw);
  EXPECT_EQ(count(kId), 0u);
  EXPECT_EQ(read(kId, BankMsr::kPeriod), 0u);
}

TEST_F(PvPerfCalls, OpenWritesTheRecord) {
  host.fill(kRecord, sizeof(CallEvent), 0xff);
  attr.sample_period = 10;
  ASSERT_EQ(open(), kOk);
  EXPECT_EQ(record().count, kTurn - 10);
  EXPECT_EQ(record().status, 0u);
  EXPECT_EQ(record().time_enabled, 0u);
  EXPECT_EQ(record().time_running, 0u);
}

TEST_F(PvPerfCalls, EventCountsBetweenEnableAndDisable) {
  ASSERT_EQ(open(), kOk);
  steps(5);
  ASSERT_EQ(call(Call::kEnable), kOk);
  steps(100);
  ASSERT_EQ(call(Call::kDisable), kOk);
  EXPECT_EQ(record().count, 100u);
  EXPECT_EQ(record().status, 0u);
  steps(5);
  ASSERT_EQ(call(Call::kRead), kOk);
  EXPECT_EQ(record().count, 100u);
}

TEST_F(PvPerfCalls, ReadOfARunningEventIsExactAndSaysThatItRuns) {
  attr.read_format = kBothTimes;
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  for (std::uint64_t n = 1; n < 5; ++n) {
    steps(3);
    host.now += 250;
    EXPECT_EQ(record().count, 3 * (n - 1));  // nobody has asked yet
    ASSERT_EQ(call(Call::kRead), kOk);
    EXPECT_EQ(record().count, 3 * n);
    EXPECT_EQ(record_status().get(CallStatus::kState), mask_of(pv::State::kRunning));
    EXPECT_EQ(record().time_enabled, 250 * n);
    EXPECT_EQ(record().time_running, 250 * n);
  }
}

TEST_F(PvPerfCalls, RecordHasTheTimesThatWereAskedForOnly) {
  for (const std::uint64_t format : {0U, 1U, 2U, 3U}) {
    attr.read_format = format;
    ASSERT_EQ(open(), kOk);
    ASSERT_EQ(call(Call::kEnable), kOk);
    host.now += 1000;
    ASSERT_EQ(call(Call::kRead), kOk);
    EXPECT_EQ(record().time_enabled, (format & 1) != 0 ? 1000u : 0u);
    EXPECT_EQ(record().time_running, (format & 2) != 0 ? 1000u : 0u);
    ASSERT_EQ(call(Call::kClose), kOk);
  }
}

TEST_F(PvPerfCalls, RecordIsWrittenAtOverflowBeforeTheInterrupt) {
  attr.sample_period = 50;
  attr.flags = mask_of(CallFlags::kInterrupt);
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  CallEvent at_interrupt{};
  host.on_pmi = [&] { at_interrupt = record(); };
  steps(49);
  EXPECT_EQ(host.raised, 0);
  EXPECT_EQ(record().count, kTurn - 50);
  step();
  EXPECT_EQ(host.raised, 1);
  EXPECT_EQ(at_interrupt.count, kTurn - 50);  // reloaded, nothing past the wrap
  EXPECT_EQ(at_interrupt.status,
            mask_of(CallStatus::kOverflowed) | std::uint64_t{mask_of(pv::State::kRunning)});
}

TEST_F(PvPerfCalls, EnableOfAnOverflowedEventAcknowledgesIt) {
  attr.sample_period = 50;
  attr.flags = mask_of(CallFlags::kInterrupt);
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  steps(50);
  ASSERT_EQ(call(Call::kDisable), kOk);
  ASSERT_EQ(call(Call::kRead), kOk);
  EXPECT_EQ(status(), 1u << kId);  // neither of them clears anything
  EXPECT_EQ(record_status().get(CallStatus::kOverflowed), 1u);
  unmask();
  ASSERT_EQ(call(Call::kEnable), kOk);
  EXPECT_EQ(status(), 0u);
  steps(49);
  EXPECT_EQ(delivered(), 1);
  step();
  EXPECT_EQ(delivered(), 2);
}

TEST_F(PvPerfCalls, EnableThatAcknowledgesDeliversAgainForOthers) {
  attr.flags = mask_of(CallFlags::kInterrupt);
  attr.sample_period = 50;
  ASSERT_EQ(open(), kOk);
  param.id = kId + 1;
  param.event_addr = kRecord + 32;
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable, kId), kOk);
  ASSERT_EQ(call(Call::kEnable, kId + 1), kOk);
  steps(50);
  ASSERT_EQ(status(), 3u << kId);
  EXPECT_EQ(delivered(), 1);  // several at one entry are one
  unmask();
  ASSERT_EQ(call(Call::kEnable, kId), kOk);
  EXPECT_EQ(delivered(), 2);
  unmask();
  ASSERT_EQ(call(Call::kEnable, kId + 1), kOk);
  EXPECT_EQ(status(), 0u);
  EXPECT_EQ(delivered(), 2);
}

TEST_F(PvPerfCalls, EnableOfAnEventThatDidNotOverflowDeliversNothing) {
  write(1, BankMsr::kEvtsel, interrupting(kInstructions).raw);
  write(Msr::kStatusSet, 2);
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  EXPECT_EQ(delivered(), 0);
}

TEST_F(PvPerfCalls, CloseSwitchesTheEventOffAndForgetsItsRecord) {
  attr.sample_period = 100;
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  steps(10);
  const CallEvent before = record();
  ASSERT_EQ(call(Call::kClose), kOk);
  steps(200);
  EXPECT_EQ(read(kId, BankMsr::kEvtsel), 0u);
  EXPECT_EQ(count(kId), 0u);
  EXPECT_EQ(read(kId, BankMsr::kPeriod), 0u);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0u);
  EXPECT_EQ(record().count, before.count);
  EXPECT_EQ(record().status, before.status);
  // By registers it is an event as others.
  select(kId, kInstructions);
  set_count(kId, kTurn - 1);
  write(Msr::kGlobalCtrl, 1 << kId);
  steps(2);
  EXPECT_EQ(count(kId), 1u);
  EXPECT_EQ(record().count, before.count);
}

TEST_F(PvPerfCalls, CloseAndOpenBetweenOverflowAndEntryLeavesNoRecordBehind) {
  attr.sample_period = 10;
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  steps(9);
  totals.add(silicon::RawEvent::kInstructions, silicon::Privilege::kKernel, 1);
  deadlines.fire_due();  // and no entry yet
  host.fill(kRecord, sizeof(CallEvent), 0x55);
  ASSERT_EQ(call(Call::kClose), kOk);
  EXPECT_EQ(record().count, 0x5555'5555'5555'5555u);
}

TEST_F(PvPerfCalls, AllEventsCanBeOpenAtOnce) {
  for (unsigned id = 0; id < pv->config().events; ++id) {
    param.id = id;
    param.event_addr = kRecord + std::uint64_t{32} * id;
    ASSERT_EQ(open(), kOk);
    ASSERT_EQ(call(Call::kEnable, id), kOk);
    step();
  }
  for (unsigned id = 0; id < pv->config().events; ++id) {
    ASSERT_EQ(call(Call::kDisable, id), kOk);
    EXPECT_EQ(host.get<CallEvent>(kRecord + std::uint64_t{32} * id).count,
              pv->config().events - id);
  }
}

// ---- Both ways at once --------------------------------------------------------------------------

TEST_F(PvPerfCalls, RegistersAndCallsAreAboutTheSameEvent) {
  ASSERT_EQ(open(), kOk);
  write(Msr::kGlobalCtrl, 1 << kId);  // as ENABLE
  steps(10);
  EXPECT_EQ(count(kId), 10u);
  set_count(kId, 1000);
  steps(5);
  ASSERT_EQ(call(Call::kRead), kOk);
  EXPECT_EQ(record().count, 1005u);
  write(Msr::kGlobalCtrl, 0);  // as DISABLE, without the record
  EXPECT_EQ(record().status, std::uint64_t{mask_of(pv::State::kRunning)});
  ASSERT_EQ(call(Call::kRead), kOk);
  EXPECT_EQ(record().status, 0u);
}

TEST_F(PvPerfCalls, OpenEventThatRegistersChangedIsStillToldOfItsOverflow) {
  ASSERT_EQ(open(), kOk);
  select(kId, interrupting(kCycles));
  set_count(kId, kTurn - 8);
  write(Msr::kGlobalCtrl, 1 << kId);
  steps(4);
  EXPECT_EQ(record().count, 0u);
  EXPECT_EQ(record_status().get(CallStatus::kOverflowed), 1u);
}

TEST_F(PvPerfCalls, OverflowThatStatusResetAcknowledgedIsGoneFromTheNextRecord) {
  attr.sample_period = 4;
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  steps(4);
  write(Msr::kStatusReset, 1 << kId);
  EXPECT_EQ(record_status().get(CallStatus::kOverflowed), 1u);  // still of then
  ASSERT_EQ(call(Call::kRead), kOk);
  EXPECT_EQ(record_status().get(CallStatus::kOverflowed), 0u);
}

TEST_F(PvPerfCalls, ResetClosesAllEvents) {
  ASSERT_EQ(open(), kOk);
  pv->reset();
  EXPECT_EQ(call(Call::kRead), kInvalid);
  EXPECT_EQ(open(), kOk);
}

// ---- What the host does not do ------------------------------------------------------------------

TEST_F(PvPerfCalls, OfAbsentEventsGive0AndSayItInTheStatus) {
  attr.config = static_cast<std::uint64_t>(pv::Generic::kStalledFrontend);
  ASSERT_EQ(open(), kOk);
  pv::State state;
  state.set(pv::State::kNotStarted, 1);
  state.set(pv::State::kCode, static_cast<std::uint64_t>(pv::Code::kCode));
  EXPECT_EQ(record().status, state.raw);
  EXPECT_EQ(error(), error_of(pv::Code::kCode, kId));
}

class NoEvents final : public EventGate {
 public:
  [[nodiscard]] bool admits(silicon::x86::EventSelector) const override { return false; }
  [[nodiscard]] bool admits_fixed(unsigned) const override { return false; }
};

TEST_F(PvPerfCalls, OfFilteredEventsGive0AndSayItInTheStatus) {
  const NoEvents gate;
  pv->set_event_gate(&gate);
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  steps(10);
  ASSERT_EQ(call(Call::kRead), kOk);
  pv::State state;
  state.set(pv::State::kRefused, 1);
  state.set(pv::State::kCode, static_cast<std::uint64_t>(pv::Code::kFiltered));
  EXPECT_EQ(record().status, state.raw);
  EXPECT_EQ(record().count, 0u);
  pv->set_event_gate(nullptr);
}

struct PvPerfCallsOnFakePerf : Calls<PvPerfOnFakePerf> {};

TEST_F(PvPerfCallsOnFakePerf, RecordSaysThatTheHostCouldNotStartTheEvent) {
  perf.no_room = true;
  attr.read_format = mask_of(CallReadFormat::kTimeEnabled, CallReadFormat::kTimeRunning);
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  host.now += 500;
  ASSERT_EQ(call(Call::kRead), kOk);
  pv::State state;
  state.set(pv::State::kNotStarted, 1);
  state.set(pv::State::kCode, static_cast<std::uint64_t>(pv::Code::kBusy));
  EXPECT_EQ(record().status, state.raw);
  EXPECT_EQ(record().time_enabled, 500u);
  EXPECT_EQ(record().time_running, 0u);
}

// ---- Memory -------------------------------------------------------------------------------------

TEST_F(PvPerfCalls, ReadEachWordOfTheStructuresOnce) {
  ASSERT_EQ(open(), kOk);
  for (std::size_t n = 0; n < host.reads.size(); ++n) {
    const std::uint64_t at = 8 * n;
    const bool used = (at >= kParam && at < kParam + sizeof(CallParam)) ||
                      (at >= kAttr && at < kAttr + sizeof(CallAttr));
    EXPECT_EQ(host.reads[n], used ? 1 : 0) << at;
  }
}

TEST_F(PvPerfCalls, GoByWhatTheyReadWhateverBecomesOfItMeanwhile) {
  // Whatever was read is all ones right behind.
  host.after_read = [](std::uint64_t& word) { word = ~std::uint64_t{0}; };
  ASSERT_EQ(open(), kOk);
  host.after_read = nullptr;
  EXPECT_EQ(read(kId, BankMsr::kEvtsel), kInstructions.raw);
  ASSERT_EQ(call(Call::kEnable), kOk);
  steps(7);
  ASSERT_EQ(call(Call::kDisable), kOk);
  EXPECT_EQ(record().count, 7u);
}

TEST_F(PvPerfCalls, WriteNothingButTheRecord) {
  host.fill(0, kPastRam, 0xa5);
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  steps(3);
  ASSERT_EQ(call(Call::kDisable), kOk);
  for (std::uint64_t at = 0; at < kPastRam; at += 8) {
    if (at >= kRecord && at < kRecord + sizeof(CallEvent)) continue;
    if (at >= kParam && at < kParam + sizeof(CallParam)) continue;
    if (at >= kAttr && at < kAttr + sizeof(CallAttr)) continue;
    ASSERT_EQ(host.get<std::uint64_t>(at), 0xa5a5'a5a5'a5a5'a5a5u) << at;
  }
}

TEST_F(PvPerfCalls, StructuresMayEndWhereTheirPagesEnd) {
  param_at = kParam + kPage - sizeof(CallParam);
  param.attr_addr = kAttr + kPage - sizeof(CallAttr);
  param.event_addr = kRecord + kPage - sizeof(CallEvent);
  host.put(param.attr_addr, attr);
  host.put(param_at, param);
  ASSERT_EQ(call(Call::kOpen, param_at), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  steps(9);
  ASSERT_EQ(call(Call::kRead), kOk);
  EXPECT_EQ(record().count, 9u);
}

TEST_F(PvPerfCalls, RecordMayBeAtAddress0) {
  param.event_addr = 0;
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  steps(2);
  ASSERT_EQ(call(Call::kRead), kOk);
  EXPECT_EQ(record().count, 2u);
}

TEST_F(PvPerfCalls, StructuresMayBeReadOnlyButNotTheRecord) {
  host.put(kAttr, attr);
  host.put(kParam, param);
  host.set_kind(kAttr, Kind::kReadOnly);
  host.set_kind(kParam, Kind::kReadOnly);
  EXPECT_EQ(call(Call::kOpen, kParam), kOk);
}

TEST_F(PvPerfCalls, RecordThatIsNoRamAnyMoreIsForgottenForGood) {
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  steps(5);
  host.set_kind(kRecord, Kind::kNothing);
  EXPECT_EQ(call(Call::kDisable), kFault);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0u);  // it is off all the same
  EXPECT_EQ(count(kId), 5u);
  host.set_kind(kRecord, Kind::kRam);
  EXPECT_EQ(call(Call::kRead), kFault);
  EXPECT_EQ(record().count, 0u);
  EXPECT_EQ(call(Call::kEnable), kOk);
  EXPECT_EQ(call(Call::kClose), kOk);
  EXPECT_EQ(open(), kOk);
}

TEST_F(PvPerfCalls, OverflowOfAnEventWhoseRecordIsGoneInterruptsAllTheSame) {
  attr.sample_period = 20;
  attr.flags = mask_of(CallFlags::kInterrupt);
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  host.set_kind(kRecord, Kind::kReadOnly);
  steps(20);
  EXPECT_EQ(delivered(), 1);
  EXPECT_EQ(record().status, 0u);
}

TEST_F(PvPerfCalls, EventsThatAreOpenMoveWithTheirRecords) {
  ASSERT_EQ(open(), kOk);
  ASSERT_EQ(call(Call::kEnable), kOk);
  steps(5);
  const PvPerfState state = pv->save();
  make(full_pv_perf());
  ASSERT_TRUE(pv->restore(state).has_value());
  steps(3);
  ASSERT_EQ(call(Call::kRead), kOk);
  EXPECT_EQ(record().count, 8u);
}

TEST_F(PvPerfCalls, RecordThatIsGoneIsGoneBehindAMigrationToo) {
  ASSERT_EQ(open(), kOk);
  host.set_kind(kRecord, Kind::kNothing);
  ASSERT_EQ(call(Call::kRead), kFault);
  host.set_kind(kRecord, Kind::kRam);
  const PvPerfState state = pv->save();
  make(full_pv_perf());
  ASSERT_TRUE(pv->restore(state).has_value());
  EXPECT_EQ(call(Call::kRead), kFault);
  EXPECT_EQ(call(Call::kClose), kOk);
}

// ---- What is refused ----------------------------------------------------------------------------

struct Refused {
  const char* name;
  std::int64_t result;
  void (*change)(CallParam&, CallAttr&);
};

const Refused kRefusedOpens[] = {
    {"param flags", kInvalid, [](CallParam& p, CallAttr&) { p.flags = 1; }},
    {"param flags' highest bit", kInvalid, [](CallParam& p, CallAttr&) { p.flags = 1U << 31; }},
    {"param reserved", kInvalid, [](CallParam& p, CallAttr&) { p.reserved = 1; }},
    {"param reserved's highest bit", kInvalid,
     [](CallParam& p, CallAttr&) { p.reserved = std::uint64_t{1} << 63; }},
    {"id N", kInvalid, [](CallParam& p, CallAttr&) { p.id = 8; }},
    {"id 32", kInvalid, [](CallParam& p, CallAttr&) { p.id = 32; }},
    {"id 255", kInvalid, [](CallParam& p, CallAttr&) { p.id = 255; }},
    {"id -1", kInvalid, [](CallParam& p, CallAttr&) { p.id = ~0U; }},
    {"id open already", kInvalid, [](CallParam& p, CallAttr&) { p.id = 0; }},
    {"misaligned attr", kInvalid, [](CallParam& p, CallAttr&) { p.attr_addr = kAttr + 4; }},
    {"misaligned event", kInvalid, [](CallParam& p, CallAttr&) { p.event_addr = kRecord + 1; }},
    {"attr that is no RAM", kFault, [](CallParam& p, CallAttr&) { p.attr_addr = kPastRam; }},
    {"attr at the end of the address space", kFault,
     [](CallParam& p, CallAttr&) { p.attr_addr = ~std::uint64_t{7}; }},
    {"attr across pages", kFault, [](CallParam& p, CallAttr&) { p.attr_addr = kAttr + 4096 - 40; }},
    {"event that is no RAM", kFault, [](CallParam& p, CallAttr&) { p.event_addr = kPastRam; }},
    {"event at the end of the address space", kFault,
     [](CallParam& p, CallAttr&) { p.event_addr = ~std::uint64_t{31}; }},
    {"event across pages", kFault,
     [](CallParam& p, CallAttr&) { p.event_addr = kRecord + 4096 - 24; }},
    {"event that is read-only", kFault, [](CallParam& p, CallAttr&) { p.event_addr = 0xf000; }},
    {"attr pad", kInvalid, [](CallParam&, CallAttr& a) { a.pad = 1; }},
    {"attr reserved", kInvalid, [](CallParam&, CallAttr& a) { a.reserved = 1; }},
    {"attr flags bit 3", kInvalid, [](CallParam&, CallAttr& a) { a.flags = 8; }},
    {"attr flags bit 63", kInvalid,
     [](CallParam&, CallAttr& a) { a.flags = std::uint64_t{1} << 63; }},
    {"attr read_format bit 2", kInvalid, [](CallParam&, CallAttr& a) { a.read_format = 4; }},
    {"attr read_format bit 63", kInvalid,
     [](CallParam&, CallAttr& a) { a.read_format = std::uint64_t{1} << 63; }},
    {"type 4", kNotSupported, [](CallParam&, CallAttr& a) { a.type = 4; }},
    {"type 5", kInvalid, [](CallParam&, CallAttr& a) { a.type = 5; }},
    {"type 256", kInvalid, [](CallParam&, CallAttr& a) { a.type = 256; }},
    {"generic code 10", kInvalid, [](CallParam&, CallAttr& a) { a.config = 10; }},
    {"config bit 32", kInvalid,
     [](CallParam&, CallAttr& a) { a.config |= std::uint64_t{1} << 32; }},
    {"config bit 63", kInvalid,
     [](CallParam&, CallAttr& a) { a.config |= std::uint64_t{1} << 63; }},
    {"cache 7", kInvalid, [](CallParam&, CallAttr& a) { a.type = 1, a.config = 7; }},
    {"cache operation 3", kInvalid, [](CallParam&, CallAttr& a) { a.type = 1, a.config = 0x300; }},
    {"cache result 2", kInvalid, [](CallParam&, CallAttr& a) { a.type = 1, a.config = 0x20000; }},
    {"cache bit 24", kInvalid, [](CallParam&, CallAttr& a) { a.type = 1, a.config = 1 << 24; }},
    {"raw bit 30", kInvalid,
     [](CallParam&, CallAttr& a) { a.type = 2, a.config = 0xc0 | 1 << 30; }},
    {"software code 4", kInvalid, [](CallParam&, CallAttr& a) { a.type = 3, a.config = 4; }},
    {"period 2^48", kInvalid,
     [](CallParam&, CallAttr& a) { a.sample_period = std::uint64_t{1} << 48; }},
    {"period below the minimum", kInvalid, [](CallParam&, CallAttr& a) { a.sample_period = 9; }},
};

/// All that a guest or a snapshot could see of it, but how many calls there were.
struct Everything {
  PvPerfState state;
  std::vector<std::uint64_t> registers;
  std::vector<std::uint64_t> ram;
  int raised = 0;
  friend bool operator==(const Everything&, const Everything&) = default;
};

class RefusedPvPerfCalls : public PvPerfCalls {
 protected:
  RefusedPvPerfCalls() {
    PvPerfConfig config = full_pv_perf();
    config.minimum_period = 10;
    make(config);
    host.set_kind(0xf000, Kind::kReadOnly);
    // An open event that counts and has overflowed, and one of registers alone.
    CallParam other = param;
    other.id = 0;
    other.event_addr = 0x5000;
    CallAttr sampling = attr;
    sampling.sample_period = 10;
    host.put(kAttr, sampling);
    host.put(kParam, other);
    EXPECT_EQ(call(Call::kOpen, kParam), kOk);
    EXPECT_EQ(call(Call::kEnable, 0), kOk);
    select(kId, kCycles);
    write(Msr::kGlobalCtrl, 1 | 1 << kId);
    write(Msr::kArea, 0x6000 | 1);
    steps(25);
  }

  Everything everything() {
    Everything all;
    all.state = pv->save();
    all.state.statistics = {};
    for (std::uint32_t offset = 0; offset < pv::kMsrCount; ++offset) {
      const Access access = try_read(msr(offset));
      all.registers.push_back(access.is_done() ? access.value() : ~std::uint64_t{0});
    }
    for (std::uint64_t at = 0; at < kPastRam; at += 8) {
      all.ram.push_back(host.get<std::uint64_t>(at));
    }
    all.raised = host.raised;
    return all;
  }
  void expect_refused(const std::string& name, std::int64_t result, std::uint64_t operation,
                      std::uint64_t first, std::uint64_t second = 0) {
    const Everything before = everything();
    EXPECT_EQ(call(operation, first, second), result) << name;
    EXPECT_EQ(everything(), before) << name;
  }
};

TEST_F(RefusedPvPerfCalls, OpenOfWhatIsWrongChangesNothing) {
  for (const Refused& refused : kRefusedOpens) {
    CallParam wrong = param;
    CallAttr wrong_attr = attr;
    refused.change(wrong, wrong_attr);
    host.put(kParam, wrong);
    host.put(kAttr, wrong_attr);
    expect_refused(refused.name, refused.result, 1, kParam);
  }
}

TEST_F(RefusedPvPerfCalls, OpenOfAnAddressThatIsWrongChangesNothing) {
  host.put(kAttr, attr);
  host.put(kParam + kPage - 24, param);
  host.put(kParam + 4, param);
  expect_refused("misaligned", kInvalid, 1, kParam + 4);
  expect_refused("across pages", kFault, 1, kParam + kPage - 24);
  expect_refused("no RAM", kFault, 1, kPastRam);
  expect_refused("no RAM and misaligned", kInvalid, 1, kPastRam + 2);
  expect_refused("RCX above 32 bits", kInvalid, 1, kParam | std::uint64_t{1} << 32);
  expect_refused("RDX above 32 bits", kInvalid, 1, kParam, std::uint64_t{1} << 32);
}

TEST_F(RefusedPvPerfCalls, UnknownOperationsChangeNothing) {
  for (const std::uint64_t operation :
       {std::uint64_t{0}, std::uint64_t{6}, std::uint64_t{1} << 32 | 5, ~std::uint64_t{0}}) {
    expect_refused("operation " + std::to_string(operation), kNotSupported, operation, 0);
  }
}

TEST_F(RefusedPvPerfCalls, IdsThatAreNotOpenChangeNothing) {
  for (const std::uint64_t operation : {2U, 3U, 4U, 5U}) {
    for (const std::uint64_t id :
         {std::uint64_t{kId}, std::uint64_t{7}, std::uint64_t{8}, std::uint64_t{32},
          std::uint64_t{255}, std::uint64_t{1} << 32, ~std::uint64_t{0}}) {
      expect_refused("id " + std::to_string(id), kInvalid, operation, id);
    }
  }
}

TEST_F(RefusedPvPerfCalls, LeastPeriodIsTaken) {
  attr.sample_period = 10;
  EXPECT_EQ(open(), kOk);
}

TEST_F(PvPerfCalls, VariantsThatAreNotOfferedAreNotSupported) {
  PvPerfConfig config = full_pv_perf();
  config.features.set(pv::Features::kRaw, 0);
  config.features.set(pv::Features::kAutoReload, 0);
  make(config);
  attr = attr_of(pv::Type::kRaw, 0xc0);
  EXPECT_EQ(open(), kNotSupported);
  attr = attr_of(pv::Type::kGeneric, 0, 100);
  EXPECT_EQ(open(), kNotSupported);
  attr.sample_period = 0;
  EXPECT_EQ(open(), kOk);
  EXPECT_EQ(count(kId), 0u);
}

TEST_F(PvPerfCalls, WidthOf64BitsHasPeriodsOf64Bits) {
  PvPerfConfig config = full_pv_perf();
  config.width = 64;
  make(config);
  attr.sample_period = ~std::uint64_t{0};
  ASSERT_EQ(open(), kOk);
  EXPECT_EQ(count(kId), 1u);
}

}  // namespace
}  // namespace vpmu::virt::x86
