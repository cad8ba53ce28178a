// SPDX-License-Identifier: MIT
//
// What `vpmu run` says of a guest with statistical profiling of its own.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "cli/arm64_spe_report.hpp"
#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

using virt::arm64::SpeTrouble;

const std::string kSampling = "run '" VPMU_ARM64_GUESTS "/spe_sampling.elf' ";

class Arm64SpeReportTest : public CommandTest {
 protected:
  nlohmann::json report_of(const std::string& arguments) {
    const Result run = vpmu(arguments + " --json '" + path("report") + "'");
    EXPECT_EQ(run.status, 1) << run.errors;
    return nlohmann::json::parse(content(path("report")));
  }
};

TEST_F(Arm64SpeReportTest, ReportAddsUp) {
  const auto json = report_of(kSampling + "--guest-spe flavour=nvhe,max-buffer-kib=100");
  const auto offer = nlohmann::json::parse(
      R"({"version": 1, "flavour": "nvhe", "physical_time": false, "exclusive": false,
          "max_buffer_bytes": 102400,
          "memory": {"lock": "all", "mlock": false, "locked_bytes": 134217728, "stage2_faults": 0,
                     "cleaned": ["data-cache"]}})");
  EXPECT_EQ(json["spe"], offer);
  const auto& spe = json["vcpus"][0]["spe"];
  const auto number = [&spe](const char* pointer) {
    return spe.at(nlohmann::json::json_pointer{pointer}).get<std::uint64_t>();
  };
  EXPECT_GT(number("/operations"), 257 * number("/samples"));
  EXPECT_EQ(number("/samples"), number("/filtered_out") + number("/records") + number("/lost"));
  EXPECT_GT(number("/filtered_out"), 0u);
  const auto& retired = json["vcpus"][0]["retired"];
  EXPECT_EQ(retired["sample-population"]["total"], number("/operations"));
  EXPECT_EQ(retired["samples"]["total"], number("/samples"));
  EXPECT_EQ(retired["kept-samples"]["total"], number("/records") + number("/lost"));
  EXPECT_EQ(retired["sample-collisions"]["total"], 0);
  EXPECT_EQ(number("/bytes"), 64 * number("/records"));
  // It fills a buffer, has none at stage 1, and sets PMBSR_EL1.S itself.
  EXPECT_EQ(number("/buffer_events/full"), 1u);
  EXPECT_EQ(number("/buffer_events/stage1_faults"), 1u);
  EXPECT_EQ(number("/buffer_events/replaced"), 0u);
  EXPECT_EQ(number("/interrupts"), 3u);
  EXPECT_EQ(number("/lost"), 1u);
  EXPECT_EQ(number("/traps/control"), 0u);
  EXPECT_GT(number("/traps/buffer"), 0u);
  EXPECT_EQ(number("/traps/identification"), 1u) << "there is a limit to be shown";
  EXPECT_GT(number("/direct_accesses"), 0u);
  EXPECT_GT(number("/entries"), number("/drains/guest"));
  const double moved =
      static_cast<double>(number("/registers/host_saved") + number("/registers/host_loaded") +
                          number("/registers/guest_saved") + number("/registers/guest_loaded"));
  EXPECT_NEAR(spe["registers"]["per_entry"].get<double>(),
              moved / static_cast<double>(number("/entries")), 0.005);
}

TEST_F(Arm64SpeReportTest, FlavoursDifferInWhatTheyMoveOnly) {
  const auto vhe = report_of(kSampling + "--guest-spe flavour=vhe")["vcpus"][0]["spe"];
  for (const char* flavour : {"nvhe", "protected"}) {
    auto other = report_of(kSampling + "--guest-spe flavour=" + flavour)["vcpus"][0]["spe"];
    EXPECT_GT(other["registers"]["per_entry"], vhe["registers"]["per_entry"]) << flavour;
    other["registers"] = vhe["registers"];
    EXPECT_EQ(other, vhe) << flavour;
  }
}

TEST_F(Arm64SpeReportTest, PinnedBuffersAndFaultsOfStage2AreCounted) {
  const std::string memory = "run '" VPMU_ARM64_GUESTS "/spe_memory.elf' ";
  auto json = report_of(memory + "--guest-spe lock=buffer");
  EXPECT_EQ(json["spe"]["memory"]["lock"], "buffer");
  EXPECT_EQ(json["spe"]["memory"]["stage2_faults"], 0);
  const auto& pins = json["vcpus"][0]["spe"]["pinned_buffers"];
  EXPECT_GE(pins["reused"], 38u) << "forty switches between two buffers";
  EXPECT_GT(pins["pinned"], 0u);
  EXPECT_EQ(pins["refused"], 0u);
  json = report_of(memory + "--guest-spe lock=none --append demand=1");
  EXPECT_EQ(json["spe"]["memory"]["stage2_faults"], 2);
  EXPECT_EQ(json["spe"]["memory"]["locked_bytes"], 0);
  EXPECT_EQ(json["vcpus"][0]["spe"]["buffer_events"]["replaced"], 2);
  EXPECT_FALSE(json["vcpus"][0]["spe"].contains("pinned_buffers"));
  const std::string says = vpmu(memory + "--guest-spe lock=none --append demand=1").errors;
  const std::string warning = "vpmu: vCPU 0: SPE: a fault of stage 2, 0x07, at 0x44000000";
  const std::size_t found = says.find(warning);
  ASSERT_NE(found, std::string::npos) << says;
  EXPECT_EQ(says.find("a fault of stage 2", found + warning.size()), std::string::npos) << "once";
}

