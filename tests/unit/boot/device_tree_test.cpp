// SPDX-License-Identifier: MIT
#include "machine/boot/device_tree.hpp"

#include <gtest/gtest.h>

#include "unit/boot/parsed_tree.hpp"

namespace vpmu::machine::boot {
namespace {

using namespace std::string_literals;
using test::ParsedTree;
using Cells = std::vector<std::uint32_t>;
using Wide = std::vector<std::uint64_t>;

class DeviceTree : public testing::Test {
 protected:
  [[nodiscard]] ParsedTree tree() const {
    return ParsedTree{device_tree(board, memory, choice).value()};
  }

  DeviceTreeBoard board;
  DeviceTreeChoice choice;
  GuestMemory memory = *GuestMemory::create(64 << 20, kArmMemory);
};

TEST_F(DeviceTree, AddressesHaveTwoCellsAndInterruptsGoToTheGic) {
  const ParsedTree parsed = tree();
  EXPECT_EQ(parsed.cells("/", "#address-cells"), Cells{2});
  EXPECT_EQ(parsed.cells("/", "#size-cells"), Cells{2});
  EXPECT_EQ(parsed.referred(parsed.cells("/", "interrupt-parent").at(0)), "intc@8000000");
}

TEST_F(DeviceTree, EveryVcpuIsACpuThatPsciTurnsOn) {
  board.vcpus = 3;
  board.cpu = "arm,cortex-a72";
  const ParsedTree parsed = tree();
  EXPECT_EQ(parsed.children("/cpus"), 3);
  EXPECT_EQ(parsed.cells("/cpus/cpu@2", "reg"), Cells{2});
  EXPECT_EQ(parsed.text("/cpus/cpu@0", "compatible"), "arm,cortex-a72\0"s);
  EXPECT_EQ(parsed.text("/cpus/cpu@1", "enable-method"), "psci\0"s);
  EXPECT_EQ(parsed.text("/cpus/cpu@1", "device_type"), "cpu\0"s);
}

TEST_F(DeviceTree, PsciIsCalledByHvc) {
  EXPECT_EQ(tree().text("/psci", "compatible"), "arm,psci-1.0\0arm,psci-0.2\0"s);
  EXPECT_EQ(tree().text("/psci", "method"), "hvc\0"s);
}

TEST_F(DeviceTree, MemoryIsWhereItIs) {
  EXPECT_EQ(tree().wide("/memory@40000000", "reg"), (Wide{0x4000'0000, 64 << 20}));
  EXPECT_EQ(tree().text("/memory@40000000", "device_type"), "memory\0"s);
}

TEST_F(DeviceTree, ChoiceHasTheCommandLineAndTheConsole) {
  choice.command_line = "console=ttyAMA0 one";
  EXPECT_EQ(tree().text("/chosen", "bootargs"), "console=ttyAMA0 one\0"s);
  EXPECT_EQ(tree().text("/chosen", "stdout-path"), "/pl011@9000000\0"s);
  EXPECT_TRUE(tree().has("/pl011@9000000"));
}

/// 256 bits, which are the same in each run; none for the addresses of the kernel.
TEST_F(DeviceTree, SeedsTheGuestsRandomNumbersButNotItsAddresses) {
  const Wide seed = tree().wide("/chosen", "rng-seed");
  EXPECT_EQ(seed.size(), 4u);
  EXPECT_EQ(seed, tree().wide("/chosen", "rng-seed"));
  EXPECT_FALSE(tree().has("/chosen", "kaslr-seed"));
}

TEST_F(DeviceTree, InitialRamDiskIsInTheTreeIfThereIsOne) {
  EXPECT_FALSE(tree().has("/chosen", "linux,initrd-start"));
  choice.initrd_begin = 0x4300'0000;
  choice.initrd_end = 0x4300'1234;
  EXPECT_EQ(tree().wide("/chosen", "linux,initrd-start"), Wide{0x4300'0000});
  EXPECT_EQ(tree().wide("/chosen", "linux,initrd-end"), Wide{0x4300'1234});
}

TEST_F(DeviceTree, GicHasItsDistributorAndTwoFramesForEachVcpu) {
  board.vcpus = 8;
  const ParsedTree parsed = tree();
  EXPECT_EQ(parsed.text("/intc@8000000", "compatible"), "arm,gic-v3\0"s);
  EXPECT_EQ(parsed.cells("/intc@8000000", "#interrupt-cells"), Cells{3});
  EXPECT_TRUE(parsed.has("/intc@8000000", "interrupt-controller"));
  EXPECT_EQ(parsed.wide("/intc@8000000", "reg"),
            (Wide{0x0800'0000, 0x1'0000, 0x080a'0000, 8 * 0x2'0000}));
}

TEST_F(DeviceTree, TimersHaveTheirPrivateInterruptsInTheBindingsOrder) {
  // Secure 29, physical 30, virtual 27, hypervisor 26: INTIDs less 16.
  EXPECT_EQ(tree().cells("/timer", "interrupts"), (Cells{1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4}));
  EXPECT_EQ(tree().text("/timer", "compatible"), "arm,armv8-timer\0"s);
}

TEST_F(DeviceTree, PmuIsInTheTreeIfTheCpusHaveOne) {
  EXPECT_EQ(tree().text("/pmu", "compatible"), "arm,armv8-pmuv3\0"s);
  EXPECT_EQ(tree().cells("/pmu", "interrupts"), (Cells{1, 7, 4}));
  board.pmu = false;
  EXPECT_FALSE(tree().has("/pmu"));
}

TEST_F(DeviceTree, SerialPortHasItsInterruptAndAClock) {
  const ParsedTree parsed = tree();
  EXPECT_EQ(parsed.text("/pl011@9000000", "compatible"), "arm,pl011\0arm,primecell\0"s);
  EXPECT_EQ(parsed.wide("/pl011@9000000", "reg"), (Wide{0x0900'0000, 0x1000}));
  EXPECT_EQ(parsed.cells("/pl011@9000000", "interrupts"), (Cells{0, 1, 4}));
  for (const std::uint32_t clock : parsed.cells("/pl011@9000000", "clocks")) {
    EXPECT_EQ(parsed.referred(clock), "apb-pclk");
  }
  EXPECT_EQ(parsed.text("/apb-pclk", "compatible"), "fixed-clock\0"s);
}

TEST_F(DeviceTree, ExitDeviceIsOurOwn) {
  EXPECT_EQ(tree().text("/exit@90f0000", "compatible"), "vpmu,exit\0"s);
  EXPECT_EQ(tree().wide("/exit@90f0000", "reg"), (Wide{0x090f'0000, 0x1000}));
}

TEST_F(DeviceTree, CommandLineThatDoesNotFitIsAnError) {
  choice.command_line.assign(2 << 20, 'x');
  const auto failed = device_tree(board, memory, choice);
  ASSERT_FALSE(failed.has_value());
  EXPECT_NE(failed.error().message.find("--append"), std::string::npos);
}

}  // namespace
}  // namespace vpmu::machine::boot
