// SPDX-License-Identifier: MIT
//
// `vpmu record` as a process.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "profile/perf_data/reader.hpp"
#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

namespace perf_data = profile::perf_data;

/// What a file has in it.
struct Profile final : perf_data::RecordVisitor {
  struct Mapping {
    std::uint64_t start, length;
    std::string file;
  };
  struct Taken {
    perf_data::CpuMode mode;
    std::uint64_t ip, period;
    bool exact;
    std::size_t frames, branches;
  };
  std::vector<Mapping> mappings;
  std::vector<std::string> names;
  std::vector<Taken> samples;
  perf_data::FileInfo info;

  void on_comm(const perf_data::CommRecord& record) override { names.emplace_back(record.name); }
  void on_mapping(const perf_data::MappingRecord& record) override {
    mappings.push_back({record.start, record.length, std::string{record.file}});
  }
  void on_sample(const perf_data::SampleRecord& record) override {
    samples.push_back({record.task.mode, record.ip, record.period, record.exact,
                       record.callchain.size(), record.branches.size()});
  }
};

class RecordCommandTest : public CommandTest {
 protected:
  const std::string file = path("p.data");
  const std::string to_file = " -o '" + file + "' ";

  /// At 0x100000 a MOV, then 1000 times DEC and JNZ, then MOV and OUT; each takes a cycle or more.
  std::string looping() {
    return std::string{"'"} + guest(mov_ecx(1000) + Code{0xff, 0xc9, 0x75, 0xfc} + debug_exit(3)) +
           "' ";
  }
  std::string endless() { return std::string{"'"} + guest(forever()) + "' "; }

