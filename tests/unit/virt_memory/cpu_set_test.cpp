// SPDX-License-Identifier: MIT
//
// Lists of host CPUs: the whole grammar, each error, and which of two it is.
#include "vpmu/virt/cpu_set.hpp"

#include <cerrno>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace vpmu::virt {
namespace {

using namespace std::string_literals;

std::string said(std::string_view list, unsigned cpus) {
  const auto set = parse_cpu_list(list, cpus);
  return set ? cpu_list(*set) : "errno " + std::to_string(set.error().number);
}

TEST(CpuList, SaysASet) {
  struct Row {
    std::string list;
    std::string set;
  };
  const std::vector<Row> rows{
      {"", ""},
      {",, \t,", ""},
      {"0", "0"},
      {"0-3", "0-3"},
      {"3,1,2", "1-3"},
      {"0, 5 7\t9", "0,5,7,9"},
      {"0-3,2-6", "0-6"},
      {"N", "15"},
      {"12-N", "12-15"},
      {"N-N", "15"},
      {"all", "0-15"},
      {"ALL:1/8", "0,8"},
      {"0-15:1/4", "0,4,8,12"},
      {"1-15:2/5", "1-2,6-7,11-12"},
      {"0-N:2/4", "0-1,4-5,8-9,12-13"},
      {"0-9:N/N", "0-9"},
      {"0-9:3/3", "0-9"},
      {"0-9:0/3", ""},
      {"0-3:4/4294967295", "0-3"},
      {"4-7:1/2,0-1:1/2", "0,4,6"},
      {"007", "7"},
      {"1\n2", "1"},
      {"1\0002"s, "1"},
      {"15", "15"},
  };
  for (const Row& row : rows) EXPECT_EQ(said(row.list, 16), row.set) << '"' << row.list << '"';
}

TEST(CpuList, IsRefusedWithItsErrno) {
  struct Row {
    std::string list;
    int number;
  };
  const std::vector<Row> rows{
      {"x", EINVAL},
      {"-1", EINVAL},
      {"1-", EINVAL},
      {"1--2", EINVAL},
      {"1:1/2", EINVAL},
      {"1-2:", EINVAL},
      {"1-2:1", EINVAL},
      {"1-2:1/", EINVAL},
      {"1-2:/2", EINVAL},
      {"1-2:1/2x", EINVAL},
      {"1-2-3", EINVAL},
      {"1;2", EINVAL},
      {"n", EINVAL},
      {"0x1", EINVAL},
      {"+1", EINVAL},
      {"al", EINVAL},
      {"allx", EINVAL},
      {"2-1", EINVAL},
      {"0-3:1/0", EINVAL},
      {"0-3:3/2", EINVAL},
      {"16", ERANGE},
      {"0-16", ERANGE},
      {"4294967295", ERANGE},
      {"0-20:1/4", ERANGE},
      {"N-16", ERANGE},
      {"20-10", EINVAL},
      {"4294967296", EOVERFLOW},
      {"0-99999999999999999999999", EOVERFLOW},
      {"0-3:1/4294967296", EOVERFLOW},
      {"0-3:4294967296/1", EOVERFLOW},
      {"16,x", ERANGE},
      {"x,16", EINVAL},
      {"0,1,2,16", ERANGE},
      {"4294967296x", EOVERFLOW},
  };
  for (const Row& row : rows)
    EXPECT_EQ(said(row.list, 16), "errno " + std::to_string(row.number)) << '"' << row.list << '"';
}

TEST(CpuList, MayFillAPageWithItsNul) {
  EXPECT_EQ(said("3" + std::string(kCpuListMost - 1, ','), 4), "3");
  EXPECT_EQ(said("3" + std::string(kCpuListMost, ','), 4), "errno " + std::to_string(EINVAL));
  EXPECT_EQ(said("3\0"s + std::string(kCpuListMost, 'x'), 4), "3") << "what is behind the NUL";
}

TEST(CpuList, OfAHostWithoutCpusHasNone) {
  EXPECT_EQ(said("", 0), "");
  for (const char* list : {"0", "N", "all", "0-N"})
    EXPECT_EQ(said(list, 0), "errno " + std::to_string(ERANGE)) << list;
}

TEST(CpuList, ErrorNamesTheListAndTheRemedy) {
  const auto set = parse_cpu_list("0,9", 4);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().message,
            "CPU list \"0,9\": names CPU 9, which the host does not have; its CPUs are 0 to 3");
  const auto other = parse_cpu_list("0,?", 4);
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("from byte 2 on"), std::string::npos)
      << other.error().message;
}

TEST(CpuList, IsWrittenAsItIsRead) {
  for (unsigned bits = 0; bits < 1u << 9; ++bits) {
    CpuSet set{70};
    for (unsigned cpu = 0; cpu < 9; ++cpu)
      if ((bits >> cpu & 1) != 0) set.insert(60 + cpu);
    const auto again = parse_cpu_list(cpu_list(set), 70);
    ASSERT_TRUE(again);
    ASSERT_EQ(*again, set) << cpu_list(set);
  }
}

TEST(CpuSet, KnowsItsCpus) {
  CpuSet set{130};
  EXPECT_TRUE(set.empty());
  for (const unsigned cpu : {0u, 63u, 64u, 129u}) set.insert(cpu);
  EXPECT_EQ(set.size(), 4u);
  EXPECT_TRUE(set.contains(64));
  EXPECT_FALSE(set.contains(65));
  EXPECT_FALSE(set.contains(130));
  EXPECT_FALSE(set.contains(~0u));
}

TEST(CpuSet, IsASubsetOfWhatHasAllItsCpus) {
  CpuSet few{64}, many{128}, none{64};
  few.insert(3);
  many.insert(3);
  many.insert(100);
  EXPECT_TRUE(few.is_subset_of(many));
  EXPECT_FALSE(many.is_subset_of(few));
  EXPECT_TRUE(none.is_subset_of(few));
  EXPECT_TRUE(none.is_subset_of(none));
  EXPECT_FALSE(few.is_subset_of(none));
}

}  // namespace
}  // namespace vpmu::virt
