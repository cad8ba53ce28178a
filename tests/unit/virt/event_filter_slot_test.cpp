// SPDX-License-Identifier: MIT
//
// A VM's filter, and the PMUs that ask it: what a change does to counters that run.
#include "vpmu/virt/x86/event_filter_slot.hpp"

#include <memory>
#include <utility>
#include <vector>

#include "bench/support/allocations.hpp"
#include "unit/virt/filter_images.hpp"
#include "unit/virt/pmu_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

namespace msr = silicon::x86::msr;
using silicon::Privilege;
using silicon::x86::Vendor;

constexpr std::uint64_t kTurn48 = std::uint64_t{1} << 48;
constexpr std::uint64_t kFixed0 = std::uint64_t{1} << 32;

std::unique_ptr<const EventFilter> allow(const std::vector<std::uint64_t>& entries,
                                         std::uint32_t fixed_bitmap = 0) {
  return filter_of(image_of(kAllow, kLegacyMode, entries, fixed_bitmap));
}
std::unique_ptr<const EventFilter> deny(const std::vector<std::uint64_t>& entries,
                                        std::uint32_t fixed_bitmap = 0) {
  return filter_of(image_of(kDeny, kLegacyMode, entries, fixed_bitmap));
}

// ---- The slot alone -----------------------------------------------------------------------------

TEST(EventFilterSlot, WithoutFilterEverythingMayBeCounted) {
  EventFilterSlot slot;
  EXPECT_TRUE(slot.admits({0xc0, 0}));
  EXPECT_TRUE(slot.admits_fixed(31));
  EXPECT_TRUE(slot.read([](const EventFilter* filter) { return filter == nullptr; }));
}

TEST(EventFilterSlot, DecidesByTheFilterThatWasPublishedLast) {
  EventFilterSlot slot;
  slot.publish(allow({0xc0}, 1));
  EXPECT_TRUE(slot.admits({0xc0, 0}));
  EXPECT_FALSE(slot.admits({0xc4, 0}));
  EXPECT_TRUE(slot.admits_fixed(0));
  EXPECT_FALSE(slot.admits_fixed(1));
  slot.publish(deny({0xc0}, 1));
  EXPECT_FALSE(slot.admits({0xc0, 0}));
  EXPECT_TRUE(slot.admits({0xc4, 0}));
  EXPECT_FALSE(slot.admits_fixed(0));
  EXPECT_TRUE(slot.admits_fixed(1));
  slot.publish(nullptr);
  EXPECT_TRUE(slot.admits({0xc0, 0}));
  EXPECT_TRUE(slot.admits_fixed(0));
}

TEST(EventFilterSlot, ReadGivesTheFilterInForce) {
  EventFilterSlot slot;
  auto filter = allow({0xc0});
  const EventFilter* const expected = filter.get();
  slot.publish(std::move(filter));
  EXPECT_EQ(slot.read([](const EventFilter* seen) { return seen; }), expected);
  EXPECT_EQ(slot.read([&](const EventFilter* outer) {
    return slot.read([](const EventFilter* inner) { return inner; }) == outer;
  }),
            true)
      << "a read within a read";
}

// ---- PMUs ---------------------------------------------------------------------------------------

class FilteredPmu : public PmuFixture {
 protected:
  FilteredPmu() { slot.attach(*pmu); }
  ~FilteredPmu() override { slot.detach(*pmu); }

  void make_anew(const PmuConfig& config) {
    slot.detach(*pmu);
    make(config);
    slot.attach(*pmu);
  }
  /// As a VM does it: the vCPU comes by before its next instruction.
  void publish(std::unique_ptr<const EventFilter> filter) {
    slot.publish(std::move(filter));
    pmu->before_entry();
  }
  void start(unsigned i, std::uint64_t select, std::uint64_t value = 0) {
    write(full_pmc(i), value);
    write(event_select(i), select);
  }

  EventFilterSlot slot;
};

