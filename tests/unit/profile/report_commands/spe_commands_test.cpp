// SPDX-License-Identifier: MIT
//
// `vpmu report --spe` and `vpmu export` of traces of SPE as their users meet them, on dumps that
// the test writes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "profile/spe/dump.hpp"
#include "unit/cli/command_fixture.hpp"
#include "vpmu/silicon/arm64/spe_record.hpp"

namespace vpmu::test {
namespace {

using namespace silicon::arm64;
namespace spe = profile::spe;
using Class = SpeOperationType::Class;

class SpeCommandsTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    symbols = quoted(write_text("symbols", "1000 100 outer\n1100 100 inner\n1200 100 idle\n"));
  }
  static std::string quoted(const std::string& path) { return fmt::format("'{}'", path); }

  static SpeOperation load(std::uint64_t pc, std::uint32_t latency, SpeDataSource source,
                           std::uint64_t events = kSpeRetired | kSpeL1dAccess) {
    SpeOperation operation;
    operation.pc = {pc, 1};
    operation.type = {Class::kLoadStore, 0};
    operation.events = events;
    operation.loads = operation.has_address = true;
    operation.virtual_address = 0xffff'0000'0000'2000;
    operation.physical_address = 0x8000'2000;
    operation.source = source;
    operation.total_latency = latency;
    return operation;
  }
  static SpeOperation other(std::uint64_t pc, Class of, std::uint8_t payload,
                            std::uint64_t events = kSpeRetired) {
    SpeOperation operation;
    operation.pc = {pc, 0};
    operation.type = {of, payload};
    operation.events = events;
    operation.has_address = of == Class::kLoadStore;
    return operation;
  }
  static std::string trace_of(const std::vector<SpeOperation>& operations, std::uint64_t first) {
    std::string trace;
    for (std::uint64_t n = 0; n < operations.size(); ++n) {
      const auto record = encode(operations[n], {.physical_address = true,
                                                 .data_source = true,
                                                 .timestamp = first + n * 100,
                                                 .align = 6});
      trace.append(record.bytes().begin(), record.bytes().end());
    }
    return trace;
  }
  static std::string section(std::uint32_t vcpu, const std::string& trace,
                             std::uint32_t flags = 0) {
    return spe::dump_section(vcpu, flags,
                             {reinterpret_cast<const std::uint8_t*>(trace.data()), trace.size()});
  }
  static std::string header(const std::string& image = "") {
    return spe::dump_header({.vcpus = 2,
                             .midr = 0x413fd0c1,
                             .period = 1024,
                             .time = {.shift = 0, .multiplier = 20, .zero = 0},
                             .cpu_model = "neoverse-n1",
                             .image = image});
  }
  /// Four loads, a store, two branches and something else, of two vCPUs; its path, quoted.
  std::string simple() {
    const std::string first =
        trace_of({load(0x1010, 300, SpeDataSource::kDram,
                       kSpeRetired | kSpeL1dAccess | kSpeL1dRefill | kSpeLlcMiss | kSpeTlbWalk),
                  load(0x1014, 100, SpeDataSource::kL1d), load(0x1110, 50, SpeDataSource::kL1d),
                  other(0x1010, Class::kLoadStore, 1)},
                 1000);
    const std::string second =
        trace_of({load(0x1110, 50, SpeDataSource::kL2),
                  other(0x1210, Class::kBranch, 1, kSpeRetired | kSpeMispredicted),
                  other(0x1210, Class::kBranch, 1), other(0x1210, Class::kOther, 0)},
                 1050);
    return quoted(write_text("trace.spe",
                             header() + section(0, first) + section(1, second) + spe::dump_end()));
  }

  std::string symbols;
};

