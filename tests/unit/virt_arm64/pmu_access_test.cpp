// SPDX-License-Identifier: MIT
//
// Who may access which register: EL0 by the bits of PMUSERENR_EL0.
#include <algorithm>
#include <array>
#include <iterator>

#include "unit/virt_arm64/pmu_fixture.hpp"

namespace vpmu::virt::arm64 {
namespace {

using silicon::Privilege;
using silicon::arm64::SystemRegister;

using Arm64PmuAccess = PmuFixture;

enum class At0 : std::uint8_t { kUndefined, kAlways, kByBits };
struct Side {
  At0 how = At0::kUndefined;
  std::uint64_t bits = 0;  ///< one of them suffices
};
constexpr Side kUndefined{};
constexpr Side kAlways{At0::kAlways};
constexpr Side by(std::uint64_t bits) {
  return {At0::kByBits, bits};
}
constexpr std::uint64_t kEn = 1, kSw = 2, kCr = 4, kEr = 8;

struct Row {
  const char* name;
  SystemRegister which;
  Side read, write;
};
// Arm ARM D19.5: the accessibility of each register.
constexpr Row kRows[] = {
    {"PMCR_EL0", reg::PMCR_EL0, by(kEn), by(kEn)},
    {"PMCNTENSET_EL0", reg::PMCNTENSET_EL0, by(kEn), by(kEn)},
    {"PMCNTENCLR_EL0", reg::PMCNTENCLR_EL0, by(kEn), by(kEn)},
    {"PMOVSCLR_EL0", reg::PMOVSCLR_EL0, by(kEn), by(kEn)},
    {"PMOVSSET_EL0", reg::PMOVSSET_EL0, by(kEn), by(kEn)},
    {"PMSWINC_EL0", reg::PMSWINC_EL0, kUndefined, by(kEn | kSw)},
    {"PMSELR_EL0", reg::PMSELR_EL0, by(kEn | kEr), by(kEn | kEr)},
    {"PMCEID0_EL0", reg::PMCEID0_EL0, by(kEn), kUndefined},
    {"PMCEID1_EL0", reg::PMCEID1_EL0, by(kEn), kUndefined},
    {"PMCCNTR_EL0", reg::PMCCNTR_EL0, by(kEn | kCr), by(kEn)},
    {"PMXEVTYPER_EL0", reg::PMXEVTYPER_EL0, by(kEn), by(kEn)},
    {"PMXEVCNTR_EL0", reg::PMXEVCNTR_EL0, by(kEn | kEr), by(kEn)},
    {"PMEVCNTR1_EL0", reg::PMEVCNTR_EL0(1), by(kEn | kEr), by(kEn)},
    {"PMEVTYPER1_EL0", reg::PMEVTYPER_EL0(1), by(kEn), by(kEn)},
    {"PMCCFILTR_EL0", reg::PMCCFILTR_EL0, by(kEn), by(kEn)},
    {"PMUSERENR_EL0", reg::PMUSERENR_EL0, kAlways, kUndefined},
    {"PMINTENSET_EL1", reg::PMINTENSET_EL1, kUndefined, kUndefined},
    {"PMINTENCLR_EL1", reg::PMINTENCLR_EL1, kUndefined, kUndefined},
    {"PMMIR_EL1", reg::PMMIR_EL1, kUndefined, kUndefined},
};

void expect(Access access, Side side, std::uint64_t enabled, const char* what) {
  switch (side.how) {
    case At0::kUndefined: EXPECT_EQ(access, Access::fault()) << what; break;
    case At0::kAlways: EXPECT_TRUE(access.is_done()) << what; break;
    case At0::kByBits:
      EXPECT_EQ(access.is_done(), (enabled & side.bits) != 0) << what << " with " << enabled;
      EXPECT_EQ(access.is_trap(), (enabled & side.bits) == 0) << what << " with " << enabled;
      break;
  }
}

TEST_F(Arm64PmuAccess, El0NeedsTheBitThatTheManualSays) {
  for (std::uint64_t enabled = 0; enabled < 16; ++enabled) {
    for (const Row& row : kRows) {
      make(kArmv8_4);
      write(reg::PMUSERENR_EL0, enabled);
      expect(try_read(row.which, Privilege::kUser), row.read, enabled, row.name);
      expect(try_write(row.which, 0, Privilege::kUser), row.write, enabled, row.name);
    }
  }
}

TEST_F(Arm64PmuAccess, El1NeedsNone) {
  make(kArmv8_4);
  for (const Row& row : kRows) {
    EXPECT_FALSE(try_read(row.which).is_trap()) << row.name;
    EXPECT_FALSE(try_write(row.which, 0).is_trap()) << row.name;
  }
}

TEST_F(Arm64PmuAccess, TrappedWriteChangesNothing) {
  write(reg::PMCCNTR_EL0, 7);
  write(reg::PMUSERENR_EL0, kCr | kEr | kSw);
  EXPECT_EQ(try_write(reg::PMCCNTR_EL0, 0, Privilege::kUser), Access::trap());
  EXPECT_EQ(try_write(reg::PMCR_EL0, kC, Privilege::kUser), Access::trap());
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 7u);
}

TEST_F(Arm64PmuAccess, SelectedCycleCounterIsReadLikeTheCycleCounter) {
  write(reg::PMSELR_EL0, 31);
  write(reg::PMUSERENR_EL0, kEr);
  EXPECT_EQ(try_read(reg::PMXEVCNTR_EL0, Privilege::kUser), Access::trap());
  write(reg::PMUSERENR_EL0, kCr);
  EXPECT_EQ(try_read(reg::PMXEVCNTR_EL0, Privilege::kUser), Access::done(0));
}

TEST_F(Arm64PmuAccess, TrapComesBeforeACounterThatIsNotThere) {
  EXPECT_EQ(try_read(reg::PMEVCNTR_EL0(30), Privilege::kUser), Access::trap());
  write(reg::PMUSERENR_EL0, kEn);
  EXPECT_EQ(try_read(reg::PMEVCNTR_EL0(30), Privilege::kUser), Access::fault());
}

TEST_F(Arm64PmuAccess, El0MayDoWithItsEventCountersWhatEl1MayOnceEnabled) {
  write(reg::PMUSERENR_EL0, kEn);
  write(reg::PMEVTYPER_EL0(2), kInstRetired, Privilege::kUser);
  write(reg::PMCNTENSET_EL0, 1 << 2, Privilege::kUser);
  write(reg::PMCR_EL0, kE, Privilege::kUser);
  count(12);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(2), Privilege::kUser), 12u);
}

}  // namespace
}  // namespace vpmu::virt::arm64
