// SPDX-License-Identifier: MIT
//
// The models' event tables against libpfm4, which has the vendors' tables in a form of its own.
#include <perfmon/pfmlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::silicon::x86 {
namespace {

struct PfmTable {
  const char* model;
  const char* pmu;
};
void PrintTo(const PfmTable& table, std::ostream* out) {
  *out << table.model;
}
constexpr PfmTable kTables[] = {
    {"haswell-server", "hsw_ep"}, {"icelake-server", "icx"},     {"sapphire-rapids", "spr"},
    {"skylake-server", "skx"},    {"zen2", "amd64_fam17h_zen2"}, {"zen4", "amd64_fam19h_zen4"},
};

/// Same event, other name in libpfm4; an empty model stands for all.
struct OtherName {
  std::string_view model, ours, theirs;
};
constexpr OtherName kOtherNames[] = {
    {"icelake-server", "LONGEST_LAT_CACHE.REFERENCE", "LONGEST_LAT_CACHE:REFERENCES"},
    {"haswell-server", "CPU_CLK_UNHALTED.REF_TSC", "UNHALTED_REFERENCE_CYCLES"},
    {"skylake-server", "CPU_CLK_UNHALTED.REF_TSC", "UNHALTED_REFERENCE_CYCLES"},
    // Several unit mask bits.
    {"", "L1_DTLB_MISS.ALL_L2_MISS",
     "L1_DTLB_MISS:TLB_RELOAD_1G_L2_MISS:TLB_RELOAD_2M_L2_MISS:TLB_RELOAD_COALESCED_PAGE_MISS:"
     "TLB_RELOAD_4K_L2_MISS"},
    {"", "L1_DTLB_MISS.ALL",
     "L1_DTLB_MISS:TLB_RELOAD_1G_L2_MISS:TLB_RELOAD_2M_L2_MISS:TLB_RELOAD_COALESCED_PAGE_MISS:"
     "TLB_RELOAD_4K_L2_MISS:TLB_RELOAD_1G_L2_HIT:TLB_RELOAD_2M_L2_HIT:"
     "TLB_RELOAD_COALESCED_PAGE_HIT:TLB_RELOAD_4K_L2_HIT"},
    {"zen2", "REQUESTS_TO_L2_GROUP1.ALL",
     "REQUESTS_TO_L2_GROUP1:RD_BLK_L:RD_BLK_X:LS_RD_BLK_C_S:CACHEABLE_IC_READ:CHANGE_TO_X:"
     "PREFETCH_L2:L2_HW_PF:GROUP2"},
    {"zen4", "REQUESTS_TO_L2_GROUP1.ALL",
     "REQUESTS_TO_L2_GROUP1:RD_BLK_L:RD_BLK_X:LS_RD_BLK_C_S:CACHEABLE_IC_READ:CHANGE_TO_X:"
     "PREFETCH_L2_CMD:L2_HW_PF:MISC"},
};

/// Not in libpfm4, or wrong there.
struct Exception {
  std::string_view model, name, reason;
};
constexpr Exception kExceptions[] = {
    {"icelake-server", "TOPDOWN.BACKEND_BOUND_SLOTS", "libpfm4 gives 00H/02H; the SDM A4H/02H"},
    {"sapphire-rapids", "TOPDOWN.BACKEND_BOUND_SLOTS", "libpfm4 gives 00H/02H; the SDM A4H/02H"},
    {"sapphire-rapids", "INST_RETIRED.ANY", "libpfm4 gives C0H/01H, not the pseudo-encoding"},
    {"haswell-server", "INST_RETIRED.ANY", "fixed only, no such name"},
    {"haswell-server", "CPU_CLK_UNHALTED.THREAD", "fixed only, no such name"},
    {"skylake-server", "INST_RETIRED.ANY", "fixed only, no such name"},
    {"skylake-server", "CPU_CLK_UNHALTED.THREAD", "fixed only, no such name"},
    {"icelake-server", "CPU_CLK_UNHALTED.THREAD", "fixed only, no such name"},
    {"zen2", "DATA_CACHE_ACCESSES", "event 40H is only in Linux' generic events"},
    {"zen4", "DATA_CACHE_ACCESSES", "event 40H is only in Linux' generic events"},
};

bool is_exception(std::string_view model, std::string_view name) {
  return std::ranges::any_of(kExceptions, [&](const Exception& exception) {
    return exception.model == model && exception.name == name;
  });
}

std::string pfm_name(std::string_view model, std::string_view name) {
  for (const OtherName& other : kOtherNames) {
    if (other.ours == name && (other.model.empty() || other.model == model))
      return std::string{other.theirs};
  }
  std::string theirs{name};
  std::ranges::replace(theirs, '.', ':');
  return theirs;
}

/// The event select register's bits; empty if libpfm4 does not know the event.
std::optional<std::uint64_t> encoding(const std::string& name) {
  std::uint64_t* codes = nullptr;
  int count = 0;
  if (pfm_get_event_encoding(name.c_str(), PFM_PLM0 | PFM_PLM3, nullptr, nullptr, &codes, &count) !=
      PFM_SUCCESS)
    return std::nullopt;
  const std::uint64_t code = count > 0 ? codes[0] : 0;
  std::free(codes);
  return code;
}

/// Bits of PERFEVTSEL that say who counts and what happens, not what is counted: USR, OS, INT, EN.
constexpr std::uint64_t kNotTheEvent = 1 << 16 | 1 << 17 | 1 << 20 | 1 << 22;

std::uint64_t select_bits(EventSelector selector) {
  return (selector.event & 0xffu) | std::uint64_t{selector.unit_mask} << 8 |
         std::uint64_t{selector.event} >> 8 << 32;
}

class EventEncoding : public testing::TestWithParam<PfmTable> {
 protected:
  static void SetUpTestSuite() {
    // The tables of CPUs other than the one this runs on.
    setenv("LIBPFM_ENCODE_INACTIVE", "1", 1);
    ASSERT_EQ(pfm_initialize(), PFM_SUCCESS);
  }
};
INSTANTIATE_TEST_SUITE_P(Models, EventEncoding, testing::ValuesIn(kTables), [](const auto& table) {
  std::string name = table.param.model;
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST_P(EventEncoding, NamesAndEncodingsAreLibpfm4s) {
  const CpuModel& model = *find_cpu_model(GetParam().model);
  for (const EventRow& row : model.events) {
    if (is_exception(model.name, row.name)) continue;
    const std::string name = std::string{GetParam().pmu} + "::" + pfm_name(model.name, row.name);
    const auto code = encoding(name);
    if (!code) {
      ADD_FAILURE() << "libpfm4 does not know " << name;
      continue;
    }
    EXPECT_EQ(*code & ~kNotTheEvent, select_bits(row.selector)) << name << std::hex << ' ' << *code;
  }
}

TEST_P(EventEncoding, ExceptionsAreNeeded) {
  const CpuModel& model = *find_cpu_model(GetParam().model);
  for (const EventRow& row : model.events) {
    if (!is_exception(model.name, row.name)) continue;
    const auto code = encoding(std::string{GetParam().pmu} + "::" + pfm_name(model.name, row.name));
    EXPECT_FALSE(code && (*code & ~kNotTheEvent) == select_bits(row.selector)) << row.name;
  }
}

TEST(EventEncodingTables, EveryModelHasOne) {
  EXPECT_EQ(std::size(kTables), cpu_models().size());
}

}  // namespace
}  // namespace vpmu::silicon::x86