TEST_F(SpeCommandsTest, ReportShowsWhereLoadsWait) {
  const Result result = vpmu(fmt::format("report --spe {} --symbols {}", simple(), symbols));
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_EQ(result.errors, "");
  const char* const kLines[] = {"CPU       neoverse-n1\n",
                                "records   8 from 2 units\n"
                                "          4 loads, 1 store, 2 branches, 1 other\n"
                                "          1 mispredicted (50.0% of branches)\n"
                                "duration  0.000007 s from the first record to the last\n",
                                "% loads     loads      mean  data from\n"
                                " 50.00%         2      75.0  L1\n"
                                " 25.00%         1      50.0  L2\n"
                                " 25.00%         1     300.0  DRAM\n",
                                " % wait    loads    mean  most  L1D%  LLC%  TLB%  symbol\n"
                                " 80.00%        2   200.0   300  50.0  50.0  50.0  [k] outer\n"
                                " 20.00%        2    50.0    50   0.0   0.0   0.0  [k] inner\n"};
  for (const char* line : kLines) {
    EXPECT_NE(result.output.find(line), std::string::npos) << line << "\n" << result.output;
  }
}

TEST_F(SpeCommandsTest, WideReportsSayWhereDataComesFrom) {
  const Result result =
      vpmu(fmt::format("report --spe {} --symbols {} --width 120", simple(), symbols));
  EXPECT_NE(result.output.find("50.0  L1 50% "), std::string::npos) << result.output;
}

TEST_F(SpeCommandsTest, NoLineIsLongerThanTheTerminal) {
  write_text("long", "1000 100 " + std::string(300, 'a') + "\n1100 100 " + std::string(90, 'b') +
                         "(int)\n");
  for (const int width : {60, 80, 100, 133}) {
    const Result result =
        vpmu(fmt::format("report --spe {} --symbols {} --width {} --sort "
                         "symbol,line,image",
                         simple(), quoted(path("long")), width));
    EXPECT_EQ(result.status, 0) << result.errors;
    std::istringstream lines{result.output};
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("file ")) continue;
      EXPECT_LE(line.size(), static_cast<std::size_t>(width)) << line;
    }
  }
}

