// SPDX-License-Identifier: MIT
//
// A guest that is moved at any instruction boundary ends as one that never was: the same console
// and the same report, byte for byte.
#include "unit/snapshot/moved_guest.hpp"

namespace vpmu::test {
namespace {

class AnyGuest : public MovedGuestTest, public testing::WithParamInterface<MovingGuest> {};

TEST_P(AnyGuest, MovedAtRandomInstructionsEndsAsIfItNeverWas) {
  expect_moves_not_to_matter(GetParam(), 15);
}

TEST_P(AnyGuest, SavingChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(start(GetParam()));
  const std::string report = finish();
  const std::uint64_t length = machine->instructions();
  ASSERT_NO_FATAL_FAILURE(start(GetParam()));
  for (std::uint64_t at = 0; run_to(at); at += length / 20 + 1) {
    machine::snapshot::StringOutput file;
    ASSERT_TRUE(machine::snapshot::save(*machine, {}, file).has_value());
  }
  EXPECT_EQ(finish(), report);
}

TEST_P(AnyGuest, MovedAgainAndAgainEndsAsIfItNeverWas) {
  constexpr unsigned kMoves = 60;
  ASSERT_NO_FATAL_FAILURE(start(GetParam()));
  const std::string report = finish();
  const std::string output = console.output;
  const std::uint64_t length = machine->instructions();
  ASSERT_NO_FATAL_FAILURE(start(GetParam()));
  unsigned moves = 0;
  for (std::uint64_t at = 1; run_to(at) && !HasFailure(); at += length / kMoves + 1, ++moves)
    move();
  EXPECT_GE(moves, kMoves / 2);
  EXPECT_EQ(finish(), report);
  EXPECT_EQ(console.output, output);
}

INSTANTIATE_TEST_SUITE_P(Guests, AnyGuest, testing::ValuesIn(kMovingGuests), name_of_guest);

TEST_F(MovedGuestTest, AThousandMovesOfASamplingGuestLoseNoOverflowAndInventNone) {
  constexpr unsigned kMoves = 1000;
  const MovingGuest guest{"workload", "rounds=1 pmi=10000", 1, 10'000, true};
  ASSERT_NO_FATAL_FAILURE(start(guest));
  const std::string report = finish();
  const std::string output = console.output;
  const std::uint64_t length = machine->instructions();
  ASSERT_NO_FATAL_FAILURE(start(guest));
  unsigned moves = 0;
  std::mt19937_64 random{kMoves};
  for (std::uint64_t at = 1; run_to(at) && !HasFailure(); ++moves) {
    move();
    at += random() % (2 * length / kMoves) + 1;
  }
  EXPECT_GE(moves, kMoves * 9 / 10);
  EXPECT_EQ(finish(), report);
  EXPECT_EQ(console.output, output);
}

}  // namespace
}  // namespace vpmu::test
