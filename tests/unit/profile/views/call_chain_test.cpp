// SPDX-License-Identifier: MIT
#include "profile/views/call_chain.hpp"

#include <gtest/gtest.h>

namespace vpmu::profile {
namespace {

using perf_data::CpuMode;

CallChain chain_of(CpuMode mode, std::uint64_t ip, const std::vector<std::uint64_t>& entries) {
  perf_data::SampleRecord sample;
  sample.task.mode = mode;
  sample.ip = ip;
  sample.callchain = entries;
  CallChain chain;
  take_call_chain(sample, chain);
  return chain;
}

TEST(CallChain, WithoutOneTheSampleIsAlone) {
  const CallChain chain = chain_of(CpuMode::kUser, 0x10, {});
  ASSERT_EQ(chain.size(), 1u);
  EXPECT_EQ(chain[0].address, 0x10u);
  EXPECT_EQ(chain[0].mode, CpuMode::kUser);
  EXPECT_FALSE(chain[0].is_caller);
}

TEST(CallChain, MarkersSayTheModeOfWhatFollows) {
  const CallChain chain =
      chain_of(CpuMode::kKernel, 0x10,
               {perf_data::kContextKernel, 0x10, 0x20, perf_data::kContextUser, 0x30});
  ASSERT_EQ(chain.size(), 3u);
  EXPECT_EQ(chain[1].address, 0x20u);
  EXPECT_EQ(chain[1].mode, CpuMode::kKernel);
  EXPECT_TRUE(chain[1].is_caller);
  EXPECT_EQ(chain[2].address, 0x30u);
  EXPECT_EQ(chain[2].mode, CpuMode::kUser);
}

TEST(CallChain, HostMarkersInAGuestSampleMeanTheGuest) {
  const CallChain chain =
      chain_of(CpuMode::kGuestKernel, 0x10,
               {perf_data::kContextKernel, 0x10, perf_data::kContextUser, 0x30});
  ASSERT_EQ(chain.size(), 2u);
  EXPECT_EQ(chain[0].mode, CpuMode::kGuestKernel);
  EXPECT_EQ(chain[1].mode, CpuMode::kGuestUser);
}

TEST(CallChain, ThePreciseAddressGoesBeforeTheChainsOwn) {
  const CallChain chain = chain_of(CpuMode::kUser, 0x10, {0x12, 0x20});
  ASSERT_EQ(chain.size(), 2u);
  EXPECT_EQ(chain[0].address, 0x10u);
  EXPECT_EQ(chain[1].address, 0x20u);
}

TEST(CallChain, OfVeryLongOnesTheInnermostAreTaken) {
  const CallChain chain =
      chain_of(CpuMode::kUser, 1, std::vector<std::uint64_t>(kMostFrames + 100, 7));
  EXPECT_EQ(chain.size(), kMostFrames);
}

TEST(CallChain, OnlyMarkersAreNoFrames) {
  const std::vector<std::uint64_t> markers(5, ~std::uint64_t{0});
  EXPECT_EQ(chain_of(CpuMode::kUser, 1, markers).size(), 1u);
}

TEST(CallChain, ACallersNameIsThatOfItsCall) {
  EXPECT_EQ(address_to_name({0x100, CpuMode::kUser, true}), 0xffu);
  EXPECT_EQ(address_to_name({0x100, CpuMode::kUser, false}), 0x100u);
  EXPECT_EQ(address_to_name({0, CpuMode::kUser, true}), 0u);
}

}  // namespace
}  // namespace vpmu::profile
