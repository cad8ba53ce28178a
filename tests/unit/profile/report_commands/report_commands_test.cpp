// SPDX-License-Identifier: MIT
//
// `vpmu report`, `vpmu flamegraph` and `vpmu export` as their users meet them, on recordings that
// the test writes.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "profile/perf_data/writer.hpp"
#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

using namespace profile::perf_data;
using Stack = std::vector<std::uint64_t>;

class ReportCommandsTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    symbols = quoted(write_text("symbols", "1000 100 outer\n1100 100 inner\n1200 100 idle\n"));
  }
  static std::string quoted(const std::string& path) { return fmt::format("'{}'", path); }

  /// Samples of event 0, 1,000 counts and a microsecond each; its path, quoted.
  std::string recording(const std::vector<Stack>& stacks, const std::string& name = "perf.data",
                        std::vector<std::string> events = {"cycles"}) {
    WriterConfig config;
    for (std::string& event : events) {
      config.events.push_back({std::move(event), {}, true, false});
    }
    config.guest = "demo";
    auto writer = Writer::create(path(name), config);
    EXPECT_TRUE(writer);
    std::uint64_t time = 0;
    for (const Stack& stack : stacks) {
      hostperf::Sample sample;
      sample.vcpu = 0;
      sample.host_cpu = hostperf::HostCpu{0};
      sample.mode = hostperf::SampledMode::kGuestKernel;
      sample.ip = stack[0];
      sample.callchain = stack;
      sample.period = 1'000;
      sample.time_ns = time += 1'000;
      (*writer)->on_sample(sample);
    }
    EXPECT_TRUE((*writer)->finish());
    return quoted(path(name));
  }
  std::string simple() {
    return recording({{0x1110, 0x1010}, {0x1110, 0x1010}, {0x1110, 0x1010}, {0x1210}});
  }
  std::set<std::string> files() {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{folder}) {
      names.insert(entry.path().filename());
    }
    return names;
  }

  std::string symbols;
};

TEST_F(ReportCommandsTest, ReportIsATable) {
  const Result result = vpmu(fmt::format("report {} --symbols {}", simple(), symbols));
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_EQ(result.errors, "");
  EXPECT_NE(result.output.find("guest     demo\n"
                               "samples   4, 0 lost\n"
                               "duration  0.000003 s from the first sample to the last\n"
                               "\n"
                               "event     cycles\n"
                               "          4 samples, count 4,000\n"),
            std::string::npos)
      << result.output;
  EXPECT_NE(result.output.find(" 75.00%       3    3000   75.00%       3    3000  [k] inner\n"
                               " 25.00%       1    1000   25.00%       1    1000  [k] idle\n"
                               "  0.00%       0       0   75.00%       3    3000  [k] outer\n"),
            std::string::npos)
      << result.output;
}

TEST_F(ReportCommandsTest, ReportAsJsonHasAllRows) {
  const Result result =
      vpmu(fmt::format("report {} --symbols {} --json --callers", simple(), symbols));
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["vpmu_report"], 1);
  EXPECT_EQ(json["events"][0]["rows"].size(), 3u);
  EXPECT_EQ(json["events"][0]["rows"][0]["callers"][0]["symbol"], "outer");
}

TEST_F(ReportCommandsTest, PerfDataIsTheFileIfNoneIsNamed) {
  recording({{0x1110}});
  const std::string line =
      fmt::format("cd '{}' && '" VPMU_COMMAND "' report > out 2>&1", folder.string());
  EXPECT_EQ(std::system(line.c_str()), 0);
  EXPECT_NE(content(path("out")).find("file      perf.data\n"), std::string::npos);
}

TEST_F(ReportCommandsTest, WithoutSymbolsItIsSaidHowToGetThem) {
  const Result result = vpmu("report " + simple());
  EXPECT_EQ(result.status, 0);
  EXPECT_NE(result.output.find("[k] 0x1110"), std::string::npos) << result.output;
  EXPECT_NE(result.errors.find("4 of 4 samples are where no symbol is known; --image, "
                               "--guest-kallsyms or --symbols names a file with symbols\n"),
            std::string::npos)
      << result.errors;
}

TEST_F(ReportCommandsTest, AnEmptyRecordingIsSaidToBeOne) {
  const Result result = vpmu("report " + recording({}));
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_NE(result.output.find("There are no samples in it.\n"), std::string::npos)
      << result.output;
}

TEST_F(ReportCommandsTest, EventsAreChosenByName) {
  const std::string file = recording({{0x1110}}, "two", {"cycles:p", "branches"});
  EXPECT_NE(vpmu(fmt::format("report {} -e cycles", file)).output.find("event     cycles:p\n"),
            std::string::npos);
  EXPECT_EQ(vpmu(fmt::format("report {} -e branches", file)).output.find("cycles:p"),
            std::string::npos);
  expect_bad_input(fmt::format("report {} -e misses", file), "give one of 'cycles:p', 'branches'");
}

TEST_F(ReportCommandsTest, ACutRecordingIsReadAndSaidToBeCut) {
  const std::string file = simple();
  const auto size = std::filesystem::file_size(path("perf.data"));
  std::filesystem::resize_file(path("perf.data"), size - 20);
  const Result result = vpmu(fmt::format("report {} --symbols {}", file, symbols));
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_NE(result.errors.find("the recording was cut short"), std::string::npos) << result.errors;
  EXPECT_NE(result.output.find("cut short"), std::string::npos);
}

