// SPDX-License-Identifier: MIT
//
// Data accesses of emulated instructions: alignment, page ends, devices.
#include <gtest/gtest.h>

#include "unit/arm64_system/tables.hpp"

namespace vpmu::machine::arm64 {
namespace {

using namespace test;

constexpr auto kEl0 = ExceptionLevel::kEl0;
constexpr auto kEl1 = ExceptionLevel::kEl1;
constexpr std::uint64_t kPage = 0x10'0000, kData = kRam + 0x20'0000, kFar = kRam + 0x30'0000;
constexpr std::uint64_t kDevice = 0x0900'0000;
constexpr std::uint64_t kPattern = 0x8877'6655'4433'2211;

/// Two pages side by side, whose frames are not; the third is a device's.
struct DataTest : testing::Test {
  DataTest() {
    s.core.mair = Path::kWriteBackAttributes;  // index 1 is Device-nGnRnE
    map(0, kData | kAccessedBit | kEl0Bit);
    map(1, kFar | kAccessedBit | kEl0Bit);
    map(2, kDevice | kAccessedBit | kEl0Bit | 1 << 2);
  }
  void map(unsigned page, std::uint64_t bits) const { path.map(kPage + 0x1000 * page, 3, bits); }
  System s;
  Path path{s, k4K};
};

TEST_F(DataTest, AccessesOfEverySizeGoToRam) {
  for (const unsigned bytes : {1U, 2U, 4U, 8U}) {
    const std::uint64_t mask = ~std::uint64_t{0} >> (64 - 8 * bytes);
    s.put(kData, ~std::uint64_t{0});

    ASSERT_TRUE(s.data.write(kPage, bytes, kPattern, kEl1));

    EXPECT_EQ(s.get<std::uint64_t>(kData), ~mask | (kPattern & mask)) << bytes;
    EXPECT_EQ(s.data.read(kPage, bytes, kEl1), kPattern & mask) << bytes;
  }
}

TEST_F(DataTest, AnAccessAcrossAPageEndIsInBothPages) {
  ASSERT_TRUE(s.data.write(kPage + 0xffd, 8, kPattern, kEl0));

  EXPECT_EQ(s.get<std::uint16_t>(kData + 0xffd), 0x2211);
  EXPECT_EQ(s.get<std::uint8_t>(kData + 0xfff), 0x33);
  EXPECT_EQ(s.get<std::uint32_t>(kFar), 0x7766'5544U);
  EXPECT_EQ(s.data.read(kPage + 0xffd, 8, kEl0), kPattern);
}

TEST_F(DataTest, IfTheSecondPageFaultsNothingIsWritten) {
  map(1, 0);
  const auto written = s.data.write(kPage + 0xffc, 8, kPattern, kEl1);

  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), (Fault{kPage + 0x1000, MemoryUse::kWrite, false,
                                    fault_status(FaultStatus::kAccessFlag, 3)}));
  EXPECT_EQ(s.get<std::uint32_t>(kData + 0xffc), 0U);
}

TEST_F(DataTest, RightsAreAskedFor) {
  map(0, kData | kAccessedBit);
  EXPECT_TRUE(s.data.read(kPage, 8, kEl1));
  const auto read = s.data.read(kPage, 8, kEl0);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().status, fault_status(FaultStatus::kPermission, 3));
}

TEST_F(DataTest, AlignmentIsCheckedBeforeTranslationIfSctlrSaysSo) {
  map(0, 0);
  s.core.sctlr |= Sctlr::kA.kMask;
  const auto read = s.data.read(kPage + 1, 2, kEl1);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), alignment_fault(kPage + 1, MemoryUse::kRead));
  EXPECT_EQ(s.data.read(kPage + 2, 2, kEl1).error().status,
            fault_status(FaultStatus::kAccessFlag, 3));
}

TEST_F(DataTest, DevicesWantAlignedAccesses) {
  const auto read = s.data.read(kPage + 0x2001, 4, kEl1);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), alignment_fault(kPage + 0x2001, MemoryUse::kRead));
  const auto written = s.data.write(kPage + 0x1ffe, 4, 0, kEl1);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), alignment_fault(kPage + 0x1ffe, MemoryUse::kWrite));
  EXPECT_TRUE(s.environment.mmio_reads.empty() && s.environment.mmio_writes.empty());
}

TEST_F(DataTest, DevicesGetOneAccess) {
  using Mmio = FakeEnvironment::Mmio;
  s.environment.mmio_value = 0x1234;
  EXPECT_EQ(s.data.read(kPage + 0x2004, 4, kEl1), 0x1234U);
  EXPECT_TRUE(s.data.write(kPage + 0x2008, 2, 0xffff'5678, kEl1));
  EXPECT_EQ(s.environment.mmio_reads, (std::vector{Mmio{kDevice + 4, 4, 0}}));
  EXPECT_EQ(s.environment.mmio_writes, (std::vector{Mmio{kDevice + 8, 2, 0x5678}}));
}

TEST_F(DataTest, NormalMemoryThatIsNoRamIsAccessedByteByByteIfUnaligned) {
  map(2, kDevice | kAccessedBit);
  ASSERT_TRUE(s.data.write(kPage + 0x2001, 2, 0x1234, kEl1));
  using Mmio = FakeEnvironment::Mmio;
  EXPECT_EQ(s.environment.mmio_writes,
            (std::vector{Mmio{kDevice + 1, 1, 0x34}, Mmio{kDevice + 2, 1, 0x12}}));
  s.environment.mmio_value = 0x56;
  EXPECT_EQ(s.data.read(kPage + 0x2001, 2, kEl1), 0x5656U);
}

TEST_F(DataTest, BlocksAreZeroedInRamAndElsewhereButNotInDevices) {
  for (unsigned n = 0; n < 128; n += 8) s.put(kData + n, kPattern);
  ASSERT_TRUE(s.data.zero(kPage, kEl1));
  EXPECT_EQ(s.get<std::uint64_t>(kData), 0U);
  EXPECT_EQ(s.get<std::uint64_t>(kData + 56), 0U);
  EXPECT_EQ(s.get<std::uint64_t>(kData + 64), kPattern);

  EXPECT_EQ(s.data.zero(kPage + 0x2000, kEl1).error(),
            alignment_fault(kPage + 0x2000, MemoryUse::kWrite));
  map(2, kDevice | kAccessedBit);
  ASSERT_TRUE(s.data.zero(kPage + 0x2000, kEl1));
  ASSERT_EQ(s.environment.mmio_writes.size(), 8U);
  EXPECT_EQ(s.environment.mmio_writes.back(), (FakeEnvironment::Mmio{kDevice + 56, 8, 0}));
}

TEST_F(DataTest, BlocksThatMayNotBeWrittenAreNotZeroed) {
  map(0, kData | kAccessedBit | kEl0Bit | kReadOnlyBit);
  const auto zeroed = s.data.zero(kPage, kEl0);
  ASSERT_FALSE(zeroed);
  EXPECT_EQ(zeroed.error(),
            (Fault{kPage, MemoryUse::kWrite, false, fault_status(FaultStatus::kPermission, 3)}));
}

}  // namespace
}  // namespace vpmu::machine::arm64
