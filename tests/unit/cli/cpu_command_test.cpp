// SPDX-License-Identifier: MIT
#include "cli/cpu_command.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace vpmu::cli {
namespace {

using silicon::x86::cpu_models;
using silicon::x86::CpuModel;
using silicon::x86::EventRow;
using silicon::x86::find_cpu_model;

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> found;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    found.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return found;
}

void expect_fits(const std::string& text) {
  ASSERT_FALSE(text.empty());
  EXPECT_EQ(text.back(), '\n');
  for (const std::string& line : lines(text)) {
    EXPECT_LE(line.size(), 100u) << line;
    EXPECT_TRUE(line.empty() || line.back() != ' ') << "'" << line << "'";
  }
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(CpuCommand, ListHasEveryModelOnALineUnderTheHeadings) {
  const std::string text = list_cpus();
  expect_fits(text);
  const auto table = lines(text);
  const auto arm64 = silicon::arm64::cpu_models();
  ASSERT_EQ(table.size(), cpu_models().size() + arm64.size() + 1);
  for (std::size_t n = 0; n < cpu_models().size(); ++n) {
    EXPECT_EQ(table[n + 1].find(cpu_models()[n]->name), 0u) << table[n + 1];
  }
  for (std::size_t n = 0; n < arm64.size(); ++n) {
    const std::string& line = table[cpu_models().size() + 1 + n];
    EXPECT_EQ(line.find(arm64[n]->name), 0u) << line;
  }
}

TEST(CpuCommand, ListSaysWhatTheModelsHave) {
  struct Case {
    const char* model;
    std::vector<std::string> parts;
  };
  const Case cases[] = {
      {"haswell-server", {"Intel", "0x6/0x3f", "2.30", "version 3", "8 + 3 fixed", "40 MiB"}},
      {"icelake-server",
       {"Intel", "0x6/0x6a", "2.00", "version 5", "8 + 4 fixed", "48 KiB", "1.25 MiB", "48 MiB"}},
      {"skylake-server", {"Intel", "0x6/0x55", "2.10", "version 4", "8 + 3 fixed", "22 MiB"}},
      {"neoverse-n1", {"Arm", "0xd0c/r3p1", "3.00", "PMUv3.1", "6 + cycles", "64 KiB", "32 MiB"}},
      {"armv8.5", {"none", "0x850/r0p0", "2.00", "PMUv3.5", "8 + cycles", "64 KiB", "16 MiB"}},
      {"cortex-a72", {"Arm", "0xd08/r0p3", "2.00", "PMUv3 ", "6 + cycles", "32 KiB", "8 MiB"}},
      {"zen2", {"AMD", "0x17/0x31", "3.00", "core", "6", "32 KiB", "512 KiB", "16 MiB"}},
      {"zen4", {"AMD", "0x19/0x11", "2.70", "PerfMonV2", "6", "1 MiB", "32 MiB"}},
  };
  for (const std::string& line : lines(list_cpus())) {
    for (const Case& expected : cases) {
      if (line.find(std::string{expected.model} + " ") != 0) continue;
      for (const std::string& part : expected.parts) EXPECT_TRUE(has(line, part)) << line;
    }
  }
}

TEST(CpuCommand, ShowHasIdentityPmuAndHierarchyButNoEvents) {
  for (const CpuModel* model : cpu_models()) {
    const std::string text = show_cpu(*model);
    expect_fits(text);
    for (const char* part : {"identity", "clock", "PMU", "counters", "CPUID", "issue slots", "L1D",
                             "L2", "LLC", "DTLB", "second-level TLB"}) {
      EXPECT_TRUE(has(text, part)) << part << " of " << model->name;
    }
    EXPECT_TRUE(has(text, std::to_string(model->events.size()) + ", see"));
    for (const EventRow& event : model->events) EXPECT_FALSE(has(text, event.name)) << event.name;
  }
}

TEST(CpuCommand, ShowGivesTheLeavesThatDescribeThePmu) {
  // Version 5, 8 counters of 48 bits, 8 events; fixed counters 0 to 3 of 48 bits, no AnyThread.
  EXPECT_TRUE(has(show_cpu(*find_cpu_model("icelake-server")),
                  "CPUID 0000000AH  EAX 08300805  EBX 00000000  ECX 0000000f  EDX 00008604"));
  EXPECT_TRUE(
      has(show_cpu(*find_cpu_model("zen4")), "CPUID 80000022H  EAX 00000001  EBX 00000006"));
  EXPECT_FALSE(has(show_cpu(*find_cpu_model("zen2")), "80000022H"));
  EXPECT_TRUE(has(show_cpu(*find_cpu_model("skylake-server")), "Branch Misses Retired"));
  EXPECT_FALSE(has(show_cpu(*find_cpu_model("skylake-server")), "Topdown Slots"));
}

TEST(CpuCommand, ShowSaysWhichBranchRecordsThereAre) {
  const auto records = [](const char* model) {
    for (const std::string& line : lines(show_cpu(*find_cpu_model(model)))) {
      if (has(line, "branch records")) return line.substr(line.find_last_of(' ', 18) + 1);
    }
    return std::string{};
  };
  EXPECT_EQ(records("haswell-server"), "16, format 4, call stack");
  EXPECT_EQ(records("skylake-server"), "32, format 5, call stack, transactions");
  EXPECT_EQ(records("icelake-server"), "32, format 5, call stack");
  EXPECT_EQ(records("sapphire-rapids"), "8, 16 or 32, architectural, call stack, transactions");
  EXPECT_EQ(records("zen4"), "none");
  // Depths of 8, 16 and 32, linear addresses; filters and call stack; flags, cycles and types.
  EXPECT_TRUE(has(show_cpu(*find_cpu_model("sapphire-rapids")),
                  "CPUID 0000001CH  EAX 8000000b  EBX 00000007  ECX 00000007  EDX 00000000"));
  EXPECT_FALSE(has(show_cpu(*find_cpu_model("skylake-server")), "0000001CH"));
}

TEST(CpuCommand, EventsHaveEveryRowWithItsCodeNoteAndSource) {
  for (const CpuModel* model : cpu_models()) {
    const std::string text = show_events(*model);
    expect_fits(text);
    for (const EventRow& event : model->events) {
      EXPECT_TRUE(has(text, event.name)) << event.name;
      EXPECT_TRUE(has(text, event.note)) << event.note;
      EXPECT_TRUE(has(text, event.source)) << event.source;
    }
  }
}

TEST(CpuCommand, EventsSayWhichCountersCountThem) {
  struct Case {
    const char* model;
    const char* start;
    const char* end;
  };
  const Case cases[] = {
      {"icelake-server", "INST_RETIRED.ANY ", " 0x00  0x01  fixed 0      instructions"},
      {"icelake-server", "INST_RETIRED.ANY_P ", " 0xc0  0x00  any, fixed 0 instructions"},
      {"icelake-server", "MEM_INST_RETIRED.ANY ", " 0xd0  0x83  0-3          memory-accesses"},
      {"skylake-server", "INST_RETIRED.PREC_DIST ", " 0xc0  0x01  1            instructions"},
      {"zen4", "LS_DISPATCH.LD_ST_DISPATCH ", " 0x29  0x04  any          read-modify-writes"},
      {"zen4", "DISPATCH_STALLS_1.BE_STALLS ", " 0x1a0 0x1e  any          backend-bound-slots"},
  };
  for (const Case& expected : cases) {
    bool found = false;
    for (const std::string& line : lines(show_events(*find_cpu_model(expected.model)))) {
      if (line.find(expected.start) != 0) continue;
      found = true;
      EXPECT_TRUE(line.ends_with(expected.end)) << line;
    }
    EXPECT_TRUE(found) << expected.start;
  }
}

TEST(CpuCommand, ShowsWhatAnAarch64ModelHas) {
  for (const auto* model : silicon::arm64::cpu_models()) {
    const std::string text = show_cpu(*model);
    expect_fits(text);
    EXPECT_TRUE(has(text, std::string{model->name} + "\n"));
    EXPECT_TRUE(has(text, std::to_string(model->events.size()) + ", see"));
  }
  const std::string n1 = show_cpu(*silicon::arm64::find_cpu_model("neoverse-n1"));
  EXPECT_TRUE(has(n1, "Arm, part 0xd0c, revision r3p1, MIDR_EL1 0x413fd0c1\n"));
  EXPECT_TRUE(has(n1, "3.00 GHz, generic counter 25 MHz\n"));
  EXPECT_TRUE(has(n1, "PMUv3.1, ID_AA64DFR0_EL1.PMUVer 4\n"));
  EXPECT_TRUE(has(n1, "PMCEID0_EL0 of guests with it has 0xf00000000, too\n"));
  EXPECT_TRUE(has(n1, "6 of 32 bits (pairs of 64 by CHAIN), and the cycle counter of 64\n"));
  EXPECT_TRUE(
      has(n1, "SPEv1, ID_AA64DFR0_EL1.PMSVer 1, records of up to 64 bytes, counters of 12"));
  EXPECT_TRUE(
      has(show_cpu(*silicon::arm64::find_cpu_model("cortex-a72")), "SPE              none\n"));
  const std::string wide = show_cpu(*silicon::arm64::find_cpu_model("armv8.5"));
  EXPECT_TRUE(has(wide, "none, part 0x850, revision r0p0, MIDR_EL1 0x000f8500\n"));
  EXPECT_TRUE(has(wide, "PMUv3.5, ID_AA64DFR0_EL1.PMUVer 6\n"));
  EXPECT_TRUE(has(wide, "SPEv1p2, ID_AA64DFR0_EL1.PMSVer 3, "));
  EXPECT_TRUE(has(wide, "8 of 64 bits, and the cycle counter of 64\n"));
}

TEST(CpuCommand, EventsOfAnAarch64ModelHaveEveryRow) {
  for (const auto* model : silicon::arm64::cpu_models()) {
    const std::string text = show_events(*model);
    expect_fits(text);
    for (const auto& event : model->events) {
      EXPECT_TRUE(has(text, event.name)) << event.name;
      EXPECT_TRUE(has(text, event.note)) << event.note;
      EXPECT_TRUE(has(text, event.source)) << event.source;
    }
  }
  EXPECT_TRUE(has(show_events(*silicon::arm64::find_cpu_model("neoverse-n1")),
                  "INST_RETIRED                               0x0008 instructions\n"));
}

TEST(CpuCommand, UnknownModelIsAnErrorThatListsTheKnown) {
  const auto model = cpu_model("pentium-pro");
  ASSERT_FALSE(model.has_value());
  EXPECT_TRUE(has(model.error().message, "'pentium-pro'"));
  for (const CpuModel* known : cpu_models())
    EXPECT_TRUE(has(model.error().message, std::string{known->name}));
}

TEST(CpuCommand, NameOfNoModelListsThoseOfBothArchitectures) {
  EXPECT_EQ(
      no_cpu_model("z80").message,
      "CPU model 'z80' is not known; give one of: haswell-server, icelake-server, "
      "sapphire-rapids, skylake-server, zen2, zen4, armv8.5, cortex-a72, neoverse-n1, neoverse-v1");
}

}  // namespace
}  // namespace vpmu::cli