  static Profile read(const std::string& name) {
    Profile profile;
    auto reader = perf_data::Reader::open(name);
    EXPECT_TRUE(reader.has_value()) << reader.error().message;
    if (!reader) return profile;
    profile.info = (*reader)->info();
    const auto done = (*reader)->read(profile);
    EXPECT_TRUE(done.has_value()) << done.error().message;
    return profile;
  }
  /// Runs `vpmu ARGUMENTS` in a script, in the folder; its exit status.
  int shell(const std::string& arguments, const std::string& before = "true") {
    const std::string script = write_text(
        "script.sh", "cd '" + folder.string() + "' && " + before +
                         " && exec 2> err < /dev/null\n'" VPMU_COMMAND "' " + arguments + "\n");
    const int status = std::system(("bash '" + script + "'").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  /// Nothing may be in the folder but what the test wrote.
  [[nodiscard]] bool no_file() const { return !std::filesystem::exists(file); }
};

TEST_F(RecordCommandTest, TakesASampleEveryPeriodOnExactlyTheInstruction) {
  const Result result = vpmu("record " + looping() + "-e branches:p -c 7" + to_file);
  EXPECT_EQ(result.status, 7) << result.errors;
  EXPECT_EQ(result.output, "");
  EXPECT_NE(result.errors.find("p.data: 142 samples of branches:p, "), std::string::npos)
      << result.errors;  // 1000 / 7
  const Profile profile = read(file);
  ASSERT_EQ(profile.samples.size(), 142u);
  for (const auto& sample : profile.samples) {
    EXPECT_EQ(sample.ip, 0x100007u);  // the JNZ, behind a MOV of 5 bytes and a DEC of 2
    EXPECT_TRUE(sample.exact);
    EXPECT_EQ(sample.period, 7u);
    EXPECT_EQ(sample.mode, perf_data::CpuMode::kGuestKernel);
  }
}

TEST_F(RecordCommandTest, SaysHowItWasRecordedAndWhereTheCodeIs) {
  ASSERT_EQ(vpmu("record " + looping() + "-c 100 -e cycles,branches:u -g" + to_file).status, 7);
  const Profile profile = read(file);
  ASSERT_EQ(profile.info.events.size(), 2u);
  EXPECT_EQ(profile.info.events[0].name, "cycles");
  EXPECT_EQ(profile.info.events[1].name, "branches:u");
  EXPECT_EQ(profile.info.cpu_description, "icelake-server");
  const std::vector<std::string> words = {"vpmu",    "record", "--event",      "cycles,branches:u",
                                          "--count", "100",    "--call-graph", path("guest.elf")};
  EXPECT_EQ(profile.info.command_line, words);
  EXPECT_NE(std::ranges::find(profile.names, "guest.elf"), profile.names.end());
  const auto code = std::ranges::find(profile.mappings, path("guest.elf"), &Profile::Mapping::file);
  ASSERT_NE(code, profile.mappings.end());
  EXPECT_EQ(code->start, 0x100000u);
  EXPECT_EQ(code->length, 16u);  // 5 + 2 + 2 + 5 + 2
  ASSERT_FALSE(profile.samples.empty());
  EXPECT_GE(profile.samples[0].frames, 1u);
}

TEST_F(RecordCommandTest, BranchesComeWithSamples) {
  ASSERT_EQ(vpmu("record " + looping() + "-e branches -c 500 -b" + to_file).status, 7);
  const Profile profile = read(file);
  ASSERT_EQ(profile.samples.size(), 2u);
  EXPECT_EQ(profile.samples[0].branches, 32u);  // all that the CPU model keeps
}

TEST_F(RecordCommandTest, AProcessIsWhatOptimisersLookFor) {
  ASSERT_EQ(vpmu("record " + looping() + "-e branches -c 500 --layout process" + to_file).status,
            7);
  const Profile profile = read(file);
  ASSERT_EQ(profile.samples.size(), 2u);
  EXPECT_EQ(profile.samples[0].mode, perf_data::CpuMode::kUser);
}

TEST_F(RecordCommandTest, TheSameGuestGivesTheSameFileWhateverItsName) {
  ASSERT_EQ(vpmu("record " + looping() + "-e cycles,branches -F 1000000 -g -b" + to_file).status,
            7);
  ASSERT_EQ(vpmu("record " + looping() + "-e cycles,branches -F 1000000 -g -b --output='" +
                 path("other") + "'")
                .status,
            7);
  const std::string first = content(file);
  EXPECT_GT(first.size(), 1000u);
  EXPECT_EQ(first, content(path("other")));
}

TEST_F(RecordCommandTest, SymbolsMakeItADirectory) {
  const std::string symbols = write_text("map", "100000 10 loop\n");
  const Result result =
      vpmu("record " + looping() + "-c 100 --symbols '" + symbols + "'" + to_file);
  EXPECT_EQ(result.status, 7) << result.errors;
  EXPECT_TRUE(std::filesystem::exists(file + "/data"));
  const auto reader = perf_data::Reader::open(file);
  ASSERT_TRUE(reader.has_value());
  EXPECT_EQ((*reader)->guest_kallsyms().find("0000000000100000 T loop"), 0u)
      << (*reader)->guest_kallsyms();
  // As kallsyms, too; and again over what is there.
  const std::string kallsyms = write_text("kallsyms", "0000000000100000 T start\n");
  ASSERT_EQ(
      vpmu("record " + looping() + "-c 100 --guest-kallsyms '" + kallsyms + "'" + to_file).status,
      7);
  ASSERT_EQ(vpmu("record " + looping() + "-c 100" + to_file).status, 7);
  EXPECT_TRUE(std::filesystem::is_regular_file(file));
}

TEST_F(RecordCommandTest, AnOlderFileIsReplaced) {
  write_text("p.data", std::string(100'000, 'x'));
  ASSERT_EQ(vpmu("record " + looping() + "-e branches -c 500" + to_file).status, 7);
  EXPECT_EQ(read(file).samples.size(), 2u);
}

TEST_F(RecordCommandTest, WithoutSamplesItSaysWhy) {
  struct Case {
    const char* options;
    const char* reason;
  };
  const Case cases[] = {
      {"-e branches -c 1001", "no samples of branches: the guest ended after 1,000 of it"},
      {"-e branches:u -c 1", "no samples of branches:u: the guest did none of it in user mode"},
      {"-e cycles:H -c 1", "no samples of cycles:H: it excludes guests"},
      {"-e cycles -F 1", "no samples of cycles: the guest ended after"},
      {"-e branches,BR_INST_RETIRED.NEAR_CALL -c 1",
       "no samples of BR_INST_RETIRED.NEAR_CALL: the guest did none of it\n"},
      {"-e branches:D -c 1 --host-event cycles:De",
       "no samples of branches:D: it is pinned and did"},
      {"-e branches -c 1 --host-event cycles:De", "no samples of branches: it never got a counter"},
  };
  for (const Case& expected : cases) {
    const Result result = vpmu("record " + looping() + expected.options + to_file);
    EXPECT_EQ(result.status, 7) << expected.options;
    EXPECT_NE(result.errors.find(expected.reason), std::string::npos) << expected.options << "\n"
                                                                      << result.errors;
    read(file);
  }
}

TEST_F(RecordCommandTest, HowTheGuestEndsDoesNotMatterToTheFile) {
  struct Case {
    std::string command;
    int status;
  };
  const Case cases[] = {
      {"record " + endless() + "--max-instructions 1000000 -c 1000", 124},
      {"record " + endless() + "--timeout 0.3 -c 1000", 124},
  };
  for (const Case& expected : cases) {
    EXPECT_EQ(vpmu(expected.command + to_file).status, expected.status);
    EXPECT_GT(read(file).samples.size(), 100u);
    EXPECT_TRUE(read(file).info.complete);
  }
  const std::string crashing =
      "'" + guest(mov_ecx(1000) + Code{0xff, 0xc9, 0x75, 0xfc, 0x0f, 0x0b}) + "' ";
  const Result crash = vpmu("record " + crashing + "-e branches -c 10" + to_file);
  EXPECT_EQ(crash.status, 125);
  EXPECT_EQ(read(file).samples.size(), 100u);
  EXPECT_NE(crash.errors.find("100 samples"), std::string::npos);
}

TEST_F(RecordCommandTest, ASignalEndsTheGuestAndCompletesTheFile) {
  struct Case {
    const char* signal;
    int status;
  };
  for (const auto& [signal, status] : {Case{"INT", 130}, Case{"TERM", 143}, Case{"HUP", 129}}) {
    const int ended = shell("record " + endless() + "--timeout 60 -c 1000" + to_file + R"sh( &
pid=$!
until [ "$(stat -c %s p.data 2> /dev/null || echo 0)" -gt 100000 ]; do sleep 0.02; done
kill -)sh" + signal + " $pid\nwait $pid");
    EXPECT_EQ(ended, status) << content(path("err"));
    const Profile profile = read(file);
    EXPECT_TRUE(profile.info.complete);
    EXPECT_GT(profile.samples.size(), 1000u);
    std::filesystem::remove(file);
  }
}

TEST_F(RecordCommandTest, WhatCannotGrowAnyMoreIsAnErrorAndAUsableFile) {
  EXPECT_EQ(shell("record " + endless() + "--max-instructions 100000000 -c 1000" + to_file,
                  "ulimit -f 1000"),
            2);
  const std::string errors = content(path("err"));
  EXPECT_NE(errors.find("p.data': File too large; it has the first "), std::string::npos) << errors;
  // It stopped there, and did not run on for nothing.
  EXPECT_NE(errors.find("vpmu: stopped (status 124)"), std::string::npos) << errors;
  EXPECT_GT(read(file).samples.size(), 1000u);
}

TEST_F(RecordCommandTest, RealTimeSamplesTheGuest) {
  const Result result = vpmu("record " + endless() + "--real-time -F 5000 --timeout 1" + to_file);
  EXPECT_EQ(result.status, 124);
  EXPECT_NE(result.errors.find(" of cpu-clock, "), std::string::npos) << result.errors;
  const Profile profile = read(file);
  EXPECT_FALSE(profile.samples.empty());
  for (const auto& sample : profile.samples) {
    EXPECT_EQ(sample.mode, perf_data::CpuMode::kGuestKernel);
  }
}

TEST_F(RecordCommandTest, BadInputIsNamedBeforeTheGuestRuns) {
  const std::string printing = std::string{"'"} + guest(print('x') + debug_exit(0)) + "' ";
  const auto bad = [&](const std::string& options, const std::string& part) {
    expect_bad_input("record " + printing + options, part);
    EXPECT_TRUE(no_file()) << options;
  };
  expect_bad_input("record", "GUEST is required");
  expect_bad_input("record /nonexistent" + to_file, "/nonexistent");
  EXPECT_TRUE(no_file());
  bad("-e cycels" + to_file, "names like it: cycles");
  bad("-e cycles, " + to_file, "an event is empty");
  bad("-e cpu/cycles,period=1,freq=1/" + to_file, "exclude each other");
  bad("-c 0" + to_file, "--count");
  bad("-c -1" + to_file, "--count");
  bad("-F 0" + to_file, "--freq");
  bad("-F 1000001" + to_file, "--freq");
  bad("-c 1 -F 1" + to_file, "--count excludes --freq");
  bad("-b -j any" + to_file, "--branch-any excludes --branch-filter");
  bad("-j frob" + to_file, "-j: branches 'frob' are not known");
  bad("-j call_stack,cond" + to_file, "-j: ");
  bad("--cpu zen4 -b" + to_file, "-b: zen4 records no branches; give --cpu one of haswell-server");
  bad("--max-stack 4" + to_file, "--max-stack requires --call-graph");
  bad("-g --max-stack 0" + to_file, "--max-stack");
  bad("-g --max-stack 128" + to_file, "--max-stack");
  bad("--layout frob" + to_file, "--layout");
  bad("-o -", "-o '-': a recording needs a file");
  bad("-o ''", "-o '': a recording needs a file");
  bad("-o '" + path("none/p.data") + "'", "none/p.data': No such file or directory");
  bad("-o '" + folder.string() + "'", "a directory, and no recording");
  bad("-o '" + path("guest.elf") + "'", "that file is read, and would be overwritten");
  bad("--symbols /nonexistent" + to_file, "--symbols: ");
  bad("--symbols /dev/null" + to_file, "--symbols: ");
  bad("--guest-kallsyms /nonexistent" + to_file, "--guest-kallsyms: ");
  bad("--guest-kallsyms a --symbols b" + to_file, "excludes");
  bad("--symbols '" + path("guest.elf") + "' --layout process" + to_file, "leave --layout process");
  for (const char* other : {"-e cycles", "-c 1", "-g", "-b", "-j any", "-a"}) {
    bad(std::string{"--real-time "} + other + to_file, "excludes --real-time");
  }
  bad("--real-time -F 100001" + to_file, "-F 100001: at most 100000 with --real-time");
  EXPECT_EQ(vpmu("run " + printing).output, "x");
}

}  // namespace
}  // namespace vpmu::test
