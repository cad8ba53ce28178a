// SPDX-License-Identifier: MIT
//
// Events of AArch64 CPUs in perf's notation; x86's are in event_spec_test.cpp.
#include "cli/event_notation.hpp"

#include <gtest/gtest.h>

#include "cli/event_spec.hpp"

namespace vpmu::test {
namespace {

using cli::parse_event;
using silicon::arm64::CpuModel;

const CpuModel& model(const char* name = "neoverse-n1") {
  return *silicon::arm64::find_cpu_model(name);
}

struct Named {
  const char* text;
  std::uint64_t config;
};

void expect_configs(std::span<const Named> cases, const CpuModel& cpu) {
  for (const Named& expected : cases) {
    const auto spec = parse_event(expected.text, cpu);
    ASSERT_TRUE(spec.has_value()) << expected.text << ": " << spec.error().message;
    EXPECT_EQ(spec->attr.config, expected.config) << expected.text;
    EXPECT_EQ(spec->name, expected.text);
  }
}

TEST(Arm64Events, EveryWayToSayAnEventIsItsNumber) {
  const Named cases[] = {
      {"INST_RETIRED", 0x08},
      {"inst_retired", 0x08},
      {"r11", 0x11},
      {"R1b", 0x1b},
      {"rffff", 0xffff},
      {"armv8_pmuv3/event=0x11/", 0x11},
      {"armv8_pmuv3_0/event=0x21/", 0x21},
      {"armv8_pmuv3_0/br_retired/", 0x21},
      {"cpu/event=0x11/", 0x11},
      {"cpu/config=0x4000/", 0x4000},
      {"BR_RETIRED/period=7/", 0x21},
  };
  expect_configs(cases, model());
}

TEST(Arm64Events, GenericNamesAreWhatLinuxTakesForThem) {
  const Named cases[] = {
      {"cycles", 0x11},
      {"cpu-cycles", 0x11},
      {"instructions", 0x08},
      {"branches", 0x21},
      {"branch-instructions", 0x21},
      {"branch-misses", 0x10},
      {"cache-references", 0x04},
      {"cache-misses", 0x03},
      {"bus-cycles", 0x1d},
      {"L1-dcache-loads", 0x04},
      {"l1-dcache-load-misses", 0x03},
      {"dTLB-loads", 0x25},
      {"dTLB-load-misses", 0x05},
      {"LLC-loads", 0x36},
      {"LLC-load-misses", 0x37},
      {"branch-loads", 0x12},
      {"branch-load-misses", 0x10},
  };
  expect_configs(cases, model());
  const Named others[] = {{"branches", 0x12}, {"instructions", 0x08}};
  expect_configs(others, model("cortex-a72"));
}

TEST(Arm64Events, EveryEventOfEveryModelIsKnownByItsName) {
  for (const CpuModel* cpu : silicon::arm64::cpu_models()) {
    for (const auto& row : cpu->events) {
      const auto spec = parse_event(row.name, *cpu);
      ASSERT_TRUE(spec.has_value()) << row.name;
      EXPECT_EQ(spec->attr.config, row.number) << cpu->name << " " << row.name;
    }
  }
}

TEST(Arm64Events, ModifiersAreThoseOfX86) {
  const auto spec = parse_event("armv8_pmuv3/event=0x08,period=1000,name=work/upDe", model());
  ASSERT_TRUE(spec.has_value()) << spec.error().message;
  EXPECT_EQ(spec->name, "work");
  EXPECT_EQ(spec->attr.period, 1000u);
  EXPECT_TRUE(spec->precise);
  EXPECT_TRUE(spec->attr.pinned);
  EXPECT_TRUE(spec->attr.exclusive);
  EXPECT_TRUE(spec->attr.exclude_kernel);
  EXPECT_FALSE(spec->attr.exclude_user);
}

TEST(Arm64Events, ErrorsNameWhatIsWrong) {
  struct Case {
    const char* text;
    const char* message;
  };
  const Case cases[] = {
      {"ref-cycles", "event 'ref-cycles': neoverse-n1 has none"},
      {"r10000", "event 'r10000': at most rffff on neoverse-n1"},
      {"cpu/event=0x10000/",
       "event 'cpu/event=0x10000/': 'event=0x10000': at most 0xffff on neoverse-n1"},
      {"cpu/event=0x11,umask=1/",
       "event 'cpu/event=0x11,umask=1/': term 'umask' is not known; give one of: name, event, "
       "config, period, freq"},
      {"armv8_pmuv3/event=x/",
       "event 'armv8_pmuv3/event=x/': 'event=x': give a number, for example event=0x10"},
      {"cycles:x",
       "event 'cycles:x': modifier 'x' is not known; give some of: u, k, G, H, D, e, p"},
  };
  for (const Case& expected : cases) {
    const auto spec = parse_event(expected.text, model());
    ASSERT_FALSE(spec.has_value()) << expected.text;
    EXPECT_EQ(spec.error().message, expected.message);
  }
  const auto spec = parse_event("inst_retird", model());
  ASSERT_FALSE(spec.has_value());
  EXPECT_NE(spec.error().message.find("names like it: INST_RETIRED"), std::string::npos)
      << spec.error().message;
  EXPECT_NE(parse_event("LLC-loads", model("cortex-a72")).error().message.find("has none"),
            std::string::npos);
}

}  // namespace
}  // namespace vpmu::test