TEST_F(FilteredPmu, DeniedRunningCounterFreezesAndKeepsItsCount) {
  start(0, kInstructions);
  perf.count(100);
  publish(deny({0xc0}));
  perf.count(1000);
  EXPECT_EQ(read(pmc(0)), Access::done(100));
  EXPECT_EQ(pmu->rdpmc(0, true), Access::done(100));
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kDenied);
  EXPECT_EQ(read(event_select(0)), Access::done(kInstructions)) << "what was written reads back";
}

TEST_F(FilteredPmu, AllowedAgainItContinuesFromThere) {
  start(0, kInstructions);
  perf.count(100);
  publish(deny({0xc0}));
  perf.count(1000);
  publish(allow({0xc0}));
  perf.count(10);
  EXPECT_EQ(read(pmc(0)), Access::done(110));
  publish(allow({0xc4}));
  perf.count(1000);
  publish(nullptr);
  perf.count(1);
  EXPECT_EQ(read(pmc(0)), Access::done(111));
}

TEST_F(FilteredPmu, DeniedCounterCanBeProgrammedAndReadAsAnyOther) {
  publish(deny({0xc0}));
  start(0, kInstructions | kInt, 0x1234);
  EXPECT_EQ(read(full_pmc(0)), Access::done(0x1234));
  write(full_pmc(0), 7);
  EXPECT_EQ(read(pmc(0)), Access::done(7));
  EXPECT_EQ(read(event_select(0)), Access::done(kInstructions | kInt));
  EXPECT_EQ(perf.open_events(), 0u) << "the host never hears of it";
}

TEST_F(FilteredPmu, DeniedCounterNeitherOverflowsNorInterrupts) {
  start(0, kInstructions | kInt, kTurn48 - 10);
  perf.count(4);
  publish(deny({0xc0}));
  perf.count(100);
  pmu->before_entry();
  EXPECT_EQ(sink.raised, 0);
  EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_STATUS), Access::done(0));
  EXPECT_EQ(read(pmc(0)), Access::done(kTurn48 - 6));
}

TEST_F(FilteredPmu, AllowedAgainItOverflowsAfterWhatWasLeft) {
  start(0, kInstructions | kInt, kTurn48 - 10);
  perf.count(4);
  publish(deny({0xc0}));
  perf.count(100);
  publish(nullptr);
  perf.count(5);
  pmu->before_entry();
  EXPECT_EQ(sink.raised, 0);
  perf.count(1);
  pmu->before_entry();
  EXPECT_EQ(sink.raised, 1);
  EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_STATUS), Access::done(1));
}

TEST_F(FilteredPmu, DeniedCounterGetsNoCreditForEmulatedInstructions) {
  start(0, kInstructions);
  start(1, kBranches);
  write(msr::IA32_FIXED_CTR_CTRL, 3);
  write(msr::IA32_PERF_GLOBAL_CTRL, 3 | kFixed0);
  const auto credited = [&] {
    pmu->instruction_emulated(EmulatedInstruction::kBranch, Privilege::kKernel);
    return std::vector{pmu->value(gp_counter(0)), pmu->value(gp_counter(1)),
                       pmu->value(fixed_counter(0))};
  };
  using Values = std::vector<std::uint64_t>;
  EXPECT_EQ(credited(), (Values{1, 1, 1}));
  // Not even before the counters have been reprogrammed.
  slot.publish(deny({0xc0}));
  EXPECT_EQ(credited(), (Values{1, 2, 2}));
  slot.publish(deny({0xc4}, 1));
  EXPECT_EQ(credited(), (Values{2, 2, 2}));
  slot.publish(nullptr);
  EXPECT_EQ(credited(), (Values{3, 3, 3}));
}

