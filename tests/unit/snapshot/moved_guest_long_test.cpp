// SPDX-License-Identifier: MIT
//
// A thousand moves at random instructions, of all guests together.
#include "unit/snapshot/moved_guest.hpp"

namespace vpmu::test {
namespace {

class AnyGuestOften : public MovedGuestTest, public testing::WithParamInterface<MovingGuest> {};

TEST_P(AnyGuestOften, MovedAtRandomInstructionsEndsAsIfItNeverWas) {
  expect_moves_not_to_matter(GetParam(), 1000 / std::size(kMovingGuests));
}

INSTANTIATE_TEST_SUITE_P(Guests, AnyGuestOften, testing::ValuesIn(kMovingGuests), name_of_guest);

}  // namespace
}  // namespace vpmu::test
