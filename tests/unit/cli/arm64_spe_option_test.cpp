// SPDX-License-Identifier: MIT
//
// --guest-spe, as a process: where guest memory is locked, and where it may not be.
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

class Arm64SpeOptionTest : public CommandTest {
 protected:
  static constexpr const char* kHello = "'" VPMU_ARM64_GUESTS "/hello.elf' ";
  static constexpr const char* kMemory = "'" VPMU_ARM64_GUESTS "/spe_memory.elf' ";

  /// As somebody who may lock so little, whoever runs the test. Status -1: cannot be done here.
  Result vpmu_within(unsigned kib, const std::string& arguments) {
    const std::string drop = geteuid() == 0 ? "setpriv --bounding-set=-ipc_lock " : "";
    const std::string script = "ulimit -l " + std::to_string(kib) + " && " + drop +
                               "true || exit 99\nexec " + drop + "'" VPMU_COMMAND "' " + arguments +
                               " < /dev/null > '" + path("out") + "' 2> '" + path("err") + "'\n";
    const std::string file = write_text("script", script);
    const int status = std::system(("bash '" + file + "' 2> /dev/null").c_str());
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return {code == 99 ? -1 : code, content(path("out")), content(path("err"))};
  }
};

TEST_F(Arm64SpeOptionTest, ConsoleIsTheSameWhateverIsLocked) {
  const std::string run = std::string{"run "} + kMemory;
  const Result all = vpmu(run + "--guest-spe on");
  EXPECT_EQ(all.status, 1) << all.errors;
  for (const char* offer : {"lock=all", "lock=buffer", "lock=buffer,mlock=on"}) {
    const Result other = vpmu(run + "--guest-spe " + offer);
    EXPECT_EQ(other.status, all.status) << offer << other.errors;
    EXPECT_EQ(other.output, all.output) << offer;
  }
}

TEST_F(Arm64SpeOptionTest, LocksThatThereAreNotAreOneLineAndStatus2) {
  const std::string run = std::string{"run "} + kHello + "--guest-spe ";
  expect_bad_input(run + "lock=some", "--guest-spe: lock=some: give all, buffer or none");
  expect_bad_input(run + "lock=none,mlock=on", "give lock=all or buffer");
  expect_bad_input(run + "mlock=2", "--guest-spe: ");
}

TEST_F(Arm64SpeOptionTest, MemoryThatMayNotBeLockedIsOneLineAndStatus2BeforeTheRun) {
  const Result got = vpmu_within(64, std::string{"run --guest-spe mlock=on "} + kHello);
  if (got.status == -1) GTEST_SKIP() << "CAP_IPC_LOCK cannot be dropped here: setpriv fails";
  EXPECT_EQ(got.status, 2);
  EXPECT_EQ(got.output, "");
  EXPECT_EQ(got.errors.find('\n'), got.errors.size() - 1) << got.errors;
  EXPECT_NE(got.errors.find("131072 KiB"), std::string::npos) << got.errors;
  EXPECT_NE(got.errors.find("ulimit -l"), std::string::npos) << got.errors;
  EXPECT_NE(got.errors.find("lock=buffer"), std::string::npos) << got.errors;
}

TEST_F(Arm64SpeOptionTest, BuffersOfLittleMemoryAreLockedWhereAllIsTooMuch) {
  const std::string run = std::string{"run "} + kMemory + "--guest-spe ";
  const Result got = vpmu_within(64, run + "lock=buffer,mlock=on");
  if (got.status == -1) GTEST_SKIP() << "CAP_IPC_LOCK cannot be dropped here: setpriv fails";
  EXPECT_EQ(got.status, 1) << got.errors;
  EXPECT_EQ(got.output, vpmu(run + "on").output);
}

TEST_F(Arm64SpeOptionTest, BuffersThatMayNotBeLockedAreTooLargeToTheGuestAndSaidWhy) {
  const Result got = vpmu_within(
      32, "run '" VPMU_ARM64_GUESTS "/spe_sampling.elf' --guest-spe lock=buffer,mlock=on");
  if (got.status == -1) GTEST_SKIP() << "CAP_IPC_LOCK cannot be dropped here: setpriv fails";
  EXPECT_NE(got.errors.find("is larger than it may be"), std::string::npos) << got.errors;
  const std::size_t why = got.errors.find("vpmu: not pinned: ");
  ASSERT_NE(why, std::string::npos) << got.errors;
  EXPECT_NE(got.errors.find("raise RLIMIT_MEMLOCK", why), std::string::npos) << got.errors;
}

}  // namespace
}  // namespace vpmu::test
