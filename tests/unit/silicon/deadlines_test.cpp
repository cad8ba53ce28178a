// SPDX-License-Identifier: MIT
#include "vpmu/silicon/deadlines.hpp"

#include <functional>
#include <vector>

#include <gtest/gtest.h>

namespace vpmu::silicon {
namespace {

constexpr PrivilegeSet kUser{.user = true};
constexpr PrivilegeSet kKernel{.kernel = true};

class Listener final : public DeadlineListener {
 public:
  void on_deadline(std::uint8_t slot) override {
    slots.push_back(slot);
    if (reaction) reaction(slot);
  }
  std::vector<std::uint8_t> slots;
  std::function<void(std::uint8_t)> reaction;
};

class DeadlinesTest : public testing::Test {
 protected:
  void retire(std::uint64_t count, Privilege privilege = Privilege::kUser) {
    totals.add(RawEvent::kInstructions, privilege, count);
  }
  [[nodiscard]] std::uint64_t nearest(Privilege privilege = Privilege::kUser) const {
    return deadlines.nearest(RawEvent::kInstructions, privilege);
  }

  RetireTotals totals;
  Deadlines deadlines{totals};
  Listener listener;
};

TEST_F(DeadlinesTest, NothingIsNearWhileNothingIsArmed) {
  EXPECT_FALSE(deadlines.any());
  EXPECT_EQ(nearest(), Deadlines::kNever);
  EXPECT_EQ(deadlines.fire_due(), 0u);
}

TEST_F(DeadlinesTest, NearestIsTheShortestDistanceOnThatEvent) {
  retire(100);
  deadlines.arm(0, RawEvent::kInstructions, kUser, 150, listener);
  deadlines.arm(63, RawEvent::kInstructions, kUser, 130, listener);
  deadlines.arm(7, RawEvent::kBranches, kUser, 1, listener);
  EXPECT_EQ(nearest(), 30u);
  retire(29);
  EXPECT_EQ(nearest(), 1u);
  deadlines.disarm(63);
  EXPECT_EQ(nearest(), 21u);
}

TEST_F(DeadlinesTest, OfAnotherPrivilegeIsNotNearButDueOnesAre) {
  deadlines.arm(0, RawEvent::kInstructions, kKernel, 10, listener);
  EXPECT_EQ(nearest(Privilege::kUser), Deadlines::kNever);
  EXPECT_EQ(nearest(Privilege::kKernel), 10u);
  retire(10, Privilege::kKernel);
  EXPECT_EQ(nearest(Privilege::kUser), 0u);
}

TEST_F(DeadlinesTest, OverBothPrivilegesCountsBoth) {
  deadlines.arm(0, RawEvent::kInstructions, kAllPrivileges, 10, listener);
  retire(4, Privilege::kKernel);
  retire(5, Privilege::kUser);
  EXPECT_EQ(nearest(Privilege::kUser), 1u);
  EXPECT_EQ(nearest(Privilege::kKernel), 1u);
}

TEST_F(DeadlinesTest, FiresOnceWhenReachedAndNotBefore) {
  deadlines.arm(3, RawEvent::kInstructions, kUser, 10, listener);
  retire(9);
  EXPECT_EQ(deadlines.fire_due(), 0u);
  retire(1);
  EXPECT_EQ(deadlines.fire_due(), 1u);
  EXPECT_EQ(listener.slots, (std::vector<std::uint8_t>{3}));
  EXPECT_FALSE(deadlines.armed(3));
  retire(100);
  EXPECT_EQ(deadlines.fire_due(), 0u);
}

TEST_F(DeadlinesTest, FiresLowestSlotFirst) {
  deadlines.arm(63, RawEvent::kInstructions, kUser, 1, listener);
  deadlines.arm(0, RawEvent::kInstructions, kUser, 2, listener);
  deadlines.arm(31, RawEvent::kInstructions, kUser, 3, listener);
  retire(3);
  EXPECT_EQ(deadlines.fire_due(), 3u);
  EXPECT_EQ(listener.slots, (std::vector<std::uint8_t>{0, 31, 63}));
}

TEST_F(DeadlinesTest, ListenerMayArmItsSlotAgain) {
  listener.reaction = [this](std::uint8_t slot) {
    deadlines.arm(slot, RawEvent::kInstructions, kUser, 20, listener);
  };
  deadlines.arm(0, RawEvent::kInstructions, kUser, 10, listener);
  retire(10);
  EXPECT_EQ(deadlines.fire_due(), 1u);
  EXPECT_EQ(nearest(), 10u);
}

TEST_F(DeadlinesTest, ListenerMayDisarmAnotherDueSlot) {
  listener.reaction = [this](std::uint8_t) { deadlines.disarm(1); };
  deadlines.arm(0, RawEvent::kInstructions, kUser, 10, listener);
  deadlines.arm(1, RawEvent::kInstructions, kUser, 10, listener);
  retire(10);
  EXPECT_EQ(deadlines.fire_due(), 1u);
  EXPECT_EQ(listener.slots, (std::vector<std::uint8_t>{0}));
}

TEST_F(DeadlinesTest, ArmingReplacesWhatTheSlotHad) {
  deadlines.arm(0, RawEvent::kInstructions, kUser, 10, listener);
  deadlines.arm(0, RawEvent::kInstructions, kUser, 50, listener);
  retire(10);
  EXPECT_EQ(deadlines.fire_due(), 0u);
  EXPECT_EQ(nearest(), 40u);
}

}  // namespace
}  // namespace vpmu::silicon
