// SPDX-License-Identifier: MIT
//
// The driver's own logic, with instructions that are functions here: a host that does what no real
// one does on demand. What it does on a real one is what the guests pv_* show.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#define PVPERF_OWN_INSTRUCTIONS
// As a kernel would that compiles the driver into its own.
#include "pvperf/pvperf.c"

namespace {

using Leaf = pvperf_cpuid_result;

struct FakeHost {
  std::map<std::uint32_t, Leaf> leaves;
  std::map<std::uint32_t, std::uint64_t> msrs;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> written;
  unsigned reads = 0;
  std::function<void(std::uint32_t, std::uint64_t)> on_write = [](std::uint32_t, std::uint64_t) {};
  std::function<std::uint64_t(std::uint32_t)> on_rdpmc = [](std::uint32_t) { return 0; };
  std::function<void()> on_pause = [] {};
};
FakeHost* host;

}  // namespace

extern "C" {
pvperf_cpuid_result pvperf_cpuid(std::uint32_t leaf) {
  return host->leaves[leaf];
}
std::uint64_t pvperf_rdmsr(std::uint32_t msr) {
  ++host->reads;
  return host->msrs[msr];
}
void pvperf_wrmsr(std::uint32_t msr, std::uint64_t value) {
  host->written.emplace_back(msr, value);
  host->msrs[msr] = value;
  host->on_write(msr, value);
}
std::uint64_t pvperf_rdpmc(std::uint32_t index) {
  return host->on_rdpmc(index);
}
std::intptr_t pvperf_hypercall(bool amd, std::uintptr_t number, std::uintptr_t b, std::uintptr_t c,
                               std::uintptr_t d) {
  return static_cast<std::intptr_t>(number + b + c + d + (amd ? 1 : 0));
}
void pvperf_pause() {
  host->on_pause();
}
}

namespace {

constexpr std::uint32_t kSign = PVPERF_SIGNATURE;

class PvPerfDriverCode : public testing::Test {
 protected:
  void SetUp() override {
    host = &host_;
    host_.leaves[0] = {1, 0x756e6547, 0x6c65746e, 0x49656e69};  // GenuineIntel
    host_.leaves[1].ecx = 1U << 31;
  }
  void offer(std::uint32_t base) {
    host_.leaves[base] = {base + 3, kSign, kSign, kSign};
    host_.leaves[base + 1] = {0x1fff & ~0x190U, 0x10000, 0x40005000, 0};
    host_.leaves[base + 2] = {8U | 48U << 8 | 4U << 16, 1000, 1, 4096};
    host_.leaves[base + 3] = {0x3ff, 7, 0xf, 0};
  }
  /// A CPU whose page the fake host has just enabled.
  void start() {
    offer(0x40000000);
    ASSERT_EQ(pvperf_discover(&info_), PVPERF_OK);
    host_.on_write = [this](std::uint32_t msr, std::uint64_t value) {
      if (msr == info_.msr_base + PVPERF_MSR_AREA && (value & 1) != 0) page_.abi = info_.version;
    };
    ASSERT_EQ(pvperf_cpu_start(&cpu_, &info_, &page_, 0x1000), PVPERF_OK);
    host_.written.clear();
  }