TEST_F(FilteredPmu, FixedCountersFollowTheBitmapOnly) {
  write(msr::IA32_FIXED_CTR_CTRL, 0x333);
  write(msr::IA32_PERF_GLOBAL_CTRL, 1 | 7 * kFixed0);
  start(0, kInstructions);
  publish(deny({0xc0}, 2));
  perf.count(5);
  EXPECT_EQ(read(pmc(0)), Access::done(0));
  EXPECT_EQ(read(fixed(0)), Access::done(5)) << "the entries are not for fixed counters";
  EXPECT_EQ(read(fixed(1)), Access::done(0));
  EXPECT_EQ(read(fixed(2)), Access::done(5));
  publish(allow({0xc0}, 2));
  perf.count(5);
  EXPECT_EQ(read(pmc(0)), Access::done(5));
  EXPECT_EQ(read(fixed(0)), Access::done(5));
  EXPECT_EQ(read(fixed(1)), Access::done(5));
  EXPECT_EQ(read(fixed(2)), Access::done(5));
  publish(allow({0xc0}, ~7U));
  EXPECT_EQ(pmu->status(fixed_counter(0)), CounterStatus::kDenied)
      << "bits of counters that are not there change nothing";
}

TEST_F(FilteredPmu, NothingButEventAndUnitMaskMatters) {
  publish(deny({0x412e}));
  write(event_select(0), 0x412e | kEn | kUsr | kInt | 1 << 18 | 1 << 23 | 0x0200'0000);
  write(event_select(1), 0x402e | kEn | kOs);
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kDenied);
  EXPECT_EQ(pmu->status(gp_counter(1)), CounterStatus::kCounting);
}

// A host whose interrupts come at any time: between the change of the filter, on another thread,
// and the vCPU's coming by, the counter still counts, and what it has counted is not lost.
TEST_F(FilteredPmu, OverflowBeforeTheChangeTakesEffectIsAnOverflow) {
  for (const bool denied : {false, true}) {
    make_anew(kVersion2);
    sink.raised = 0;
    start(0, kInstructions | kInt, kTurn48 - 10);
    slot.publish(denied ? deny({0xc0}) : deny({0xc4}));
    perf.count(10);
    pmu->before_entry();
    EXPECT_EQ(sink.raised, 1) << denied;
    EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_STATUS), Access::done(1)) << denied;
    EXPECT_EQ(read(pmc(0)), Access::done(0)) << denied;
  }
}

TEST_F(FilteredPmu, AmdCountersAreFilteredByTwelveBits) {
  make_anew(kAmdV2);
  write(msr::PerfCntrGlobalCtl, 3);
  write(core_select(0), 0xc2 | kEn | kOs);
  write(core_select(1), 0x1'0000'00c2 | kEn | kOs);
  slot.publish(filter_of(image_of(kDeny, kLegacyMode, {0x1'0000'00c2}), Vendor::kAmd));
  pmu->before_entry();
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kCounting);
  EXPECT_EQ(pmu->status(gp_counter(1)), CounterStatus::kDenied);
}

TEST_F(FilteredPmu, ChangeAsksForEntryWorkAndIsDoneInOneEntry) {
  const int requests = sink.requests;
  slot.publish(deny({}));
  EXPECT_EQ(sink.requests, requests + 1);
  EXPECT_TRUE(pmu->has_entry_work());
  pmu->before_entry();
  EXPECT_FALSE(pmu->has_entry_work());
}

TEST_F(FilteredPmu, DecisionsAndEntriesDoNotAllocate) {
  start(0, kInstructions);
  auto first = deny({0xc0});
  slot.publish(allow({0xc0}));
  pmu->before_entry();
  const std::uint64_t before = bench::allocations();
  slot.publish(std::move(first));
  pmu->before_entry();
  (void)pmu->write_msr(event_select(1), kBranches, Initiator::kGuest);
  pmu->instruction_emulated(EmulatedInstruction::kBranch, Privilege::kKernel);
  EXPECT_EQ(bench::allocations() - before, 0u);
}

// ---- Every counter of every vCPU ----------------------------------------------------------------

/// A vCPU of a VM of several, each with a host perf of its own to tell them apart.
struct OneOfMany {
  hostperf::FakeHostPerf perf;
  FakePmiSink sink;
  Pmu pmu{kVersion2, perf, hostperf::VcpuIndex{0}, sink};