TEST_F(SpeCommandsTest, JsonHasAllThatThereIs) {
  const Result result = vpmu(fmt::format("report --spe {} --symbols {} --json", simple(), symbols));
  EXPECT_EQ(result.status, 0) << result.errors;
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["vpmu_spe_report"], 1);
  EXPECT_EQ(json["cpu"], "neoverse-n1");
  EXPECT_EQ(json["period"], 1024);
  EXPECT_EQ(json["records"], 8);
  EXPECT_EQ(json["branches"], 2);
  EXPECT_EQ(json["mispredicted_branches"], 1);
  EXPECT_EQ(json["all"]["loads"], 4);
  EXPECT_EQ(json["all"]["latency"], 500);
  EXPECT_EQ(json["first_time_ns"], 20'000);
  EXPECT_EQ(json["last_time_ns"], 27'000);
  ASSERT_EQ(json["rows"].size(), 2u);
  const auto& row = json["rows"][0];
  EXPECT_EQ(row["symbol"], "outer");
  EXPECT_EQ(row["kind"], "k");
  EXPECT_EQ(row["percent"], 80.0);
  EXPECT_EQ(row["longest"], 300);
  EXPECT_EQ(row["l1d_refills"], 1);
  EXPECT_EQ(row["llc_misses"], 1);
  EXPECT_EQ(row["tlb_walks"], 1);
  EXPECT_EQ(row["sources"]["DRAM"]["latency"], 300);
  EXPECT_EQ(json["complete"], true);
}

TEST_F(SpeCommandsTest, LimitsHideRows) {
  const Result result =
      vpmu(fmt::format("report --spe {} --symbols {} --percent-limit 30", simple(), symbols));
  EXPECT_EQ(result.output.find("inner"), std::string::npos);
  EXPECT_NE(result.output.find("1 more rows (--limit, --percent-limit)"), std::string::npos)
      << result.output;
}

TEST_F(SpeCommandsTest, WithoutSymbolsItIsSaidHowToGetThem) {
  const Result result = vpmu("report --spe " + simple());
  EXPECT_EQ(result.status, 0);
  EXPECT_NE(result.output.find("[k] 0x1010"), std::string::npos) << result.output;
  EXPECT_NE(result.errors.find("4 of 4 loads are where no symbol is known; --image"),
            std::string::npos)
      << result.errors;
}

TEST_F(SpeCommandsTest, ScriptIsALineForEachRecordByTime) {
  const Result result =
      vpmu(fmt::format("export --format script {} --symbols {}", simple(), symbols));
  EXPECT_EQ(result.status, 0) << result.errors;
  std::istringstream lines{result.output};
  std::vector<std::string> all;
  for (std::string line; std::getline(lines, line);) all.push_back(line);
  ASSERT_EQ(all.size(), 8u);
  EXPECT_EQ(all[0],
            "       CPU 0/KVM     2 [000]     0.000020000:   300 LD GP-REG                "
            "ffff000000002000     80002000 DRAM          "
            "RETIRED,L1D-ACCESS,L1D-REFILL,TLB-REFILL,LLC-REFILL             1010 outer+0x10 "
            "([unknown])");
  EXPECT_NE(all[1].find("CPU 1/KVM     3 [001]     0.000021000:"), std::string::npos) << all[1];
  EXPECT_NE(all[3].find("B COND "), std::string::npos) << all[3];
}

TEST_F(SpeCommandsTest, PacketsAreALineEach) {
  const Result result = vpmu("export --format packets " + simple());
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_TRUE(result.output.starts_with("CPU 0\n00000000:  98 2c 01")) << result.output;
  EXPECT_NE(result.output.find(" LAT 300 TOT\n"), std::string::npos);
  EXPECT_NE(result.output.find("\nCPU 1\n00000000:"), std::string::npos);
}

TEST_F(SpeCommandsTest, PerfDataReadsAsTheDumpDoes) {
  const std::string dump = simple();
  const Result exported =
      vpmu(fmt::format("export --format perf.data {} -o {}", dump, quoted(path("perf.data"))));
  EXPECT_EQ(exported.status, 0) << exported.errors;
  EXPECT_NE(exported.errors.find("8 records in"), std::string::npos);
  const std::string script = fmt::format("export --format script --symbols {} ", symbols);
  EXPECT_EQ(vpmu(script + quoted(path("perf.data"))).output, vpmu(script + dump).output);
  const Result again = vpmu(fmt::format("export --format perf.data {} -o {}",
                                        quoted(path("perf.data")), quoted(path("again"))));
  EXPECT_EQ(again.status, 2);
  EXPECT_NE(again.errors.find("it is a perf.data already"), std::string::npos) << again.errors;
}

TEST_F(SpeCommandsTest, WhatIsWrongIsSaidInOneLine) {
  const std::string dump = simple();
  const std::string bytes = content(path("trace.spe"));
  struct Wrong {
    std::string arguments;
    std::string message;
  };
  const Wrong kWrong[] = {
      {"report " + dump, "a trace of SPE; give --spe"},
      {"report --spe --callers " + dump, "--callers: not with --spe"},
      {"report --spe -e cycles " + dump, "-e: not with --spe"},
      {"report --spe --sort vcpu " + dump, "--sort vcpu: loads of SPE are by symbol"},
      {"report --spe " + quoted(path("no")), "No such file"},
      {"export --format perf.data " + dump, "give -o FILE"},
      {fmt::format("export --format perf.data {0} -o {0}", dump), "would be overwritten"},
      {"report --spe " + quoted(write_text("short", bytes.substr(0, 40))),
       "at byte 40: a header that is cut short"},
      {"report --spe " + quoted(write_text("version", bytes.substr(0, 8) + "\7" + bytes.substr(9))),
       "at byte 8: version 7"},
      {"report --spe " + quoted(write_text("text", "something else entirely, of 104 bytes or so")),
       "profile '"},
  };
  for (const Wrong& wrong : kWrong) {
    const Result result = vpmu(wrong.arguments);
    EXPECT_EQ(result.status, 2) << wrong.arguments;
    EXPECT_NE(result.errors.find(wrong.message), std::string::npos) << result.errors;
    EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;
  }
}

TEST_F(SpeCommandsTest, WhatWasCutShortIsReadAndSaid) {
  const std::string dump = simple();
  const std::string bytes = content(path("trace.spe"));
  // In the second vCPU's first record.
  const std::string cut = quoted(write_text("cut", bytes.substr(0, bytes.size() - 16 - 256 + 20)));
  const Result result = vpmu(fmt::format("report --spe {} --symbols {}", cut, symbols));
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_NE(result.output.find("records   4 from 2 units"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("A stream ends within a record."), std::string::npos);
  EXPECT_NE(result.output.find("The recording was cut short"), std::string::npos);
  const Result exported =
      vpmu(fmt::format("export --format perf.data {} -o {}", cut, quoted(path("cut.data"))));
  EXPECT_EQ(exported.status, 0) << exported.errors;
  EXPECT_NE(exported.errors.find("4 records in"), std::string::npos) << exported.errors;
  EXPECT_NE(exported.errors.find("20 bytes of records that never end are left out"),
            std::string::npos)
      << exported.errors;
}

TEST_F(SpeCommandsTest, PerfDataThatWasCutShortIsKnownForWhatItIs) {
  const std::string exported =
      fmt::format("export --format perf.data {} -o {}", simple(), quoted(path("whole.data")));
  ASSERT_EQ(vpmu(exported).status, 0);
  const std::string bytes = content(path("whole.data"));
  // The names of its events are behind its records.
  const std::string cut = quoted(write_text("cut.data", bytes.substr(0, bytes.size() - 100)));
  const std::string symbols_of = " --symbols " + symbols + " ";
  const Result script = vpmu("export --format script" + symbols_of + cut);
  EXPECT_EQ(script.status, 0) << script.errors;
  EXPECT_EQ(std::count(script.output.begin(), script.output.end(), '\n'), 8) << script.output;
  EXPECT_NE(script.errors.find("the recording was cut short"), std::string::npos) << script.errors;
  EXPECT_EQ(vpmu("report --spe" + symbols_of + cut).status, 0);
  const Result other = vpmu("report " + cut);
  EXPECT_EQ(other.status, 2);
  EXPECT_NE(other.errors.find("a trace of SPE; give --spe"), std::string::npos) << other.errors;
}

TEST_F(SpeCommandsTest, NoViewOfAnythingMakesAFileThatIsNotWhole) {
  const std::string dump = simple(), whole = content(path("trace.spe"));
  for (const char* format : {"script", "packets", "perf.data"}) {
    const std::string to = fmt::format("export --format {} -o ", format);
    for (const std::string& bytes : {std::string{}, whole.substr(0, 10), std::string(5000, '\xff'),
                                     whole.substr(0, 8) + std::string(64, '\xff')}) {
      const std::string bad = quoted(write_text("bad", bytes));
      expect_bad_input(to + quoted(path("made")) + " " + bad, "vpmu: ");
      EXPECT_FALSE(std::filesystem::exists(path("made"))) << format;
    }
    expect_bad_input(to + quoted(path("made")) + " " + quoted(path("missing")), "No such file");
    expect_bad_input(to + quoted(path("no/made")) + " " + dump, "No such file");
    expect_bad_input(to + "/dev/full " + dump, "'/dev/full': ");
    EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
  }
}

TEST_F(SpeCommandsTest, AnImageThatIsNotThereIsWorthARemark) {
  const std::string dump = quoted(
      write_text("gone.spe", header(path("gone.elf")) +
                                 section(0, trace_of({load(0x1010, 3, SpeDataSource::kL1d)}, 5)) +
                                 spe::dump_end()));
  const Result result = vpmu("report --spe " + dump);
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_NE(result.output.find("guest     gone.elf\n"), std::string::npos) << result.output;
  EXPECT_NE(result.errors.find("vpmu: the guest's image: "), std::string::npos) << result.errors;
}

TEST_F(SpeCommandsTest, ATraceWithoutLoadsSaysSo) {
  const std::string dump = quoted(write_text("empty.spe", header() + spe::dump_end()));
  const Result result = vpmu("report --spe " + dump);
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_NE(result.output.find("There are no loads in it."), std::string::npos) << result.output;
}

}  // namespace
}  // namespace vpmu::test
