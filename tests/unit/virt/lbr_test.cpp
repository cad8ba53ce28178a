// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/lbr.hpp"

#include <gtest/gtest.h>

#include "unit/virt/lbr_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

using hostperf::EventState;
using hostperf::OpenError;
using silicon::x86::LbrModel;

class LbrTest : public LbrFixture {};

// ---- The event ----------------------------------------------------------------------------------

TEST_F(LbrTest, TheEventIsAskedForAsTheHostKnowsIt) {
  switch_on();
  const hostperf::FakeHostPerf::Event& event = perf.event(lbr->event());
  EXPECT_EQ(event.attr.config, 0x1b00u);
  EXPECT_EQ(event.attr.branch_type, 1u << 0 | 1u << 11) << "user, call stack";
  EXPECT_TRUE(event.attr.pinned);
  EXPECT_TRUE(event.attr.exclude_host);
  EXPECT_FALSE(event.attr.exclude_guest);
  EXPECT_EQ(event.attr.period, 0u);
  EXPECT_EQ(event.target.kind, hostperf::Target::Kind::kVcpu);
  EXPECT_EQ(event.target.index, 3u) << "bound to its vCPU, not to whoever runs";
}

TEST_F(LbrTest, NothingIsOpenedUntilTheGuestWantsIt) {
  enter();
  new_slice();
  EXPECT_EQ(perf.open_events(), 0u);
  EXPECT_TRUE(all_intercepted(true));
}

// Upstream's first version took success for failure: the first access read 0.
TEST_F(LbrTest, TheAccessThatCreatesTheEventAlreadyReadsTheRegister) {
  ASSERT_EQ(host_write_lbr(from(5), 0x1234), Access::done());
  EXPECT_EQ(rdmsr(from(5)), Access::done(0x1234));
  EXPECT_TRUE(has_event());
}

// And failure for success: it went on with an event that there was not.
TEST_F(LbrTest, WithoutAnEventAccessesReadZeroAreDroppedAndDoNotFault) {
  for (const OpenError error : {OpenError::kBusy, OpenError::kNoSuchEvent, OpenError::kNoSpace}) {
    make_lbr(kInfo32, 2);
    perf.refuse_lbr = error;
    EXPECT_EQ(wrmsr(msr::MSR_LASTBRANCH_TOS, 3), Access::done());
    EXPECT_EQ(wrmsr(msr::MSR_LBR_SELECT, ~0ULL), Access::done()) << "reserved bits, too";
    EXPECT_EQ(rdmsr(msr::MSR_LASTBRANCH_TOS), Access::done(0));
    switch_on();
    new_slice();
    EXPECT_FALSE(has_event());
    EXPECT_FALSE(lbr->recording());
    EXPECT_TRUE(all_intercepted(true));
  }
}

}  // namespace
}  // namespace vpmu::virt::x86
