// SPDX-License-Identifier: MIT
//
// Registers of the virtual SPE: who may access which, with which bits, and what traps.
#include "unit/virt_arm64/spe_fixture.hpp"

namespace vpmu::virt::arm64 {
namespace {

using silicon::arm64::SystemRegister;

struct RegisterCase {
  const char* name;
  SystemRegister which;
  std::uint64_t bits;  ///< that can be written, in SPEv1p1
  bool buffer;         ///< PMB*
};

/// Section D24.7 of the Arm ARM, for counters of 12 bits, with a random part behind the interval.
constexpr RegisterCase kWritable[] = {
    {"PMSCR_EL1", reg::PMSCR_EL1, 0x7b, false},
    {"PMSICR_EL1", reg::PMSICR_EL1, 0xff00'0000'ffff'ffff, false},
    {"PMSIRR_EL1", reg::PMSIRR_EL1, 0xffff'ff01, false},
    {"PMSFCR_EL1", reg::PMSFCR_EL1, 0x7'0007, false},
    {"PMSEVFR_EL1", reg::PMSEVFR_EL1, 0x8aa, false},
    {"PMSLATFR_EL1", reg::PMSLATFR_EL1, 0xfff, false},
    {"PMBLIMITR_EL1", reg::PMBLIMITR_EL1, ~std::uint64_t{0xffe}, true},
    {"PMBPTR_EL1", reg::PMBPTR_EL1, ~std::uint64_t{0}, true},
    {"PMBSR_EL1", reg::PMBSR_EL1, 0x00ff'ffff'fc0f'ffff, true},
};
constexpr SystemRegister kReadOnly[] = {reg::PMSIDR_EL1, reg::PMBIDR_EL1};

class SpeRegisters : public SpeFixture {
 protected:
  SpeRegisters() { make_ready(); }
};

TEST_F(SpeRegisters, AreZeroAfterReset) {
  for (const RegisterCase& each : kWritable) EXPECT_EQ(read(each.which), 0u) << each.name;
}

TEST_F(SpeRegisters, HoldTheBitsThatTheyHaveAndNoOthers) {
  for (const RegisterCase& each : kWritable) {
    SCOPED_TRACE(each.name);
    // An interrupt, which PMBSR_EL1 makes, changes nothing of what can be written.
    write(each.which, ~std::uint64_t{0});
    EXPECT_EQ(read(each.which), each.bits);
    write(each.which, 0);
    EXPECT_EQ(read(each.which), 0u);
  }
}

TEST_F(SpeRegisters, HoldTheSameBitsWhileStopped) {
  ASSERT_TRUE(spe().set_stop(kSpeStopTrap));
  for (const RegisterCase& each : kWritable) {
    SCOPED_TRACE(each.name);
    write(each.which, ~std::uint64_t{0});
    EXPECT_EQ(read(each.which), each.bits);
  }
}

TEST_F(SpeRegisters, TellWhatTheUnitIs) {
  EXPECT_EQ(read(reg::PMSIDR_EL1), kSpeModelV1p1.pmsidr);
  EXPECT_EQ(read(reg::PMBIDR_EL1), kSpeModelV1p1.pmbidr);
  EXPECT_EQ(spe().version(), silicon::arm64::kSpeV1p1);
}

TEST_F(SpeRegisters, ThatOnlyTellAreUndefinedToWrite) {
  for (const SystemRegister which : kReadOnly) {
    EXPECT_TRUE(try_write(which, 0).is_fault());
    // Migration writes what it has read.
    const std::uint64_t value = read(which);
    const auto host_write = [&](std::uint64_t written) {
      return spe().write_register(which, written, Privilege::kKernel, Initiator::kHost);
    };
    EXPECT_TRUE(host_write(value).is_done());
    EXPECT_TRUE(host_write(value ^ 1).is_fault());
  }
}

TEST_F(SpeRegisters, AreUndefinedAtEl0) {
  for (const RegisterCase& each : kWritable) {
    EXPECT_TRUE(try_read(each.which, Privilege::kUser).is_fault()) << each.name;
    EXPECT_TRUE(try_write(each.which, 0, Privilege::kUser).is_fault()) << each.name;
  }
  for (const SystemRegister which : kReadOnly) {
    EXPECT_TRUE(try_read(which, Privilege::kUser).is_fault());
  }
}

TEST_F(SpeRegisters, AreUndefinedWithoutTheFeature) {
  make(spe_everywhere());
  ASSERT_TRUE(spe().init_vcpu({.spe = false}));
  EXPECT_EQ(spe().version(), 0);
  for (const RegisterCase& each : kWritable) {
    EXPECT_TRUE(try_read(each.which).is_fault()) << each.name;
    EXPECT_TRUE(try_write(each.which, 0).is_fault()) << each.name;
  }
  for (const SystemRegister which : kReadOnly) EXPECT_TRUE(try_read(which).is_fault());
}

TEST_F(SpeRegisters, OfEl2AreUndefinedAndOthersAreNotSpes) {
  EXPECT_TRUE(try_read(reg::PMSCR_EL2).is_fault());
  EXPECT_TRUE(try_write(reg::PMSCR_EL2, 0).is_fault());
  constexpr SystemRegister kPmcr = silicon::arm64::system_register(3, 3, 9, 12, 0);
  EXPECT_TRUE(try_read(kPmcr).is_not_mine());
  EXPECT_TRUE(try_write(kPmcr, 0).is_not_mine());
}

TEST_F(SpeRegisters, InvertedFilterComesWithSpeV1p2) {
  EXPECT_TRUE(try_read(reg::PMSNEVFR_EL1).is_fault());
  EXPECT_TRUE(try_write(reg::PMSNEVFR_EL1, 0).is_fault());
  make_ready(spe_everywhere(kSpeModelV1p2));
  write(reg::PMSNEVFR_EL1, ~std::uint64_t{0});
  EXPECT_EQ(read(reg::PMSNEVFR_EL1), 0x8eau);
}

TEST_F(SpeRegisters, OfTheBufferTrapAndControlsDoNotWhileRunning) {
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_EQ(spe().mdcr_el2().raw, std::uint64_t{2} << 12);
  for (const RegisterCase& each : kWritable) {
    SCOPED_TRACE(each.name);
    const SpeExitStatistics before = spe().exit_statistics();
    (void)spe().read_register(each.which, Privilege::kKernel, Initiator::kGuest);
    EXPECT_EQ(spe().is_entered(), !each.buffer) << "a trap is an exit";
    ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
    (void)spe().write_register(each.which, 0, Privilege::kKernel, Initiator::kGuest);
    EXPECT_EQ(spe().is_entered(), !each.buffer);
    ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
    const SpeExitStatistics& after = spe().exit_statistics();
    EXPECT_EQ(after.buffer_traps - before.buffer_traps, each.buffer ? 2u : 0u);
    EXPECT_EQ(after.direct - before.direct, each.buffer ? 0u : 2u);
    EXPECT_EQ(after.control_traps, before.control_traps);
  }
}

TEST_F(SpeRegisters, AllTrapWhileStopped) {
  ASSERT_TRUE(spe().set_stop(kSpeStopExit));
  EXPECT_EQ(spe().mdcr_el2().raw, std::uint64_t{6} << 12);
  for (const RegisterCase& each : kWritable) (void)read(each.which);
  EXPECT_EQ(read(reg::PMSIDR_EL1), kSpeModelV1p1.pmsidr);
  EXPECT_EQ(read(reg::PMBIDR_EL1), kSpeModelV1p1.pmbidr);
  EXPECT_EQ(spe().exit_statistics().control_traps, 7u) << "PMSIDR_EL1 is one of them";
  EXPECT_EQ(spe().exit_statistics().buffer_traps, 3u);
  EXPECT_EQ(spe().exit_statistics().direct, 1u) << "nothing but a fine-grained trap has PMBIDR_EL1";
}

TEST_F(SpeRegisters, AccessesThatFaultAreNoTraps) {
  (void)try_read(reg::PMBSR_EL1, Privilege::kUser);
  (void)try_write(reg::PMBIDR_EL1, 0);
  EXPECT_EQ(spe().exit_statistics(), SpeExitStatistics{});
}

TEST_F(SpeRegisters, OfTheHostAreTheGuestsAndNoTraps) {
  profile();
  const SpeExitStatistics before = spe().exit_statistics();
  const auto host_read = [&](SystemRegister which) {
    return spe().read_register(which, Privilege::kUser, Initiator::kHost).value();
  };
  EXPECT_EQ(host_read(reg::PMBLIMITR_EL1), (kBase + 0x1000) | kEnable);
  EXPECT_EQ(host_read(reg::PMBPTR_EL1), kBase);
  EXPECT_EQ(host_read(reg::PMSCR_EL1), 3u);
  sample(1);
  EXPECT_EQ(host_read(reg::PMBPTR_EL1), kBase + 64) << "as it is by now";
  EXPECT_TRUE(spe().is_entered());
  EXPECT_TRUE(
      spe().write_register(reg::PMSCR_EL1, 1, Privilege::kUser, Initiator::kHost).is_done());
  EXPECT_EQ(host_read(reg::PMSCR_EL1), 1u);
  EXPECT_EQ(spe().exit_statistics(), before);
}

TEST_F(SpeRegisters, OfTheUnitAreThoseThatTheGuestWrote) {
  profile();
  EXPECT_EQ(unit().read(reg::PMSCR_EL1).value(), 3u);
  EXPECT_EQ(unit().read(reg::PMSIRR_EL1).value(), 0x400u);
  EXPECT_EQ(unit().read(reg::PMBPTR_EL1).value(), kBase);
  EXPECT_TRUE(unit().profiles(0));
  EXPECT_TRUE(unit().profiles(1));
}

TEST_F(SpeRegisters, OfAnotherGuestAreNowhereInTheUnit) {
  profile();
  sample(2);
  spe().exit();
  for (const RegisterCase& each : kWritable) {
    if (each.which == reg::PMSCR_EL1) continue;  // VHE: nothing at EL1 runs but guests
    EXPECT_EQ(unit().read(each.which).value(), 0u) << each.name;
  }
}

}  // namespace
}  // namespace vpmu::virt::arm64
