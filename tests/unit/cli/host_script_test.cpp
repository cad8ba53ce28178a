// SPDX-License-Identifier: MIT
#include "cli/host_script.hpp"

#include <gtest/gtest.h>

#include <string>

#include "cli/branch_filter.hpp"
#include "unit/machine/machine_fixture.hpp"
#include "vpmu/hostperf/lbr_host.hpp"

namespace vpmu::test {
namespace {

using cli::HostScriptMachine;
using machine::HostEvent;

constexpr std::uint64_t kCycles = 0x003c;

HostScriptMachine on(const char* model = "icelake-server", unsigned host_cpus = 4) {
  if (const auto* arm64 = silicon::arm64::find_cpu_model(model)) return {*arm64, host_cpus};
  return {*silicon::x86::find_cpu_model(model), host_cpus};
}

std::vector<HostEvent> events(std::string_view text, const HostScriptMachine& machine = on()) {
  const auto script = cli::parse_host_script(text, "script.toml", machine);
  EXPECT_TRUE(script.has_value()) << text << ": " << (script ? "" : script.error().message);
  return script.value_or(std::vector<HostEvent>{});
}

/// Of a script that has nothing but this event.
HostEvent event(const std::string& keys) {
  const auto all = events("[[event]]\nevent = \"cycles:D\"\n" + keys);
  return all.size() == 1 ? all.front() : HostEvent{};
}

void expect_error(const std::string& text, const std::string& message,
                  const HostScriptMachine& machine = on()) {
  const auto script = cli::parse_host_script(text, "script.toml", machine);
  ASSERT_FALSE(script.has_value()) << text;
  EXPECT_EQ(script.error().message.find("script.toml:" + message), 0u) << script.error().message;
  EXPECT_EQ(script.error().message.find('\n'), std::string::npos) << script.error().message;
}

TEST(HostScript, AnEventIsThereFromBeginningToEndOnEveryHostCpu) {
  const HostEvent plain = event("");
  EXPECT_EQ(plain.name, "cycles:D");
  EXPECT_EQ(plain.attr.config, kCycles);
  EXPECT_TRUE(plain.attr.pinned);
  EXPECT_EQ(plain.cpus, HostEvent::kEveryCpu);
  EXPECT_EQ(plain.at, 0u);
  EXPECT_EQ(plain.until, HostEvent::kForever);
  EXPECT_EQ(plain.every, 0u);
  EXPECT_FALSE(plain.trace);
}

TEST(HostScript, KeysSayWhenWhereAndHow) {
  const HostEvent told = event(
      "name = \"watchdog\"\ncpu = [0, 2]\nat = 1_000_000\nuntil = 5_000_000\nevery = 10_000_000\n"
      "period = 100_000\n");
  EXPECT_EQ(told.name, "watchdog");
  EXPECT_EQ(told.cpus, 0b101u);
  EXPECT_EQ(told.at, 1'000'000u);
  EXPECT_EQ(told.until, 5'000'000u);
  EXPECT_EQ(told.every, 10'000'000u);
  EXPECT_EQ(told.attr.period, 100'000u);
  EXPECT_EQ(event("cpu = 3").cpus, 0b1000u);
  EXPECT_EQ(event("cpu = \"all\"").cpus, HostEvent::kEveryCpu);
  EXPECT_EQ(event("until = \"0xffffffffffff0000\"").until, 0xffff'ffff'ffff'0000u);
}

TEST(HostScript, ThePeriodOfAKeyIsTheEventsWhateverItsNotationSays) {
  const auto both = events("[[event]]\nperiod = 5\nevent = \"cpu/cycles,period=7/\"\n");
  ASSERT_EQ(both.size(), 1u);
  EXPECT_EQ(both[0].attr.period, 5u);
}

TEST(HostScript, BranchesOfTheHostItselfHaveNumbersOrStringsAsAddresses) {
  const HostEvent branching = event(
      "branches = \"any,u\"\n"
      "host_branches = { count = 32, from = \"0xffffffff81000000\", to = 0x1000 }\n");
  EXPECT_EQ(branching.attr.branch_type, hostperf::kBranchAny | hostperf::kBranchUser);
  EXPECT_EQ(branching.branches, (machine::HostBranches{32, 0xffff'ffff'8100'0000, 0x1000}));
  EXPECT_EQ(event("branches = \"any\"\nhost_branches = {}").branches.count, 1u);
}

TEST(HostScript, EventsAndTracesAreInTheirOrderAndAsManyAsTheyAreToBe) {
  const auto all = events(
      "[[event]]\nevent = \"cycles\"\ncount = 2\n"
      "[[trace]]\nat = 5\n"
      "[[event]]\nevent = \"instructions\"\n");
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0], all[1]);
  EXPECT_EQ(all[1].name, "cycles");
  EXPECT_TRUE(all[2].trace);
  EXPECT_EQ(all[2].at, 5u);
  EXPECT_EQ(all[3].name, "instructions");
}

TEST(HostScript, NothingIsAScriptToo) {
  EXPECT_TRUE(events("").empty());
  EXPECT_TRUE(events("\xef\xbb\xbf# Gr\xc3\xbc\xc3\x9f"
                     "e\n")
                  .empty());
}

TEST(HostScript, ErrorsNamePlaceCauseAndRemedy) {
  const std::string event = "[[event]]\nevent = \"cycles\"\n";
  expect_error("evnt = 1", "1:1: key 'evnt' is not known; keys like it: event, trace");
  expect_error("[[event]]\nevnt = 1", "2:1: key 'evnt' is not known; keys like it: event,");
  expect_error("event = 1", "1:9: 'event' is a whole number; write [[event]]");
  expect_error("[event]\n", "1:1: 'event' is a table; write [[event]]");
  expect_error("event = [1]", "1:9: 'event' is a list; write [[event]]");
  expect_error("\n[[event]]\nat = 1\n", "2:1: 'event' is missing; write event = \"cycles:D\"");
  expect_error("[[event]]\nevent = 5", "2:9: this is a whole number; write event = \"cycles:D\"");
  expect_error("[[event]]\nevent = \"a\\nb\"", "2:9: this is not 1 to 200 printable characters");
  expect_error("[[event]]\nevent = \"cyclez\"", "2:9: event 'cyclez' is not known");
  expect_error("[[event]]\nevent = \"r00ff\"", "2:9: event 'r00ff': icelake-server cannot count");
  expect_error(event + "brances = 1", "3:1: key 'brances' is not known; keys like it: branches,");
  expect_error("[[trace]]\nperiod = 1", "2:1: key 'period' is not known; keys like it:");
  expect_error(event + "at = -1", "3:6: 'at' is no whole number from 0 to");
  expect_error(event + "at = true", "3:6: 'at' is true or false; write at = 0");
  expect_error(event + "at = \"soon\"", "3:6: 'at' is no whole number");
  expect_error(event + "until = 0", "3:9: 'until' is no whole number from 1 to");
  expect_error(event + "at = 7\nuntil = 7", "4:9: until = 7 is not after at = 7; write a later");
  expect_error(event + "every = 999", "3:9: 'every' is no whole number from 1000 to");
  expect_error(event + "every = 1000", "3:9: what comes again must end before");
  expect_error(event + "every = 1000\nuntil = 1000", "3:9: it comes again every 1000 cycles");
  expect_error(event + "count = 0", "3:9: 'count' is no whole number from 1 to 16");
  expect_error(event + "count = 17", "3:9: 'count' is no whole number from 1 to 16");
  expect_error(event + "count = 16\n" + event, "4:1: host CPU 0 has more than 16 events");
  expect_error(event + "cpu = 4", "3:7: there is no host CPU 4; the last one is 3");
  expect_error(event + "cpu = [0, -1]", "3:11: there is no host CPU -1");
  expect_error(event + "cpu = []", "3:7: 'cpu' names no host CPU");
  expect_error(event + "cpu = \"some\"", "3:7: 'cpu' is a string; write cpu = 0");
  expect_error("[[event]\n", "1:9: ");
  expect_error("\n\xff", "2:1: this is not UTF-8");
  expect_error(std::string((1u << 20) + 1, '\n'), "1:1: a host script has at most 1 MiB");
}

TEST(HostScript, ErrorsAboutBranchesToo) {
  const std::string event = "[[event]]\nevent = \"cycles\"\n";
  expect_error(event + "branches = \"anny\"", "3:12: branches 'anny' are not known; names like");
  expect_error(event + "branches = \"\"", "3:12: this is not 1 to 200 printable characters");
  expect_error(event + "branches = \"any,\"", "3:12: branches '' are not known");
  expect_error(event + "branches = \"call_stack,any\"", "3:12: a call stack has no other branches");
  expect_error(event + "host_branches = {}", "1:1: an event has 'host_branches' only with");
  expect_error(event + "branches = \"any\"\nhost_branches = 1", "4:17: 'host_branches' is a whole");
  expect_error(event + "branches = \"any\"\nhost_branches = { form = 1 }",
               "4:19: key 'form' is not known; keys like it: from,");
  expect_error(event + "branches = \"any\"\nhost_branches = { count = 1001 }",
               "4:27: 'count' is no whole number from 1 to 1000");
  expect_error(event + "branches = \"any\"\nhost_branches = { from = \"0x800000000000\" }",
               "4:26: 0x800000000000 is no canonical address of 48 bits");
  expect_error("[[event]]\nevent = \"cycles\"\nbranches = \"any\"",
               "3:12: zen4 has no last branch records; leave 'branches' out", on("zen4"));
}

TEST(HostScript, EveryBranchFilterIsPerfsAndComesBackAsText) {
  struct Case {
    const char* text;
    std::uint32_t type;
  };
  const Case cases[] = {
      {"any", hostperf::kBranchAny},
      {"any_call,any_ret", hostperf::kBranchAnyCall | hostperf::kBranchAnyReturn},
      {"ind_call,ind_jmp", hostperf::kBranchIndirectCall | hostperf::kBranchIndirectJump},
      {"call,cond,k",
       hostperf::kBranchCall | hostperf::kBranchConditional | hostperf::kBranchKernel},
      {"call_stack,u", hostperf::kBranchCallStack | hostperf::kBranchUser},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(cli::parse_branch_filter(each.text).value_or(0), each.type) << each.text;
    EXPECT_EQ(cli::branch_filter_text(each.type), each.text);
    EXPECT_EQ(event(std::string{"branches = \""} + each.text + "\"").attr.branch_type, each.type);
  }
  EXPECT_EQ(cli::parse_branch_filter("k").value_or(0),
            hostperf::kBranchAny | hostperf::kBranchKernel);
}

}  // namespace
}  // namespace vpmu::test
