// SPDX-License-Identifier: MIT
//
// A guest that is moved at any instruction boundary ends as one that never was: the same console
// and the same report, byte for byte.
#include "unit/snapshot/moved_guest.hpp"

namespace vpmu::test {
namespace {

class AnyGuest : public MovedGuestTest, public testing::WithParamInterface<MovingGuest> {};

TEST_P(AnyGuest, MovedAtRandomInstructionsEndsAsIfItNeverWas) {
  constexpr unsigned kMoves = 25;
  start(GetParam());
  const std::string report = finish();
  const std::string output = console.output;
  const std::uint64_t length = machine->instructions();
  std::mt19937_64 random{length};
  for (unsigned n = 0; n < kMoves && !HasFailure(); ++n) {
    const std::uint64_t at = random() % length;
    start(GetParam());
    ASSERT_TRUE(run_to(at));
    move();
    ASSERT_EQ(finish(), report) << "moved at " << at;
    ASSERT_EQ(console.output, output) << "moved at " << at;
  }
}

TEST_P(AnyGuest, SavingChangesNothing) {
  start(GetParam());
  const std::string report = finish();
  const std::uint64_t length = machine->instructions();
  start(GetParam());
  for (std::uint64_t at = 0; run_to(at); at += length / 20 + 1) {
    machine::snapshot::StringOutput file;
    ASSERT_TRUE(machine::snapshot::save(*machine, {}, file).has_value());
  }
  EXPECT_EQ(finish(), report);
}

TEST_P(AnyGuest, MovedAgainAndAgainEndsAsIfItNeverWas) {
  constexpr unsigned kMoves = 60;
  start(GetParam());
  const std::string report = finish();
  const std::string output = console.output;
  const std::uint64_t length = machine->instructions();
  start(GetParam());
  unsigned moves = 0;
  for (std::uint64_t at = 1; run_to(at) && !HasFailure(); at += length / kMoves + 1, ++moves)
    move();
  EXPECT_GE(moves, kMoves / 2);
  EXPECT_EQ(finish(), report);
  EXPECT_EQ(console.output, output);
}

std::string name_of(const testing::TestParamInfo<MovingGuest>& guest) {
  return std::string{guest.param.image}.append("_").append(std::to_string(guest.index));
}

INSTANTIATE_TEST_SUITE_P(
    Guests, AnyGuest,
    testing::Values(MovingGuest{"interrupts", "", 1, 10'000, true},
                    MovingGuest{"legacy_devices", "", 1, 10'000, true},
                    MovingGuest{"floats", "", 1, 10'000, true},
                    MovingGuest{"smp", "cpus=3", 3, 123, true},
                    MovingGuest{"workload", "rounds=1 pmu=off", 1, 10'000, false},
                    MovingGuest{"demo", "", 1, 10'000, true},
                    MovingGuest{"pmu_overflow", "", 1, 10'000, true},
                    MovingGuest{"pmu_interrupts", "", 1, 10'000, true},
                    MovingGuest{"pmu_privilege", "", 1, 10'000, true},
                    MovingGuest{"workload", "rounds=1 pmi=10000", 1, 10'000, true}),
    name_of);

}  // namespace
}  // namespace vpmu::test
