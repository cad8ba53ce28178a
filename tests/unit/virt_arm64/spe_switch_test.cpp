// SPDX-License-Identifier: MIT
//
// World switches of the virtual SPE, in each flavour: what is moved, what is drained, and that
// nobody finds anything of another's.
#include <string>

#include "unit/virt_arm64/spe_fixture.hpp"

namespace vpmu::virt::arm64 {
namespace {

using silicon::arm64::SpeUnitState;
using silicon::arm64::SystemRegister;

constexpr SpeFlavour kFlavours[] = {SpeFlavour::kVhe, SpeFlavour::kNvhe, SpeFlavour::kProtected};

/// Everything that the host may have in a unit, in use or not.
struct HostRegister {
  SystemRegister which;
  std::uint64_t value;
};
constexpr HostRegister kHosts[] = {
    {reg::PMSICR_EL1, 77},          {reg::PMSIRR_EL1, 0x800}, {reg::PMSFCR_EL1, 0x7'0002},
    {reg::PMSEVFR_EL1, 0x22},       {reg::PMSLATFR_EL1, 9},   {reg::PMSNEVFR_EL1, 0x08},
    {reg::PMBPTR_EL1, 0x7000'0000}, {reg::PMSCR_EL1, 2},
};
constexpr std::uint64_t kHostLimit = 0x7000'4000;

class SpeSwitches : public SpeFixture, public testing::WithParamInterface<SpeFlavour> {
 protected:
  void start(const silicon::arm64::SpeModel& model = kSpeModelV1p2) {
    SpeVmConfig config = spe_everywhere(model);
    config.flavour = GetParam();
    make_ready(config);
  }
  void set_host_registers(bool profiles) {
    for (const auto& [which, value] : kHosts) {
      if (unit().read(which).is_done()) {
        ASSERT_TRUE(unit().write(which, value).is_done());
      }
    }
    const std::uint64_t limit = kHostLimit | (profiles ? kEnable : 0);
    ASSERT_TRUE(unit().write(reg::PMBLIMITR_EL1, limit).is_done());
    unit().set_owner({.pmscr_el2 = 0x40});
  }
  [[nodiscard]] const SpeSwitchStatistics statistics() { return spe().switch_statistics(); }
  [[nodiscard]] bool is_vhe() const { return GetParam() == SpeFlavour::kVhe; }
  [[nodiscard]] bool is_protected() const { return GetParam() == SpeFlavour::kProtected; }
};

/// Of the unit, but PMSCR_EL1 where only guests use it.
SpeUnitState registers(const silicon::arm64::SpeUnit& unit, bool vhe) {
  SpeUnitState state = unit.save();
  if (vhe) state.pmscr = 0;
  state.random = 1;
  state.statistics = {};
  return state;
}

TEST_P(SpeSwitches, PutBackWhatTheHostHad) {
  for (const bool host_profiles : {false, true}) {
    for (const bool guest_profiles : {false, true}) {
      SCOPED_TRACE(testing::Message() << "host " << host_profiles << ", guest " << guest_profiles);
      start();
      set_host_registers(host_profiles);
      const SpeUnitState hosts = registers(unit(), is_vhe());
      ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
      write(reg::PMSNEVFR_EL1, 0x80);
      if (guest_profiles) profile();
      EXPECT_FALSE(unit().profiles(1) && !guest_profiles) << "the host's sampling is stopped";
      sample(2);
      spe().exit();
      if (host_profiles) {
        SpeUnitState now = registers(unit(), is_vhe());
        now.pmsnevfr = hosts.pmsnevfr;  // no host uses it
        EXPECT_EQ(now, hosts) << "it goes on profiling at once";
      }
      spe().scheduled_out();
      EXPECT_EQ(registers(unit(), is_vhe()), hosts);
      EXPECT_EQ(unit().owner().pmscr_el2, 0x40u);
    }
  }
}

TEST_P(SpeSwitches, GiveTheGuestWhatItHad) {
  start();
  set_host_registers(true);
  profile();
  write(reg::PMSNEVFR_EL1, 0x80);
  write(reg::PMSEVFR_EL1, 0x02);
  write(reg::PMSLATFR_EL1, 1);
  write(reg::PMSFCR_EL1, 0x1'000d);
  sample(1);
  const SpeUnitState before = unit().save();
  for (int i = 0; i < 3; ++i) {
    spe().exit();
    if (i == 1) spe().scheduled_out();
    ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
    SpeUnitState after = unit().save();
    after.in_flight = before.in_flight;
    EXPECT_EQ(after, before) << "but for what was in flight, which is complete";
  }
}

TEST_P(SpeSwitches, MoveAndDrainAsTheirFlavourDoes) {
  start(kSpeModelV1p1);
  set_host_registers(true);
  profile();
  const SpeSwitchStatistics before = statistics();
  spe().exit();
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  const SpeSwitchStatistics after = statistics();
  const std::uint64_t host = is_vhe() ? 9 : 10;
  EXPECT_EQ(after.host_loaded - before.host_loaded, host);
  EXPECT_EQ(after.host_saved - before.host_saved, host);
  EXPECT_EQ(after.guest_saved - before.guest_saved, 8u);
  EXPECT_EQ(after.guest_loaded - before.guest_loaded, 10u);
  EXPECT_EQ(after.guest_drains - before.guest_drains, 1u);
  EXPECT_EQ(after.host_drains - before.host_drains, 1u);
  EXPECT_EQ(after.moves() - before.moves(), 2 * host + 18);
}

TEST_P(SpeSwitches, MoveTheInvertedFilterEachTimeOnlyIfProtected) {
  start();
  profile();
  const SpeSwitchStatistics before = statistics();
  spe().exit();
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  const SpeSwitchStatistics between = statistics();
  EXPECT_EQ(between.guest_saved - before.guest_saved, is_protected() ? 9u : 8u);
  EXPECT_EQ(between.guest_loaded - before.guest_loaded, is_protected() ? 11u : 10u);
  spe().scheduled_out();
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_EQ(statistics().guest_saved - between.guest_saved, 9u);
  EXPECT_EQ(statistics().guest_loaded - between.guest_loaded, 11u);
}

TEST_P(SpeSwitches, DrainOnlyBuffersThatAreEnabled) {
  start();
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  spe().exit();
  spe().scheduled_out();
  EXPECT_EQ(statistics().drains(), 0u);
  profile();
  spe().exit();
  EXPECT_EQ(statistics().drains(), 1u);
}

TEST_P(SpeSwitches, CostNothingWhileNobodyProfiles) {
  start();
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  write(reg::PMSCR_EL1, 3);
  const SpeSwitchStatistics before = statistics();
  for (int i = 0; i < 100; ++i) {
    spe().exit();
    ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  }
  EXPECT_EQ(statistics().exits - before.exits, 100u);
  if (is_protected()) {
    EXPECT_GT(statistics().moves(), before.moves()) << "the host must not see anything";
  } else {
    EXPECT_EQ(statistics().moves(), before.moves());
  }
  EXPECT_EQ(read(reg::PMSCR_EL1), 3u);
}

TEST_P(SpeSwitches, KeepTheHostsSamplingStoppedInGuestsWithoutTheUnit) {
  start();
  ASSERT_TRUE(spe().set_stop(kSpeStopTrap));
  set_host_registers(true);
  const SpeUnitState hosts = unit().save();
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_FALSE(unit().profiles(1));
  EXPECT_EQ(statistics().host_drains, 1u);
  EXPECT_EQ(statistics().guest_loaded, 0u);
  spe().exit();
  EXPECT_EQ(unit().save(), hosts);
  EXPECT_EQ(statistics().moves(), 2u) << "PMSCR, there and back";
}

TEST_P(SpeSwitches, KeepTheHostsSamplingStoppedInGuestsWithoutTheFeature) {
  SpeVmConfig config = spe_everywhere(kSpeModelV1p2);
  config.flavour = GetParam();
  make(config);
  set_host_registers(true);
  const SpeUnitState hosts = unit().save();
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_EQ(unit().profiles(1), is_vhe()) << "whose buffer stays EL2's";
  EXPECT_EQ(statistics().host_drains, is_vhe() ? 0u : 1u);
  ASSERT_TRUE(spe().init_vcpu({.spe = true}));
  EXPECT_FALSE(spe().is_entered());
  EXPECT_EQ(unit().save(), hosts);
}

TEST_P(SpeSwitches, CompleteWhatIsInFlight) {
  start();
  profile(0x1000, 1);
  write(reg::PMSIRR_EL1, 0x100);
  silicon::arm64::SpeOperation slow = at_el0();
  slow.total_latency = 1000;
  sample(1, slow);
  EXPECT_NE(unit().save().in_flight, 0u);
  spe().exit();
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  sample(1, slow);
  EXPECT_EQ(unit().statistics().collisions, 0u);
  EXPECT_EQ(read(reg::PMBPTR_EL1), kBase + 2 * 64);
}

std::string flavour_name(const testing::TestParamInfo<SpeFlavour>& flavour) {
  switch (flavour.param) {
    case SpeFlavour::kVhe: return "Vhe";
    case SpeFlavour::kNvhe: return "Nvhe";
    case SpeFlavour::kProtected: return "Protected";
  }
  return "";
}
INSTANTIATE_TEST_SUITE_P(Flavours, SpeSwitches, testing::ValuesIn(kFlavours), flavour_name);

TEST(SpeSwitchPlans, AreThoseOfTheManual) {
  using silicon::arm64::kSpeV1p1;
  using silicon::arm64::kSpeV1p2;
  const struct {
    SpeFlavour flavour;
    std::uint8_t version;
    std::size_t host, loads, saves;
    bool stays;
  } cases[] = {
      {SpeFlavour::kVhe, kSpeV1p1, 9, 7, 6, true},
      {SpeFlavour::kVhe, kSpeV1p2, 9, 7, 6, true},
      {SpeFlavour::kNvhe, kSpeV1p1, 10, 7, 6, true},
      {SpeFlavour::kNvhe, kSpeV1p2, 10, 7, 6, true},
      {SpeFlavour::kProtected, kSpeV1p1, 10, 7, 6, false},
      {SpeFlavour::kProtected, kSpeV1p2, 11, 8, 7, false},
  };
  for (const auto& each : cases) {
    const SpeSwitchPlan plan = switch_plan(each.flavour, each.version);
    EXPECT_EQ(plan.host.size(), each.host);
    EXPECT_EQ(plan.guest_loads.size(), each.loads);
    EXPECT_EQ(plan.guest_saves.size(), each.saves);
    EXPECT_EQ(plan.stays, each.stays);
  }
}

}  // namespace
}  // namespace vpmu::virt::arm64