TEST_F(Arm64SpeReportTest, SummaryFitsAnyTerminal) {
  const Result run = vpmu(kSampling + "--guest-spe lock=buffer");
  EXPECT_NE(run.errors.find("vpmu: SPE of vCPU 0, vhe\nvpmu:   operations "), std::string::npos)
      << run.errors;
  const std::string section = run.errors.substr(run.errors.find("vpmu: SPE of vCPU 0"));
  std::istringstream lines{section};
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
}

TEST_F(Arm64SpeReportTest, WithoutSpeNothingIsSaidOfIt) {
  const std::string hello = "run '" VPMU_ARM64_GUESTS "/hello.elf' ";
  const auto json = report_of(hello);
  EXPECT_FALSE(json.contains("spe"));
  EXPECT_FALSE(json["vcpus"][0].contains("spe"));
  EXPECT_FALSE(json["vcpus"][0]["retired"].contains("samples"));
  EXPECT_EQ(vpmu(hello).errors.find("SPE"), std::string::npos);
  // One that has it and does not touch it has numbers, but no lines.
  EXPECT_EQ(vpmu(hello + "--guest-spe on").errors.find("SPE"), std::string::npos);
  EXPECT_EQ(report_of(hello + "--guest-spe on")["vcpus"][0]["spe"]["operations"], 0);
}

TEST_F(Arm64SpeReportTest, LostSamplesAreSaidOnceAndTheSameEachTime) {
  const std::string lost =
      "vpmu: vCPU 0: SPE: a fault of stage 1, 0x05, at 0x3e00000000 in the guest's buffer: a "
      "record is lost\n";
  const std::string large = "is larger than it may be: it is told so, and nothing is sampled\n";
  const Result first = vpmu(kSampling + "--guest-spe on");
  EXPECT_EQ(first.errors.find(lost), 0u) << first.errors;
  EXPECT_EQ(first.errors.find(large), std::string::npos) << first.errors;
  // The guest's buffer is larger, and it fails.
  const std::string limited = kSampling + "--guest-spe max-buffer-kib=32";
  const std::string once = vpmu(limited).errors, again = vpmu(limited).errors;
  const std::size_t found = once.find(large);
  ASSERT_NE(found, std::string::npos) << once;
  EXPECT_EQ(once.find(large, found + 1), std::string::npos) << once;
  const auto warnings = [](const std::string& text) { return text.substr(0, text.find("status")); };
  EXPECT_EQ(warnings(once), warnings(again));
}

TEST(SpeWarning, SaysWhatTheGuestDoesNotFindOut) {
  const auto warning = [](SpeTrouble::Kind kind, std::uint64_t syndrome) {
    return cli::spe_warning(
        1, {.kind = kind, .syndrome = {{syndrome}}, .pointer = 0x8000'1001, .limit = 0x8000'2000});
  };
  using Kind = SpeTrouble::Kind;
  EXPECT_EQ(warning(Kind::kMisprogrammed, 0x2'0001),
            "vpmu: vCPU 1: SPE: no record can go to PMBPTR_EL1 0x80001001 of a buffer up to "
            "0x80002000: a sample is lost, and the guest is told that the buffer is full\n");
  EXPECT_EQ(warning(Kind::kTooLarge, 0x2'0004),
            "vpmu: vCPU 1: SPE: the guest's buffer, 0x80001001 to 0x80002000, is larger than it "
            "may be: it is told so, and nothing is sampled\n");
  EXPECT_EQ(warning(Kind::kUnavailable, 0x9006'0010),
            "vpmu: vCPU 1: SPE: the guest's buffer, 0x80001001 to 0x80002000, cannot be had: it is "
            "told of an external abort, and nothing is sampled\n");
  EXPECT_EQ(warning(Kind::kFault, 0x9006'0010),
            "vpmu: vCPU 1: SPE: an external abort at 0x80001001 in the guest's buffer: a record is "
            "lost\n");
  EXPECT_EQ(warning(Kind::kReplaced, 0x9402'0007),
            "vpmu: vCPU 1: SPE: a fault of stage 2, 0x07, at 0x80001001 in the guest's buffer: a "
            "record is lost, and the guest is told of an external abort instead\n");
}

TEST_F(Arm64SpeReportTest, DumpOfAnImageThatHasMovedHasItsSymbols) {
  const std::string image = VPMU_ARM64_GUESTS "/workload.elf";
  const auto quoted = [this](const char* name) { return "'" + path(name) + "' "; };
  std::filesystem::copy_file(image, path("before.elf"));
  ASSERT_EQ(vpmu("run --guest-spe on --append 'rounds=1 spe=1024' --spe-dump " + quoted("dump") +
                 quoted("before.elf"))
                .status,
            1);
  const std::string report = "report --spe " + quoted("dump");
  const std::string at_once = vpmu(report).output;
  EXPECT_NE(at_once.find("[k] quicksort"), std::string::npos) << at_once;
  std::filesystem::remove(path("before.elf"));
  EXPECT_EQ(vpmu(report).output.find("quicksort"), std::string::npos);
  const Result moved = vpmu(report + "--image '" + image + "'");
  EXPECT_EQ(moved.output, at_once);
  EXPECT_EQ(moved.errors, "");
}

}  // namespace
}  // namespace vpmu::test
