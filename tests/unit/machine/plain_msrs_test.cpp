// SPDX-License-Identifier: MIT
#include "machine/pc/plain_msrs.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine {
namespace {

using silicon::x86::Vendor;

TEST(PlainMsrs, AllHaveTheirResetValues) {
  const PlainMsrs msrs{Vendor::kIntel, 2'600'000'000};
  struct Row {
    std::uint32_t msr;
    std::uint64_t value;
  };
  for (const Row row : {Row{0x17, 0},
                        {0x34, 0},
                        {0x3a, 1},
                        {0x8b, 1ULL << 32},
                        {0xce, 26 << 8},
                        {0xfe, 0x508},
                        {0x179, 0},
                        {0x17a, 0},
                        {0x200, 0},
                        {0x20f, 0},
                        {0x250, 0},
                        {0x258, 0},
                        {0x259, 0},
                        {0x268, 0},
                        {0x26f, 0},
                        {0x277, 0x0007040600070406},
                        {0x2ff, 0x806}}) {
    const Access access = msrs.read(static_cast<MsrIndex>(row.msr));
    ASSERT_TRUE(access.is_done()) << row.msr;
    EXPECT_EQ(access.value(), row.value) << row.msr;
  }
}

TEST(PlainMsrs, WritesAreCheckedAsTheManualSays) {
  enum Result { kKept, kIgnored, kFault };
  struct Row {
    std::uint32_t msr;
    std::uint64_t value;
    Result result;
  };
  const Row rows[] = {
      {0x277, 0x0706050401000000, kKept},
      {0x277, 0x0000000000000002, kFault},  // type 2 does not exist
      {0x277, 0x0800000000000000, kFault},
      {0x2ff, 0xc06, kKept},
      {0x2ff, 0xc02, kFault},
      {0x2ff, 0x100, kFault},
      {0x200, 0x80000006, kKept},
      {0x200, 0x80000007, kFault},
      {0x200, 1ULL << 46, kFault},  // above MAXPHYADDR
      {0x201, 0x3fff80000800, kKept},
      {0x201, 0x1, kFault},
      {0x250, 0x0606060606060606, kKept},
      {0x250, 0x0706060606060606, kFault},
      {0x17a, 7, kKept},
      {0x17a, 8, kFault},
      {0x8b, 0, kIgnored},
      {0x79, 0x1000, kIgnored},
      {0x3a, 5, kFault},
      {0xce, 0, kFault},
      {0xfe, 0, kFault},
      {0x179, 0, kFault},
      {0x34, 0, kFault},
      {0x17, 0, kFault},
  };
  for (const Row& row : rows) {
    PlainMsrs msrs{Vendor::kIntel, 2'600'000'000};
    const auto msr = static_cast<MsrIndex>(row.msr);
    const Access before = msrs.read(msr);
    const Access written = msrs.write(msr, row.value);
    EXPECT_EQ(written.is_fault(), row.result == kFault) << row.msr << ' ' << row.value;
    EXPECT_EQ(written.is_done(), row.result != kFault) << row.msr << ' ' << row.value;
    if (row.result == kKept) {
      EXPECT_EQ(msrs.read(msr).value(), row.value) << row.msr;
    } else {
      EXPECT_EQ(msrs.read(msr), before) << row.msr;
    }
  }
}

TEST(PlainMsrs, OthersAreNotTheirs) {
  PlainMsrs msrs{Vendor::kIntel, 1};
  for (const std::uint32_t msr :
       {0x10u, 0x1bu, 0x210u, 0x251u, 0x270u, 0x276u, 0x400u, 0xc0000080u}) {
    EXPECT_TRUE(msrs.read(static_cast<MsrIndex>(msr)).is_not_mine()) << msr;
    EXPECT_TRUE(msrs.write(static_cast<MsrIndex>(msr), 0).is_not_mine()) << msr;
  }
}

TEST(PlainMsrs, OfAmdHaveTheirResetValues) {
  const PlainMsrs msrs{Vendor::kAmd, 2'700'000'000};
  struct Row {
    std::uint32_t msr;
    std::uint64_t value;
  };
  for (const Row row : {Row{0x8b, 1},                   // PATCH_LEVEL
                        {0xfe, 0x508},                  // MTRRs as on Intel
                        {0x277, 0x0007040600070406},    //
                        {0xc0010010, 0},                // SYSCFG
                        {0xc0010015, 1 << 24},          // HWCR: TscFreqSel
                        {0xc001001f, 0},                // NB_CFG
                        {0xc0010114, 1 << 3 | 1 << 4},  // VM_CR: SVM disabled and locked
                        {0xc0011029, 1 << 1}}) {        // DE_CFG: LFENCE serializes
    const Access access = msrs.read(MsrIndex{row.msr});
    ASSERT_TRUE(access.is_done()) << std::hex << row.msr;
    EXPECT_EQ(access.value(), row.value) << std::hex << row.msr;
  }
}

TEST(PlainMsrs, OfAmdDropWhatIsReservedOrReadOnly) {
  struct Row {
    std::uint32_t msr;
    std::uint64_t written, read;
  };
  for (const Row row : {Row{0xc0010010, ~0ULL, 0x7c0000},
                        {0xc0010015, ~0ULL, 1 << 24 | 1 << 18},  // McStatusWrEn
                        {0xc0010015, 0, 1 << 24},
                        {0xc001001f, 0x1234'5678'9abc'def0, 0x1234'5678'9abc'def0},
                        {0xc0010114, 0, 1 << 3 | 1 << 4},
                        {0xc0011029, 0, 1 << 1}}) {
    PlainMsrs msrs{Vendor::kAmd, 2'700'000'000};
    EXPECT_TRUE(msrs.write(MsrIndex{row.msr}, row.written).is_done()) << std::hex << row.msr;
    EXPECT_EQ(msrs.read(MsrIndex{row.msr}), Access::done(row.read)) << std::hex << row.msr;
  }
}

TEST(PlainMsrs, OfOneVendorAreNotTheOthers) {
  PlainMsrs intel{Vendor::kIntel, 2'000'000'000}, amd{Vendor::kAmd, 2'000'000'000};
  for (const std::uint32_t msr : {0x17u, 0x34u, 0x3au, 0x79u, 0xceu}) {
    EXPECT_FALSE(intel.write(MsrIndex{msr}, 0).is_not_mine()) << std::hex << msr;
    EXPECT_TRUE(amd.write(MsrIndex{msr}, 0).is_not_mine()) << std::hex << msr;
    EXPECT_TRUE(amd.read(MsrIndex{msr}).is_not_mine()) << std::hex << msr;
  }
  for (const std::uint32_t msr :
       {0xc0010010u, 0xc0010015u, 0xc001001fu, 0xc0010020u, 0xc0010114u, 0xc0011029u}) {
    EXPECT_TRUE(amd.write(MsrIndex{msr}, 0).is_done()) << std::hex << msr;
    EXPECT_TRUE(intel.write(MsrIndex{msr}, 0).is_not_mine()) << std::hex << msr;
    EXPECT_TRUE(intel.read(MsrIndex{msr}).is_not_mine()) << std::hex << msr;
  }
}

}  // namespace
}  // namespace vpmu::machine
