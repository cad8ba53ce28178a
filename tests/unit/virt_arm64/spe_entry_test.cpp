// SPDX-License-Identifier: MIT
//
// Entering a vCPU with SPE: where, in which order, and what stops it.
#include "unit/virt_arm64/spe_fixture.hpp"

namespace vpmu::virt::arm64 {
namespace {

using hostperf::HostCpu;

/// Of four CPUs only 0 and 1 have a unit.
SpeVmConfig mixed_host() {
  return {.model = kSpeModelV1p1, .cpus = cpus_of("0-1", 4)};
}

class SpeEntries : public SpeFixture {
 protected:
  SpeEntry enter(int cpu) {
    const SpeEntry got = spe().enter(HostCpu{cpu});
    spe().exit();
    return got;
  }
};

TEST_F(SpeEntries, NeedInit) {
  ASSERT_TRUE(spe().init_vcpu({.spe = true}));
  EXPECT_EQ(enter(0), SpeEntry::kNotInitialised);
  EXPECT_EQ(error(SpeEntry::kNotInitialised).number, EPERM);
  ASSERT_TRUE(spe().set_irq(kIrq));
  EXPECT_EQ(enter(0), SpeEntry::kNotInitialised);
  ASSERT_TRUE(spe().init());
  EXPECT_EQ(enter(0), SpeEntry::kDone);
}

TEST_F(SpeEntries, NeedNothingWithoutTheFeature) {
  make(mixed_host());
  EXPECT_EQ(enter(3), SpeEntry::kDone);
  EXPECT_EQ(spe().mdcr_el2().raw, std::uint64_t{1} << 14) << "nothing of SPE is the guest's";
  EXPECT_EQ(spe().switch_statistics(), SpeSwitchStatistics{});
}

TEST_F(SpeEntries, AreForSupportedCpusWithOrWithoutTheFeature) {
  ASSERT_TRUE(spe().set_supported_cpus("1-2"));
  EXPECT_EQ(enter(0), SpeEntry::kCpuOutsideSet);
  EXPECT_EQ(enter(1), SpeEntry::kDone);
  make(spe_everywhere());
  ASSERT_TRUE(spe().set_supported_cpus("1-2"));
  set_up(spe());
  EXPECT_EQ(enter(3), SpeEntry::kCpuOutsideSet);
  EXPECT_EQ(enter(-1), SpeEntry::kCpuOutsideSet) << "no CPU";
  EXPECT_EQ(enter(2), SpeEntry::kDone);
}

TEST_F(SpeEntries, NeedNoSetWhereAllCpusHaveAUnit) {
  make_ready();
  for (const int cpu : {0, 1, 2, 3}) EXPECT_EQ(enter(cpu), SpeEntry::kDone);
  EXPECT_EQ(enter(4), SpeEntry::kNoUnit);
  EXPECT_EQ(enter(-1), SpeEntry::kNoUnit);
}

TEST_F(SpeEntries, NeedASetOfCpusWithAUnitWhereNotAllHaveOne) {
  const struct {
    const char* set;
    int cpu;
    SpeEntry entry;
  } cases[] = {
      {"", 0, SpeEntry::kNoValidSet},     // an empty set is no promise
      {"", 2, SpeEntry::kNoUnit},         //
      {"0-2", 0, SpeEntry::kNoValidSet},  //
      {"0-2", 2, SpeEntry::kNoUnit},      //
      {"0-2", 3, SpeEntry::kCpuOutsideSet},
      {"2", 2, SpeEntry::kNoUnit},
      {"1", 1, SpeEntry::kDone},
      {"1", 0, SpeEntry::kCpuOutsideSet},
      {"0-1", 0, SpeEntry::kDone},
      {"0-1", 1, SpeEntry::kDone},
  };
  for (const auto& [set, cpu, expected] : cases) {
    SCOPED_TRACE(testing::Message() << "set \"" << set << "\", CPU " << cpu);
    make_ready(mixed_host());
    ASSERT_TRUE(spe().set_supported_cpus(set));
    EXPECT_EQ(enter(cpu), expected);
  }
  for (const SpeEntry each : {SpeEntry::kCpuOutsideSet, SpeEntry::kNoUnit, SpeEntry::kNoValidSet}) {
    EXPECT_EQ(error(each).number, ENOEXEC);
  }
}

TEST_F(SpeEntries, ForgetThatTheCpuWasWrong) {
  make_ready(mixed_host());
  ASSERT_TRUE(spe().set_supported_cpus("0"));
  EXPECT_EQ(enter(1), SpeEntry::kCpuOutsideSet);
  std::int32_t got = -1;
  EXPECT_TRUE(spe().get_attribute(SpeAttribute::kStop, &got));
  EXPECT_EQ(enter(0), SpeEntry::kDone) << "the first time, too";
  EXPECT_EQ(enter(1), SpeEntry::kCpuOutsideSet);
  EXPECT_EQ(spe().exit_statistics().refused, 2u);
}

TEST_F(SpeEntries, HaveErrorsThatSayWhatToDo) {
  for (const SpeEntry each : {SpeEntry::kCpuOutsideSet, SpeEntry::kNoUnit, SpeEntry::kNoValidSet,
                              SpeEntry::kNotInitialised, SpeEntry::kStoppedAndProfiles}) {
    EXPECT_NE(error(each).message.find(": set"), std::string::npos) << error(each).message;
  }
}

// ---- STOP ---------------------------------------------------------------------------------------

class SpeStops : public SpeFixture {
 protected:
  SpeStops() { make_ready(); }
  void set_stop(std::int32_t request) { ASSERT_TRUE(spe().set_stop(request)); }
};

TEST_F(SpeStops, TrapKeepsRegistersAndTakesNoRecords) {
  profile();
  sample(3);
  set_stop(kSpeStopTrap);
  EXPECT_FALSE(spe().is_entered()) << "the vCPU has been kicked";
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_FALSE(unit().profiles(0));
  EXPECT_FALSE(unit().profiles(1));
  EXPECT_EQ(read(reg::PMSCR_EL1), 3u) << "the guest believes that it profiles";
  EXPECT_EQ(read(reg::PMBLIMITR_EL1), (kBase + 0x1000) | kEnable);
  EXPECT_EQ(read(reg::PMBPTR_EL1), kBase + 3 * 64);
  write(reg::PMSEVFR_EL1, 0x80);
  EXPECT_EQ(vcpu->buffer.writes.size(), 3u);

  set_stop(kSpeStopTrap);
  set_stop(kSpeResume);
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_EQ(unit().read(reg::PMSEVFR_EL1).value(), 0x80u) << "what was written while stopped";
  sample(2);
  ASSERT_EQ(vcpu->buffer.writes.size(), 5u) << "it goes on where it was";
  EXPECT_EQ(vcpu->buffer.writes[3].address, kBase + 3 * 64);
  EXPECT_EQ(read(reg::PMBPTR_EL1), kBase + 5 * 64);
}

TEST_F(SpeStops, NoOperationIsCountedMeanwhile) {
  profile();
  unit().pass(100);
  const std::uint64_t left = unit().until_sample();
  set_stop(kSpeStopTrap);
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  unit().pass(1000);
  set_stop(kSpeResume);
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_EQ(unit().until_sample(), left);
}

TEST_F(SpeStops, ExitRefusesEntryOnceProfilingIsEnabled) {
  set_stop(kSpeStopExit);
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone) << "nothing is enabled";
  write(reg::PMBPTR_EL1, kBase);
  EXPECT_EQ(entry, SpeEntry::kDone);
  write(reg::PMBLIMITR_EL1, (kBase + 0x1000) | kEnable);
  EXPECT_EQ(entry, SpeEntry::kDone) << "at no level yet";
  write(reg::PMSCR_EL1, 2);
  EXPECT_EQ(entry, SpeEntry::kStoppedAndProfiles);
  EXPECT_EQ(error(entry).number, EAGAIN);
  EXPECT_EQ(spe().enter(kCpu), SpeEntry::kStoppedAndProfiles) << "each time";
  set_stop(kSpeResume);
  EXPECT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_TRUE(unit().profiles(1));
}

TEST_F(SpeStops, ExitHasNoWayAroundItAtEl0) {
  set_stop(kSpeStopExit);
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  write(reg::PMSCR_EL1, 1);
  EXPECT_EQ(entry, SpeEntry::kDone) << "no buffer";
  write(reg::PMBLIMITR_EL1, (kBase + 0x1000) | kEnable);
  EXPECT_EQ(entry, SpeEntry::kStoppedAndProfiles) << "at EL1 still: no trap comes before EL0";
}

TEST_F(SpeStops, ExitLetsAGuestInThatDoesNotProfile) {
  set_stop(kSpeStopExit);
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  write(reg::PMSCR_EL1, 3);
  write(reg::PMBSR_EL1, kS);
  write(reg::PMBLIMITR_EL1, (kBase + 0x1000) | kEnable);
  EXPECT_EQ(entry, SpeEntry::kDone) << "its interrupt is pending";
  write(reg::PMBSR_EL1, 0);
  EXPECT_EQ(entry, SpeEntry::kStoppedAndProfiles);
  set_stop(kSpeStopTrap);
  EXPECT_EQ(spe().enter(kCpu), SpeEntry::kDone) << "it need not know";
}

TEST_F(SpeStops, InTheMiddleOfProfilingExitRefusesTheNextEntry) {
  profile();
  sample(1);
  set_stop(kSpeStopExit);
  EXPECT_EQ(spe().enter(kCpu), SpeEntry::kStoppedAndProfiles);
  set_stop(kSpeResume);
  EXPECT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  sample(1);
  EXPECT_EQ(read(reg::PMBPTR_EL1), kBase + 2 * 64);
}

TEST_F(SpeStops, PendingInterruptsStayPending) {
  write(reg::PMBSR_EL1, kS | 1);
  set_stop(kSpeStopTrap);
  EXPECT_TRUE(vcpu->sink.line);
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_EQ(read(reg::PMBSR_EL1), kS | 1);
  write(reg::PMBSR_EL1, 0);
  EXPECT_FALSE(vcpu->sink.line);
}

// ---- The host profiles, too ---------------------------------------------------------------------

class SpeOfTheHost : public SpeFixture {
 protected:
  static constexpr std::uint64_t kP = 1 << 4;
  static SpeVmConfig exclusive() {
    SpeVmConfig config = spe_everywhere();
    config.exclusive = true;
    return config;
  }
};

TEST_F(SpeOfTheHost, HasAUnitOfItsOwnUnlessItIsExclusive) {
  make_ready();
  profile();
  spe().set_host_has_unit(true);
  EXPECT_TRUE(spe().is_entered());
  EXPECT_EQ(read(reg::PMBIDR_EL1) & kP, 0u) << "a guest cannot tell";
  EXPECT_TRUE(unit().profiles(0));
  sample(2);
  EXPECT_EQ(read(reg::PMBPTR_EL1), kBase + 2 * 64);
}

TEST_F(SpeOfTheHost, TakesAnExclusiveUnitAndTheGuestIsTold) {
  make_ready(exclusive());
  EXPECT_EQ(read(reg::PMBIDR_EL1) & kP, 0u);
  profile();
  sample(1);
  spe().set_host_has_unit(true);
  EXPECT_FALSE(spe().is_entered());
  EXPECT_EQ(spe().mdcr_el2().raw, std::uint64_t{1} << 14) << "EL2 owns the buffer";
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_FALSE(unit().profiles(0));
  EXPECT_EQ(read(reg::PMBIDR_EL1), kSpeModelV1p1.pmbidr | kP);
  EXPECT_EQ(spe().exit_statistics().identification_traps, 2u);

  write(reg::PMSCR_EL1, 1);
  write(reg::PMBPTR_EL1, kBase + 0x800);
  spe().set_host_has_unit(false);
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_EQ(read(reg::PMBIDR_EL1) & kP, 0u);
  sample(1);
  EXPECT_EQ(read(reg::PMBPTR_EL1), kBase + 0x800 + 64) << "what was written meanwhile holds";
  EXPECT_EQ(read(reg::PMSCR_EL1), 1u);
}

TEST_F(SpeOfTheHost, IsNotDisturbedByGuestsWhileItHasTheUnit) {
  make_ready(exclusive());
  profile();
  spe().set_host_has_unit(true);
  const auto put = [&](silicon::arm64::SystemRegister which, std::uint64_t value) {
    ASSERT_TRUE(unit().write(which, value).is_done());
  };
  put(reg::PMBPTR_EL1, 0x9000'0000);
  put(reg::PMSCR_EL1, 2);
  put(reg::PMSIRR_EL1, 0x100);
  put(reg::PMBLIMITR_EL1, 0x9000'1000 | kEnable);
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  const silicon::arm64::SpeUnitState hosts = unit().save();
  EXPECT_TRUE(unit().profiles(1)) << "the host samples its guest";
  write(reg::PMSCR_EL1, 0);
  write(reg::PMBLIMITR_EL1, 0);
  write(reg::PMBSR_EL1, kS);
  EXPECT_TRUE(vcpu->sink.line) << "which is virtual";
  spe().exit();
  EXPECT_EQ(unit().save(), hosts);
}

// ---- Who pins the buffer ------------------------------------------------------------------------

class SpeBuffers : public SpeFixture {
 protected:
  SpeBuffers() { make_ready(); }
  FakeSpeSink& sink() { return vcpu->sink; }
};

TEST_F(SpeBuffers, ArePreparedAtEachEntryWhileTheyAreEnabled) {
  write(reg::PMBPTR_EL1, kBase + 0x40);
  EXPECT_TRUE(sink().prepared.empty());
  EXPECT_NE(sink().releases, 0);
  sink().releases = 0;
  write(reg::PMBLIMITR_EL1, (kBase + 0x2000) | kEnable);
  ASSERT_EQ(sink().prepared.size(), 1u);
  EXPECT_EQ(sink().prepared[0], std::pair(kBase + 0x40, kBase + 0x2000));
  spe().exit();
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_EQ(sink().prepared.size(), 2u);
  EXPECT_EQ(sink().releases, 0);
  write(reg::PMBLIMITR_EL1, kBase + 0x2000);
  EXPECT_EQ(sink().prepared.size(), 2u);
  EXPECT_EQ(sink().releases, 1);
}

TEST_F(SpeBuffers, AreNotNeededWhileStoppedOrInterrupted) {
  profile();
  sink().prepared.clear();
  sink().releases = 0;
  write(reg::PMBSR_EL1, kS);
  EXPECT_EQ(sink().releases, 1);
  write(reg::PMBSR_EL1, 0);
  EXPECT_EQ(sink().prepared.size(), 1u);
  ASSERT_TRUE(spe().set_stop(kSpeStopTrap));
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_EQ(sink().releases, 2);
  EXPECT_EQ(sink().prepared.size(), 1u);
}

TEST_F(SpeBuffers, ThatAreRefusedInterruptAndAreNeverWritten) {
  const struct {
    SpeBufferAnswer answer;
    std::uint64_t syndrome;
    std::uint64_t too_large;
  } cases[] = {{SpeBufferAnswer::kTooLarge, 0x2'0004, 1},
               {SpeBufferAnswer::kUnavailable, 0x9006'0010, 0}};
  for (const auto& [answer, syndrome, too_large] : cases) {
    make_ready();
    sink().answer = answer;
    profile();
    EXPECT_FALSE(unit().profiles(0));
    EXPECT_TRUE(sink().line);
    EXPECT_EQ(read(reg::PMBSR_EL1), syndrome);
    EXPECT_EQ(spe().exit_statistics().too_large, too_large);
    EXPECT_EQ(spe().exit_statistics().unavailable, 1 - too_large);
    EXPECT_EQ(spe().exit_statistics().events, 0u) << "the unit has not done anything";
    EXPECT_EQ(sink().prepared.size(), 1u) << "not asked again until the guest has seen it";
    sink().answer = SpeBufferAnswer::kReady;
    write(reg::PMBSR_EL1, 0);
    EXPECT_TRUE(unit().profiles(0)) << "another try";
  }
}

}  // namespace
}  // namespace vpmu::virt::arm64
