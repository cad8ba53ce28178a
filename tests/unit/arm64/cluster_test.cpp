// SPDX-License-Identifier: MIT
#include "machine/arm64/cluster.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine::arm64 {
namespace {

TEST(Cluster, KnowsOfNoCodeAtFirst) {
  const auto memory = GuestMemory::create(1 << 20);
  Cluster cluster{*memory, 8};

  EXPECT_FALSE(cluster.code_pages().has_code(0));
  EXPECT_FALSE(cluster.code_pages().has_code(255));
}

}  // namespace
}  // namespace vpmu::machine::arm64