TEST_F(ReportCommandsTest, BadInputIsRefusedInOneLine) {
  const std::string file = simple();
  for (const char* command : {"report", "flamegraph -o -", "export --format folded",
                              "export --format pprof", "export --format script"}) {
    expect_bad_input(fmt::format("{} '{}'", command, path("missing")), "missing");
    expect_bad_input(fmt::format("{} '{}'", command, write_text("text", "no recording")), "text");
    expect_bad_input(fmt::format("{} '{}'", command, write_text("empty", "")), "empty");
    expect_bad_input(fmt::format("{} {} --symbols '{}'", command, file, path("nothing")),
                     "nothing");
  }
  expect_bad_input(fmt::format("report {} --sort colour", file), "'colour' is no key");
  expect_bad_input(fmt::format("report {} --percent-limit 101", file), "--percent-limit");
  expect_bad_input(fmt::format("export {}", file), "--format");
  expect_bad_input(fmt::format("export {} --format png", file), "--format");
  expect_bad_input(fmt::format("flamegraph {} --width 3", file), "--width");
  expect_bad_input(fmt::format("flamegraph {} -o '{}/no/such'", file, folder.string()), "no/such");
}

TEST_F(ReportCommandsTest, AFlameGraphIsAFileThatIsThereOrNot) {
  const std::string file = simple();
  const Result result =
      vpmu(fmt::format("flamegraph {} --symbols {} -o '{}'", file, symbols, path("f.svg")));
  EXPECT_EQ(result.status, 0) << result.errors;
  const std::string svg = content(path("f.svg"));
  EXPECT_TRUE(svg.starts_with("<?xml"));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_NE(svg.find("<title>inner (kernel)\n75.00%, 3 samples"), std::string::npos);
  const auto before = files();
  expect_bad_input(fmt::format("flamegraph '{}' -o '{}'", path("missing"), path("g.svg")),
                   "missing");
  EXPECT_EQ(files(), before) << "nothing is left of what failed";
}

TEST_F(ReportCommandsTest, StandardOutputIsAFile) {
  const std::string file = simple();
  vpmu(fmt::format("flamegraph {} --symbols {} -o '{}'", file, symbols, path("f.svg")));
  const std::string svg = content(path("f.svg"));
  EXPECT_EQ(vpmu(fmt::format("flamegraph {} --symbols {} -o -", file, symbols)).output, svg);
}

TEST_F(ReportCommandsTest, ExportsFoldedStacks) {
  const Result result =
      vpmu(fmt::format("export {} --symbols {} --format folded", simple(), symbols));
  EXPECT_EQ(result.output, "vm:demo;idle_[k] 1\nvm:demo;outer_[k];inner_[k] 3\n");
}

TEST_F(ReportCommandsTest, ExportsTextAsPerfScriptPrintsIt) {
  const Result result = vpmu(fmt::format("export {} --symbols {} --format script",
                                         recording({{0x1110, 0x1011}}), symbols));
  EXPECT_NE(result.output.find("0.000001:       1000 cycles: \n"
                               "\t            1110 inner+0x10 ("),
            std::string::npos)
      << result.output;
}

TEST_F(ReportCommandsTest, ExportsWhatIsCompressedAndJson) {
  const std::string file = simple();
  const Result pprof = vpmu(fmt::format("export {} --symbols {} --format pprof", file, symbols));
  EXPECT_TRUE(pprof.output.starts_with("\x1f\x8b")) << pprof.errors;
  const Result speedscope =
      vpmu(fmt::format("export {} --symbols {} --format speedscope", file, symbols));
  EXPECT_EQ(nlohmann::json::parse(speedscope.output)["profiles"].size(), 1u);
}

TEST_F(ReportCommandsTest, TheSameRecordingGivesTheSameBytes) {
  const std::string file = simple();
  for (const char* command :
       {"report --json", "report --callers", "flamegraph -o -", "export --format folded",
        "export --format pprof", "export --format speedscope", "export --format script"}) {
    const std::string line = fmt::format("{} {} --symbols {}", command, file, symbols);
    EXPECT_EQ(vpmu(line).output, vpmu(line).output) << command;
  }
}

TEST_F(ReportCommandsTest, HostileNamesDoNoHarm) {
  const std::string nasty = quoted(write_text("nasty",
                                              "1000 100 \x1b[2J<script>alert(1)</script>]]>\n"
                                              "1100 100 a;b \"c\" \xff\xfe\n1200 100 x\n"));
  const std::string file = simple();
  for (const char* command : {"report", "flamegraph -o -", "export --format folded",
                              "export --format speedscope", "export --format script"}) {
    const Result result = vpmu(fmt::format("{} {} --symbols {}", command, file, nasty));
    EXPECT_EQ(result.status, 0) << command << result.errors;
    EXPECT_EQ(result.output.find('\x1b'), std::string::npos) << command;
    EXPECT_EQ(result.output.find('\xff'), std::string::npos) << command;
  }
  EXPECT_EQ(vpmu(fmt::format("flamegraph {} --symbols {} -o -", file, nasty))
                .output.find("<script>alert"),
            std::string::npos);
}

TEST_F(ReportCommandsTest, HelpSaysWhatThereIs) {
  for (const char* command : {"report", "flamegraph", "export"}) {
    const Result result = vpmu(fmt::format("{} --help", command));
    EXPECT_EQ(result.status, 0);
    EXPECT_NE(result.output.find("--guest-kallsyms"), std::string::npos);
  }
}

}  // namespace
}  // namespace vpmu::test