  void write(std::uint32_t index, std::uint64_t value) {
    EXPECT_EQ(pmu.write_msr(MsrIndex{index}, value, Initiator::kGuest), Access::done());
    pmu.before_entry();
  }
  /// Four general-purpose and three fixed counters count.
  void start_all() {
    for (std::uint32_t i = 0; i < 4; ++i) write(0x186 + i, 0x5300c0);
    write(0x38d, 0x333);
    write(0x38f, 0xf | 7 * kFixed0);
  }
  [[nodiscard]] unsigned with(CounterStatus status) const {
    unsigned count = 0;
    for (unsigned i = 0; i < 4; ++i) count += pmu.status(gp_counter(i)) == status ? 1 : 0;
    for (unsigned k = 0; k < 3; ++k) count += pmu.status(fixed_counter(k)) == status ? 1 : 0;
    return count;
  }
};

TEST(EventFilterSlotPmus, EveryCounterOfEveryPmuIsReprogrammed) {
  EventFilterSlot slot;
  OneOfMany vcpus[3];
  for (OneOfMany& vcpu : vcpus) {
    slot.attach(vcpu.pmu);
    vcpu.start_all();
    EXPECT_EQ(vcpu.with(CounterStatus::kCounting), 7u);
  }
  slot.publish(allow({}));
  for (OneOfMany& vcpu : vcpus) {
    EXPECT_TRUE(vcpu.pmu.has_entry_work());
    EXPECT_EQ(vcpu.with(CounterStatus::kCounting), 7u) << "until it comes by";
    vcpu.pmu.before_entry();
    EXPECT_EQ(vcpu.with(CounterStatus::kDenied), 7u);
  }
  slot.publish(nullptr);
  for (OneOfMany& vcpu : vcpus) {
    vcpu.pmu.before_entry();
    EXPECT_EQ(vcpu.with(CounterStatus::kCounting), 7u);
    slot.detach(vcpu.pmu);
  }
}

TEST(EventFilterSlotPmus, DetachedPmuIsFreeAndOthersStay) {
  EventFilterSlot slot;
  OneOfMany leaves, stays;
  for (OneOfMany* vcpu : {&leaves, &stays}) {
    slot.attach(vcpu->pmu);
    vcpu->start_all();
  }
  slot.publish(allow({}));
  for (OneOfMany* vcpu : {&leaves, &stays}) vcpu->pmu.before_entry();
  slot.detach(leaves.pmu);
  EXPECT_TRUE(leaves.pmu.has_entry_work());
  leaves.pmu.before_entry();
  EXPECT_EQ(leaves.with(CounterStatus::kCounting), 7u);
  EXPECT_EQ(stays.with(CounterStatus::kDenied), 7u);
  slot.publish(deny({0xc0}));
  EXPECT_FALSE(leaves.pmu.has_entry_work()) << "it is told nothing any more";
  EXPECT_TRUE(stays.pmu.has_entry_work());
  slot.detach(stays.pmu);
}

TEST(EventFilterSlotPmus, AttachedLaterItFollowsTheFilterInForce) {
  EventFilterSlot slot;
  slot.publish(allow({0xc0}));
  OneOfMany vcpu;
  vcpu.start_all();
  slot.attach(vcpu.pmu);
  vcpu.pmu.before_entry();
  EXPECT_EQ(vcpu.with(CounterStatus::kCounting), 4u);
  EXPECT_EQ(vcpu.with(CounterStatus::kDenied), 3u);
  slot.detach(vcpu.pmu);
}

TEST(EventFilterSlotPmus, FilterStaysOverResetAndMigration) {
  EventFilterSlot slot;
  slot.publish(allow({0xc0}));
  OneOfMany from, to;
  slot.attach(from.pmu);
  slot.attach(to.pmu);
  from.pmu.reset();
  from.start_all();
  EXPECT_EQ(from.with(CounterStatus::kDenied), 3u);
  ASSERT_TRUE(to.pmu.restore(from.pmu.save()).has_value());
  slot.publish(deny({0xc0}));
  to.pmu.before_entry();
  EXPECT_EQ(to.with(CounterStatus::kDenied), 4u) << "by the filter of now";
  EXPECT_EQ(to.with(CounterStatus::kCounting), 3u);
  slot.detach(from.pmu);
  slot.detach(to.pmu);
}

}  // namespace
}  // namespace vpmu::virt::x86
