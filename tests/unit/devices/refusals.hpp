// SPDX-License-Identifier: MIT
//
// States that no guest can have brought about, and what restore() says of them.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>

namespace vpmu::machine {

template <class State>
struct Refusal {
  void (*spoil)(State&);
  const char* message;
};

/// Each of them is refused, and the device stays as it is.
template <class Device, std::size_t N>
void expect_refused(Device& device, const Refusal<typename Device::State> (&table)[N]) {
  const typename Device::State before = device.save();
  for (const auto& row : table) {
    typename Device::State state = before;
    row.spoil(state);
    const auto restored = device.restore(state);
    ASSERT_FALSE(restored) << row.message;
    EXPECT_EQ(restored.error().message, row.message);
    EXPECT_EQ(device.save(), before) << row.message;
  }
}

}  // namespace vpmu::machine
