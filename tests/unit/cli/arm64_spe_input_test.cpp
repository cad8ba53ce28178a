// SPDX-License-Identifier: MIT
//
// What the options about SPE refuse: one line each that names the option and says what to do.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

const std::string kHello = " '" VPMU_ARM64_GUESTS "/hello.elf' ";

struct Refused {
  std::string options;
  std::string message;
};

class Arm64SpeInputTest : public CommandTest {
 protected:
  std::string quoted(const std::string& name) { return "'" + path(name) + "'"; }
};

TEST_F(Arm64SpeInputTest, GuestSpeTakesWhatItsHelpSays) {
  const Refused kRefused[] = {
      {"--guest-spe maybe", "--guest-spe: 'maybe' is none of on, off, "},
      {"--guest-spe ''", "--guest-spe: '' is none of on, off, "},
      {"--guest-spe flavour=x", "--guest-spe: flavour=x: give vhe, nvhe or protected"},
      {"--guest-spe flavour=vhe,flavour=nvhe", "flavour is given twice; leave one of them out"},
      {"--guest-spe max-buffer-kib=3", "--guest-spe: max-buffer-kib=3: give 4 or more"},
      {"--guest-spe max-buffer-kib=4294967296", "give a number of 32 bits"},
      {"--guest-spe exclusive=maybe", "--guest-spe: exclusive=maybe: "},
      {"--guest-spe off --spe-cpus 0", "--spe-cpus: is for guests with SPE; give --guest-spe on"},
      {"--spe-supported 0", "--spe-supported: is for guests with SPE; give --guest-spe on"},
  };
  for (const Refused& refused : kRefused) {
    expect_bad_input("run " + refused.options + kHello, refused.message);
  }
}

TEST_F(Arm64SpeInputTest, ListsOfHostCpusAreTheKernels) {
  const std::string too_long(65536, '0');
  const Refused kRefused[] = {
      {"3-1", "has a range that ends before it begins"},
      {"99", "names CPU 99, which the host does not have; its CPUs are 0 to 3"},
      {"0-1,4", "names CPU 4"},
      {"4294967296", "has a number of more than 32 bits"},
      {"18446744073709551616", "has a number of more than 32 bits"},
      {"0-3:2/1", "uses more CPUs of a group than it has"},
      {"0-3:1/0", "uses more CPUs of a group than it has"},
      {"0-3:1", "cannot be read from byte 5 on"},
      {"0-", "cannot be read from byte 2 on"},
      {"-1", "cannot be read from byte 0 on"},
      {"0x1", "cannot be read from byte 1 on"},
      {too_long, "CPU list of 65536 bytes; 4095 are the most"},
  };
  const std::string run = "run --guest-spe on --host-cpus 4";
  for (const Refused& refused : kRefused) {
    for (const std::string option : {"--spe-cpus", "--spe-supported"}) {
      if (option == "--spe-supported" && refused.options == too_long) continue;
      const Result result = vpmu(run + " " + option + " '" + refused.options + "'" + kHello);
      EXPECT_EQ(result.status, 2) << refused.options;
      EXPECT_NE(result.errors.find("vpmu: " + option + ": "), std::string::npos) << result.errors;
      EXPECT_NE(result.errors.find(refused.message), std::string::npos) << result.errors;
      EXPECT_EQ(result.errors.find('\n'), result.errors.size() - 1) << result.errors;
    }
  }
  expect_bad_input(run + " --spe-supported '" + too_long + "'" + kHello, "4095 are the most");
  for (const char* nobody : {"''", "','"}) {
    expect_bad_input(run + " --spe-cpus " + nobody + kHello, "--spe-cpus: names no host CPU");
  }
  // N is the last one, groups are groups.
  for (const char* good : {"0-N", "0-3:1/2,1,3", "all", "0-3:4/4"}) {
    EXPECT_EQ(vpmu(run + " --spe-cpus " + good + kHello).status, 1) << good;
    EXPECT_EQ(vpmu(run + " --spe-supported " + good + kHello).status, 1) << good;
  }
}

TEST_F(Arm64SpeInputTest, DumpsAreWholeOrNotThere) {
  const std::string sampling = "'" VPMU_ARM64_GUESTS "/spe_sampling.elf' ";
  const std::string run = "run --guest-spe on " + sampling;
  expect_bad_input(run + "--spe-dump '" + path("no/x") + "'", "SPE dump '");
  expect_bad_input(run + "--spe-dump '" + folder.string() + "'", "Is a directory");
  const Result full = vpmu(run + "--spe-dump /dev/full");
  EXPECT_EQ(full.status, 2);
  EXPECT_NE(full.errors.find("\nvpmu: SPE dump '/dev/full': No space left on device; give "),
            std::string::npos)
      << full.errors;
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
  expect_bad_input("run --spe-dump " + quoted("x") + " " + sampling, "this guest has no SPE");
  expect_bad_input("run --cpu cortex-a72 --guest-spe on --spe-dump " + quoted("x") + " " + sampling,
                   "--guest-spe: cortex-a72 has no SPE unit; give --cpu armv8.5 or neoverse-n1 or");
  const std::string x86 = "'" + guest({0xf4}) + "'";
  expect_bad_input("run --spe-dump " + quoted("x") + " " + x86, "is for arm64 guests");
  expect_bad_input("run --guest-spe on " + x86, "--guest-spe: is for arm64 guests");
  EXPECT_FALSE(std::filesystem::exists(path("x")));
}

TEST_F(Arm64SpeInputTest, RecordTakesWhatItsHelpSays) {
  const std::string record = "record -o " + quoted("x") + " ";
  const Refused kRefused[] = {
      {"--spe=period=0", "--spe: period=0: give 256 or more"},
      {"--spe=period=255", "give 256 or more"},
      {"--spe=period=4294967296", "give a number of 32 bits"},
      {"--spe=period=", "give a number of 32 bits"},
      {"--spe=bogus=1", "--spe: 'bogus' is none of on, off, ts_enable, "},
      {"--spe=ts_enable=2", "--spe: ts_enable=2: "},
      {"--spe=min_latency=4096", "--spe: min_latency=4096: give 4095 or less"},
      {"--spe=event_filter=x", "--spe: event_filter=x: "},
      {"--spe --cpu cortex-a72", "--spe: cortex-a72 has no SPE unit; give --cpu armv8.5 or"},
  };
  for (const Refused& refused : kRefused) {
    expect_bad_input(record + refused.options + kHello, refused.message);
  }
  expect_bad_input(record + "--spe '" + guest({0xf4}) + "'", "--spe: is for arm64 guests");
  expect_bad_input("record --spe -o /dev/full" + kHello, "profile '/dev/full': ");
  EXPECT_FALSE(std::filesystem::exists(path("x")));
}

}  // namespace
}  // namespace vpmu::test
