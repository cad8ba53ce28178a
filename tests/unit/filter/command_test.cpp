// SPDX-License-Identifier: MIT
//
// `vpmu filter` as its users meet it, with what they may pass by mistake or on purpose.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "policy/filter_file.hpp"
#include "unit/cli/command_fixture.hpp"
#include "unit/filter/images.hpp"

namespace vpmu::test {
namespace {

constexpr const char* kPolicy =
    "cpu = \"icelake-server\"\ndefault = \"deny\"\nallow = [\"MEM_INST_RETIRED.*\"]\n"
    "deny = [\"MEM_INST_RETIRED.LOCK_LOADS\"]\n";

class FilterCommandTest : public CommandTest {
 protected:
  /// Quoted.
  std::string policy(const std::string& text = kPolicy) {
    return fmt::format("'{}'", write_text("policy.toml", text));
  }
  std::string image(const FilterImage& image, const std::string& name = "f.bin") {
    return fmt::format("'{}'",
                       write_text(name, format_filter(image, policy::FilterFormat::kImage, "")));
  }
  std::string quoted(const std::string& name) { return fmt::format("'{}'", path(name)); }

  /// The exit status of a line that says itself where its input and output are.
  int shell(const std::string& line) {
    const int status = std::system(fmt::format("({}) >> {} 2>&1", line, quoted("out")).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  /// Nothing but what the test put there.
  std::set<std::string> files() {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{folder}) {
      names.insert(entry.path().filename());
    }
    names.erase("out");
    names.erase("err");
    return names;
  }
};

FilterImage simple() {
  return masked_image(FilterAction::kAllow, {{0xc0, 0xff, 0, false}}, 1);
}

// ---- build --------------------------------------------------------------------------------------

TEST_F(FilterCommandTest, BuiltFilterIsValidAndSaysWhatThePolicySays) {
  const std::string source = policy();
  const Result built = vpmu("filter build " + source + " -o " + quoted("f.bin"));
  EXPECT_EQ(built.status, 0) << built.errors;
  EXPECT_NE(built.output.find("of 300, proven to be the fewest"), std::string::npos)
      << built.output;
  EXPECT_EQ(vpmu("filter check " + quoted("f.bin") + " --cpu icelake-server").status, 0);
  EXPECT_EQ(vpmu("filter diff " + source + " " + quoted("f.bin")).status, 0);
}

TEST_F(FilterCommandTest, NothingInABuiltFilterIsInVain) {
  for (const auto& example : std::filesystem::directory_iterator{VPMU_EXAMPLES "/policies"}) {
    ASSERT_EQ(
        vpmu(fmt::format("filter build '{}' -o {}", example.path().string(), quoted("f"))).status,
        0)
        << example.path();
    for (const std::string& file : {quoted("f"), fmt::format("'{}'", example.path().string())}) {
      const Result checked = vpmu("filter check " + file);
      EXPECT_EQ(checked.status, 0);
      EXPECT_EQ(checked.output.find("warning"), std::string::npos) << checked.output;
    }
  }
}

TEST_F(FilterCommandTest, EveryFormatThatCanBeReadIsTheSameFilter) {
  const std::string source = policy();
  for (const std::string format : {"bin", "hex", "json"}) {
    const std::string file = quoted(fmt::format("f.{}", format));
    ASSERT_EQ(vpmu("filter build " + source + " -o " + file + " --format " + format).status, 0);
    EXPECT_EQ(vpmu("filter diff " + source + " " + file).status, 0) << format;
    EXPECT_EQ(vpmu("filter build " + source + " -o - --format " + format).output,
              content(path(fmt::format("f.{}", format))));
  }
}

TEST_F(FilterCommandTest, ToStandardOutputGoesTheFilterAndNothingElse) {
  const Result result = vpmu("filter build " + policy() + " -o - --format hex");
  EXPECT_EQ(result.output.find_first_not_of("0123456789abcdef\n"), std::string::npos);
  EXPECT_NE(result.errors.find("standard output: "), std::string::npos);
}

TEST_F(FilterCommandTest, FilterThatCannotBeWrittenIsAnErrorAndLeavesWhatWasThere) {
  const std::string build = "filter build " + policy() + " -o ";
  expect_bad_input(build + "/dev/full", "/dev/full");
  expect_bad_input(build + quoted("no/such/folder"), "no/such/folder");
  EXPECT_EQ(shell(fmt::format("'{}' {}- > /dev/full", VPMU_COMMAND, build)), 2);
  if (geteuid() != 0) {
    std::filesystem::create_directory(path("closed"));
    chmod(path("closed").c_str(), 0500);
    expect_bad_input(build + quoted("closed/f.bin"), "Permission denied");
    chmod(path("closed").c_str(), 0700);
  }
  EXPECT_FALSE(files().contains("f.bin"));
}

TEST_F(FilterCommandTest, BadPolicyLeavesTheOlderFilterAsItWas) {
  write_text("f.bin", "as it was");
  const std::string build = "filter build " + policy("cpu = \"icelake-server\"\ndefualt = 1\n");
  expect_bad_input(build + " -o " + quoted("f.bin"), "policy.toml:2:");
  EXPECT_EQ(content(path("f.bin")), "as it was");
  EXPECT_EQ(files(), (std::set<std::string>{"f.bin", "policy.toml"}));
}

TEST_F(FilterCommandTest, CpuOfTheCommandLineMustBeThatOfThePolicy) {
  const std::string build = "filter build " + policy() + " -o " + quoted("f.bin") + " --cpu ";
  EXPECT_EQ(vpmu(build + "icx").status, 0) << "the same by libpfm4's name";
  expect_bad_input(build + "sapphire-rapids", "is for icelake-server, and --cpu says");
  expect_bad_input(build + "icelake-servre", "icelake-servre");
}

TEST_F(FilterCommandTest, BuildWantsAPolicyAndAFormat) {
  expect_bad_input("filter build " + image(simple()) + " -o -", "is a filter already");
  expect_bad_input("filter build " + policy() + " -o - --format elf", "--format");
  expect_bad_input("filter build " + policy(), "--output is required");
}

TEST_F(FilterCommandTest, ExampleLoadsTheBuiltFilterIntoKvm) {
  if (shell("gcc --version") != 0) GTEST_SKIP() << "there is no gcc here";
  ASSERT_EQ(vpmu("filter build " + policy() + " --format c -o " + quoted("filter.h")).status, 0);
  ASSERT_EQ(
      shell(fmt::format("gcc -Wall -Wextra -Werror -I '{}' '{}' -o {}", folder.string(),
                        VPMU_EXAMPLES "/load_event_filter/load_event_filter.c", quoted("load"))),
      0)
      << content(path("out"));
  const int status = shell(quoted("load"));
  if (status == 2) GTEST_SKIP() << "no kernel to load it into: " << content(path("out"));
  EXPECT_EQ(status, 0) << content(path("out"));
}

// ---- check --------------------------------------------------------------------------------------

TEST_F(FilterCommandTest, CheckEndsAsTheKernelWouldAnswer) {
  const FilterImage twelve_bits = masked_image(FilterAction::kAllow, {{0x1c2, 0xff, 0, false}});
  const std::string check = "filter check " + image(twelve_bits);
  EXPECT_EQ(vpmu(check).status, 0) << "AMD guests may have it";
  EXPECT_EQ(vpmu(check + " --vendor amd").status, 0);
  EXPECT_EQ(vpmu(check + " --cpu zen4").status, 0);
  const Result intel = vpmu(check + " --vendor intel");
  EXPECT_EQ(intel.status, 1);
  EXPECT_NE(intel.output.find("entry 0"), std::string::npos) << intel.output;
  EXPECT_NE(intel.output.find("EINVAL"), std::string::npos) << intel.output;
  EXPECT_EQ(vpmu(check + " --cpu icelake-server").status, 1);
  expect_bad_input(check + " --cpu zen4 --vendor intel", "contradicts");
  expect_bad_input(check + " --vendor arm", "--vendor");
}

TEST_F(FilterCommandTest, BrokenImagesAreRefusedWithTheErrno) {
  const auto check = [&](const std::string& bytes) {
    return vpmu(fmt::format("filter check '{}' --vendor intel", write_text("f.bin", bytes)));
  };
  const std::string good = format_filter(simple(), policy::FilterFormat::kImage, "");
  const auto expect = [&](const std::string& bytes, const char* part) {
    const Result result = check(bytes);
    EXPECT_EQ(result.status, 1) << part;
    EXPECT_NE(result.output.find(part), std::string::npos) << result.output;
  };
  expect(good.substr(0, 20), "EFAULT");
  expect(good.substr(0, good.size() - 1), "EFAULT");
  std::string bad = good;
  bad[0] = 2;
  expect(bad, "EINVAL");
  bad = good;
  bad[12] = 3;
  expect(bad, "EINVAL");
  bad = good;
  bad[5] = 2;
  expect(bad, "E2BIG");
  EXPECT_EQ(check(good + std::string(100, 'x')).status, 0) << "a warning";
}

TEST_F(FilterCommandTest, CheckAsJson) {
  const FilterImage dead =
      masked_image(FilterAction::kAllow, {{0xc0, 0xff, 0, false}, {0xc0, 0xff, 0, false}});
  const Result result = vpmu("filter check " + image(dead) + " --json");
  const auto json = nlohmann::json::parse(result.output, nullptr, false);
  ASSERT_FALSE(json.is_discarded()) << result.output;
  EXPECT_EQ(json["filter_check"], 1);
  EXPECT_EQ(json["valid"], true);
  EXPECT_EQ(json["answers"].size(), 2u);
  ASSERT_EQ(json["warnings"].size(), 1u);
  EXPECT_EQ(json["warnings"][0]["entry"], 1);
}

// ---- explain and diff ---------------------------------------------------------------------------

TEST_F(FilterCommandTest, ExplainNamesTheDecidingEntry) {
  const Result all = vpmu("filter explain " + policy() + " MEM_INST_RETIRED.ALL_LOADS r21d0");
  EXPECT_EQ(all.status, 0);
  EXPECT_NE(all.output.find("MEM_INST_RETIRED.ALL_LOADS               0xd0/0x81       allowed"),
            std::string::npos)
      << all.output;
  EXPECT_NE(all.output.find("MEM_INST_RETIRED.LOCK_LOADS              0xd0/0x21       denied"),
            std::string::npos)
      << all.output;
  expect_bad_input("filter explain " + policy() + " NO_SUCH_EVENT_AT_ALL", "NO_SUCH_EVENT_AT_ALL");
  expect_bad_input("filter explain " + image(simple()), "give --cpu");
}

TEST_F(FilterCommandTest, ExplanationOfEverythingFitsTheTerminal) {
  for (const char* cpu :
       {"haswell-server", "skylake-server", "icelake-server", "sapphire-rapids", "zen2", "zen4"}) {
    const Result all = vpmu("filter explain " + image(simple()) + " --cpu " + cpu);
    EXPECT_EQ(all.status, 0);
    std::istringstream lines{all.output};
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  }
}

TEST_F(FilterCommandTest, ExplainAsJson) {
  const Result all = vpmu("filter explain " + policy() + " --json r81d0 r21d0 r00c0");
  const auto json = nlohmann::json::parse(all.output, nullptr, false);
  ASSERT_FALSE(json.is_discarded()) << all.output;
  ASSERT_EQ(json["events"].size(), 3u);
  EXPECT_EQ(json["events"][0]["verdict"], "allowed");
  EXPECT_TRUE(json["events"][0].contains("entry"));
  EXPECT_EQ(json["events"][1]["verdict"], "denied");
  EXPECT_EQ(json["events"][2]["reason"], "not included");
  EXPECT_EQ(json["fixed_counters"][0]["verdict"], "denied");
}

TEST_F(FilterCommandTest, DiffEndsAsDiffDoes) {
  const std::string a = image(simple(), "a");
  const std::string b = image(masked_image(FilterAction::kAllow, {{0xc0, 0xff, 0, false}}, 3), "b");
  const Result same = vpmu("filter diff " + a + " " + a + " --cpu icelake-server");
  EXPECT_EQ(same.status, 0);
  EXPECT_EQ(same.output, "");
  const Result differ = vpmu("filter diff " + a + " " + b + " --cpu icelake-server");
  EXPECT_EQ(differ.status, 1);
  EXPECT_NE(differ.output.find("fixed counter 1"), std::string::npos) << differ.output;
  expect_bad_input("filter diff " + a + " " + b, "give --cpu");
  expect_bad_input("filter diff " + a + " " + quoted("missing") + " --cpu zen4", "missing");
  const Result as_json = vpmu("filter diff " + a + " " + b + " --cpu icelake-server --json");
  EXPECT_EQ(as_json.status, 1);
  const auto json = nlohmann::json::parse(as_json.output, nullptr, false);
  ASSERT_FALSE(json.is_discarded()) << as_json.output;
  EXPECT_EQ(json["same"], false);
  EXPECT_EQ(json["fixed_counters"][0]["counter"], 1);
}

TEST_F(FilterCommandTest, DiffOfPoliciesForTwoCpusAsksForOne) {
  const std::string a =
      fmt::format("'{}'", write_text("a", "cpu = \"zen4\"\ndefault = \"deny\"\n"));
  const std::string b =
      fmt::format("'{}'", write_text("b", "cpu = \"zen2\"\ndefault = \"deny\"\n"));
  expect_bad_input("filter diff " + a + " " + b, "give --cpu");
  EXPECT_EQ(vpmu("filter diff " + a + " " + b + " --cpu zen4").status, 0);
  expect_bad_input("filter diff " + a + " " + b + " --cpu icelake-server",
                   "is a policy for AMD guests");
}

// ---- any file -----------------------------------------------------------------------------------

TEST_F(FilterCommandTest, HostileFilesAreAnErrorOfOneLine) {
  write_text("empty", "");
  write_text("odd.hex", "001");
  write_text("text", "hello world\n");
  write_text("list.json",
             R"({"action": "allow", "flags": 1, "fixed_counter_bitmap": 0, "events": 1})");
  write_text("half.json", R"({"action": )");
  write_text("deep.json", std::string(500'000, '{'));
  write_text("bad.toml", "cpu = \n");
  write_text("no cpu.toml", "default = \"deny\"\n");
  write_text("event.toml", "cpu = \"zen4\"\ndefault = \"deny\"\nallow = [\"NO_SUCH_EVENT\"]\n");
  write_text("deep.toml", "a = " + std::string(100'000, '['));
  write_text("huge", std::string(2 << 20, '0'));
  write_text("line\nend", "x");
  std::filesystem::create_directory(path("folder"));
  for (const char* command :
       {"check ", "explain ", "diff /dev/null ", "test --kvm ", "build -o - "}) {
    for (const std::string& name : files()) {
      const Result result = vpmu("filter " + std::string{command} + quoted(name));
      EXPECT_EQ(result.status, 2) << command << name;
      EXPECT_EQ(result.output, "") << command << name;
      EXPECT_EQ(result.errors.substr(0, 6), "vpmu: ") << command << name;
      if (name != "line\nend") {
        EXPECT_EQ(result.errors.find('\n'), result.errors.size() - 1) << result.errors;
      }
    }
    expect_bad_input("filter " + std::string{command} + quoted("missing"),
                     std::string{command} == "diff /dev/null " ? "/dev/null" : "missing");
  }
}

TEST_F(FilterCommandTest, PipesAreFiles) {
  const std::string file = image(simple());
  EXPECT_EQ(shell(fmt::format("cat {} | '{}' filter check /dev/stdin", file, VPMU_COMMAND)), 0);
}

TEST_F(FilterCommandTest, TestWithoutKvmSaysHow) {
  expect_bad_input("filter test " + image(simple()), "--kvm is required");
}

TEST_F(FilterCommandTest, UsageErrorsReferToTheHelpOfTheSubcommand) {
  expect_bad_input("filter", "see `vpmu filter --help`");
  expect_bad_input("filter check", "see `vpmu filter check --help`");
  expect_bad_input("filter list-events", "see `vpmu filter list-events --help`");
  const Result help = vpmu("filter explain --help");
  EXPECT_EQ(help.status, 0);
  EXPECT_NE(help.output.find("EVENT"), std::string::npos);
}

}  // namespace
}  // namespace vpmu::test