  FakeHost host_;
  pvperf_info info_{};
  pvperf_cpu cpu_{};
  pvperf_page page_{};
};

TEST_F(PvPerfDriverCode, FindsTheLeavesWhereverTheyAre) {
  for (std::uint32_t base = 0x40000000; base <= 0x4000ff00; base += 0x100) {
    host_.leaves.erase(base - 0x100);
    offer(base);
    ASSERT_EQ(pvperf_discover(&info_), PVPERF_OK);
    EXPECT_EQ(info_.cpuid_base, base);
  }
  EXPECT_EQ(info_.events, 8U);
  EXPECT_EQ(info_.width, 48U);
  EXPECT_EQ(info_.at_once, 4U);
  EXPECT_FALSE(info_.amd);
}

TEST_F(PvPerfDriverCode, FindsNothingWhereThereIsNothing) {
  EXPECT_EQ(pvperf_discover(&info_), PVPERF_E_ABSENT);
  offer(0x40010000);
  EXPECT_EQ(pvperf_discover(&info_), PVPERF_E_ABSENT) << "behind the last";
  offer(0x40000080);
  EXPECT_EQ(pvperf_discover(&info_), PVPERF_E_ABSENT) << "between";
  offer(0x40000100);
  host_.leaves[0x40000100].edx = 0;
  EXPECT_EQ(pvperf_discover(&info_), PVPERF_E_ABSENT) << "two thirds of a signature";
  host_.leaves[0x40000100].edx = kSign;
  host_.leaves[0x40000100].eax = 0x40000102;
  EXPECT_EQ(pvperf_discover(&info_), PVPERF_E_ABSENT) << "too few leaves";
  host_.leaves[0x40000100].eax = 0;
  EXPECT_EQ(pvperf_discover(&info_), PVPERF_E_ABSENT) << "no leaves";
  offer(0x40000100);
  host_.leaves[1].ecx = 0;
  EXPECT_EQ(pvperf_discover(&info_), PVPERF_E_ABSENT) << "no hypervisor";
}

TEST_F(PvPerfDriverCode, LeavesAloneWhatItDoesNotKnow) {
  offer(0x40000000);
  host_.leaves[0x40000001].ebx = 0x20000;
  EXPECT_EQ(pvperf_discover(&info_), PVPERF_E_ABI);
  host_.leaves[0x40000001].ebx = 0x10007;
  EXPECT_EQ(pvperf_discover(&info_), PVPERF_OK) << "a minor version is only more features";
  for (const std::uint32_t sizes : {0U | 48U << 8, 33U | 48U << 8, 8U | 47U << 8, 8U | 65U << 8}) {
    host_.leaves[0x40000002].eax = sizes;
    EXPECT_EQ(pvperf_discover(&info_), PVPERF_E_ABI) << std::hex << sizes;
  }
}

TEST_F(PvPerfDriverCode, CallsByTheInstructionOfTheVendor) {
  offer(0x40000000);
  ASSERT_EQ(pvperf_discover(&info_), PVPERF_OK);
  EXPECT_EQ(pvperf_call_read(&info_, 3), 0x5650 + 5 + 3);
  EXPECT_EQ(pvperf_call_open(&info_, 0x200000001), 0x5650 + 1 + 1 + 2) << "in two halves";
  host_.leaves[0] = {1, 0x68747541, 0x444d4163, 0x69746e65};  // AuthenticAMD
  ASSERT_EQ(pvperf_discover(&info_), PVPERF_OK);
  EXPECT_EQ(pvperf_call_read(&info_, 3), 0x5650 + 5 + 3 + 1);
  host_.leaves[0x40000001].eax &= ~std::uint32_t{PVPERF_FEATURE_HYPERCALLS};
  ASSERT_EQ(pvperf_discover(&info_), PVPERF_OK);
  EXPECT_EQ(pvperf_call_read(&info_, 3), PVPERF_CALL_ENOSYS);
}

TEST_F(PvPerfDriverCode, NoticesThatThePageIsNotWhereItWasSaid) {
  offer(0x40000000);
  ASSERT_EQ(pvperf_discover(&info_), PVPERF_OK);
  page_.abi = info_.version;  // of before
  EXPECT_EQ(pvperf_cpu_start(&cpu_, &info_, &page_, 0x1000), PVPERF_E_GPA);
  EXPECT_EQ(host_.msrs[info_.msr_base + PVPERF_MSR_AREA], 0U) << "and gives it back";
  host_.written.clear();
  EXPECT_EQ(pvperf_cpu_start(&cpu_, &info_, &page_, 0x1008), PVPERF_E_GPA);
  EXPECT_TRUE(host_.written.empty()) << "what must fault is not tried";
}

TEST_F(PvPerfDriverCode, ABatchThatNobodyAnswersMeansThatThePageIsGone) {
  start();
  host_.msrs[info_.msr_base + PVPERF_MSR_ERROR] = PVPERF_E_GPA | 0xff00;
  EXPECT_EQ(pvperf_stop(&cpu_, 1), PVPERF_E_GPA);
  EXPECT_EQ(cpu_.page, nullptr);
  EXPECT_EQ(pvperf_start(&cpu_, 1, nullptr), PVPERF_E_NOAREA) << "and nothing is asked any more";
  pvperf_value value;
  host_.msrs[pvperf_bank_msr(&info_, 2, PVPERF_BANK_COUNT)] = 77;
  pvperf_read(&cpu_, 2, &value);
  EXPECT_EQ(value.count, 77U) << "registers are there still";
}

TEST_F(PvPerfDriverCode, ReadsAgainWhatWasWrittenMeanwhile) {
  start();
  page_.events[1] = {10, 20, 30, 0, 0, 0, 0, 0};
  page_.seq = 7;
  unsigned pauses = 0;
  host_.on_pause = [&] {
    if (++pauses == 5) page_.seq = 8;
  };
  pvperf_value value;
  EXPECT_TRUE(pvperf_page_read(&page_, 1, &value));
  EXPECT_EQ(pauses, 5U);
  EXPECT_EQ(value.count, 10U);
  EXPECT_EQ(value.time_running, 30U);
}

TEST_F(PvPerfDriverCode, GivesUpAfterAThousandTimesAndTakesTheRegisters) {
  start();
  page_.seq = 7;
  page_.events[1].count = 10;
  unsigned pauses = 0;
  host_.on_pause = [&] { ++pauses; };
  pvperf_value value;
  EXPECT_FALSE(pvperf_page_read(&page_, 1, &value));
  EXPECT_EQ(pauses, PVPERF_READ_RETRIES);
  host_.msrs[pvperf_bank_msr(&info_, 1, PVPERF_BANK_COUNT)] = 11;
  host_.msrs[pvperf_bank_msr(&info_, 1, PVPERF_BANK_STATE)] = 0x0b02;
  host_.reads = 0;
  pvperf_read(&cpu_, 1, &value);
  EXPECT_EQ(value.count, 11U);
  EXPECT_EQ(value.state, 0x0b02U);
  EXPECT_EQ(host_.reads, 4U);
}

TEST_F(PvPerfDriverCode, AddsTheHardwaresCounterWithItsSign) {
  start();
  info_.features |= PVPERF_FEATURE_RDPMC_NATIVE;
  page_.host_flags = PVPERF_HOST_RDPMC;
  page_.events[3] = {0, 0, 0, 1000, 6, 48, 1, 0};
  std::uint32_t index = 0;
  host_.on_rdpmc = [&](std::uint32_t i) {
    index = i;
    return std::uint64_t{0xffffffffff9c};  // -100 in 48 bits
  };
  EXPECT_EQ(pvperf_read_exact(&cpu_, 3), 900U);
  EXPECT_EQ(index, 5U);
  host_.on_rdpmc = [&](std::uint32_t i) {
    index = i;
    return std::uint64_t{100};
  };
  EXPECT_EQ(pvperf_read_exact(&cpu_, 3), 1100U);
  page_.events[3].state = 0;
  EXPECT_EQ(pvperf_read_exact(&cpu_, 3), 100U);
  EXPECT_EQ(index, PVPERF_RDPMC_BASE + 3) << "of one that is on no counter the host is asked";
}

TEST_F(PvPerfDriverCode, TakesTheHardwaresCounterOnlyOfThePublicationThatNamedIt) {
  start();
  info_.features |= PVPERF_FEATURE_RDPMC_NATIVE;
  page_.host_flags = PVPERF_HOST_RDPMC;
  page_.events[0] = {0, 0, 0, 1000, 1, 48, 1, 0};
  host_.on_rdpmc = [&](std::uint32_t index) {
    if (index == 0) {  // moved to another counter while it is being read
      page_.seq += 2;
      page_.events[0].rdpmc_offset = 2000;
      page_.events[0].rdpmc_index = 2;
      return 5;
    }
    return 7;
  };
  EXPECT_EQ(pvperf_read_exact(&cpu_, 0), 2007U);
}

TEST_F(PvPerfDriverCode, RearmsWhatTheHostDoesNotReload) {
  start();
  info_.features &= ~std::uint32_t{PVPERF_FEATURE_AUTORELOAD};
  pvperf_command(&cpu_, 2, pvperf_generic(PVPERF_CYCLES, PVPERF_OS | PVPERF_INT), 10, 1000);
  EXPECT_EQ(page_.commands[2].period, 0U);
  EXPECT_EQ(page_.commands[2].count, pvperf_mask(&info_) + 1 - 990);
  page_.global_status = 4;
  page_.events[2].count = 17;  // past the wrap

  struct Seen {
    unsigned event = 99;
    std::uint64_t count = 0;
    std::size_t writes_before_unmask = 0;
  } seen;
  const pvperf_pmi_calls calls{[](void* context, unsigned i, const pvperf_value* value) {
                                 static_cast<Seen*>(context)->event = i;
                                 static_cast<Seen*>(context)->count = value->count;
                               },
                               [](void* context) {
                                 static_cast<Seen*>(context)->writes_before_unmask =
                                     host->written.size();
                               },
                               &seen};
  EXPECT_EQ(pvperf_pmi(&cpu_, &calls), 4U);
  EXPECT_EQ(seen.event, 2U);
  EXPECT_EQ(seen.count, 17U);
  ASSERT_EQ(host_.written.size(), 2U);
  EXPECT_EQ(host_.written[0].second, pvperf_mask(&info_) + 1 - 983);
  EXPECT_EQ(seen.writes_before_unmask, 1U) << "unmasked, and only then acknowledged";
  EXPECT_EQ(host_.written[1],
            std::make_pair(info_.msr_base + PVPERF_MSR_STATUS_RESET, std::uint64_t{4}));
}

TEST_F(PvPerfDriverCode, AnotherDevicesInterruptCostsNothing) {
  start();
  page_.global_status = PVPERF_STATUS_HOST_TROUBLE;
  const pvperf_pmi_calls calls{nullptr, nullptr, nullptr};
  host_.reads = 0;
  EXPECT_EQ(pvperf_pmi(&cpu_, &calls), 0U);
  EXPECT_TRUE(host_.written.empty());
  EXPECT_EQ(host_.reads, 0U);
}

TEST_F(PvPerfDriverCode, HandlesAnOverflowOnceThoughThePageStillShowsIt) {
  start();
  page_.seq = 10;
  page_.global_status = 3;
  unsigned handled = 0;
  const pvperf_pmi_calls calls{
      [](void* context, unsigned, const pvperf_value*) { ++*static_cast<unsigned*>(context); },
      nullptr, &handled};
  EXPECT_EQ(pvperf_pmi(&cpu_, &calls), 3U);
  EXPECT_EQ(pvperf_pmi(&cpu_, &calls), 0U) << "the page has not been written since";
  page_.global_status = 7;  // by a host that writes the page for each overflow
  page_.seq = 12;
  EXPECT_EQ(pvperf_pmi(&cpu_, &calls), 7U) << "the page has been written since";
  EXPECT_EQ(handled, 5U);
  EXPECT_EQ(host_.reads, 0U);
}

TEST_F(PvPerfDriverCode, AsksWhenThePageWasWrittenWhileItAcknowledged) {
  start();
  page_.seq = 10;
  page_.global_status = 1;
  host_.on_write = [this](std::uint32_t msr, std::uint64_t) {
    if (msr == info_.msr_base + PVPERF_MSR_STATUS_RESET) page_.seq = 12;
  };
  const pvperf_pmi_calls calls{[](void*, unsigned, const pvperf_value*) {}, nullptr, nullptr};
  EXPECT_EQ(pvperf_pmi(&cpu_, &calls), 1U);
  host_.msrs[info_.msr_base + PVPERF_MSR_GLOBAL_STATUS] = 0;
  EXPECT_EQ(pvperf_pmi(&cpu_, &calls), 0U);
  EXPECT_EQ(host_.reads, 1U);
  page_.seq = 14;
  EXPECT_EQ(pvperf_pmi(&cpu_, &calls), 1U);
  EXPECT_EQ(host_.reads, 1U) << "the next publication is as good as ever";
}

TEST(PvPerfScaled, IsExactIn128Bits) {
  std::uint64_t state = 0x9e3779b97f4a7c15;
  const auto random = [&state] {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> (state >> 3 & 63);  // of all sizes
  };
  for (unsigned n = 0; n < 100000; ++n) {
    pvperf_value value{random(), random(), random(), 0};
    if (n % 2 == 0 && value.time_running > value.time_enabled) {
      std::swap(value.time_enabled, value.time_running);
    }
    std::uint64_t expected = 0;
    if (value.time_running != 0) {
      __extension__ using Wide = unsigned __int128;
      const Wide exact = Wide{value.count} * value.time_enabled / value.time_running;
      expected = exact >> 64 != 0 ? ~std::uint64_t{0} : static_cast<std::uint64_t>(exact);
    }
    ASSERT_EQ(pvperf_scaled(&value), expected)
        << value.count << " * " << value.time_enabled << " / " << value.time_running;
  }
}

}  // namespace
