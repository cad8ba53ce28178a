// SPDX-License-Identifier: MIT
#include "machine/boot/device_tree.hpp"

#include <fmt/format.h>

#include "machine/arm64_map.hpp"
#include "machine/boot/device_tree_writer.hpp"

namespace vpmu::machine::boot {

namespace {
using namespace arm64_map;

/// What refers to a node has its number.
constexpr std::uint32_t kInterruptController = 1;
constexpr std::uint32_t kClock = 2;
/// As the PL011's divisors expect it; nothing else depends on it.
constexpr std::uint32_t kClockHz = 24'000'000;

// Interrupts of the arm,gic-v3 binding have three cells: kind, number within the kind, trigger.
constexpr std::uint32_t kSharedKind = 0;
constexpr std::uint32_t kPrivateKind = 1;
constexpr std::uint32_t kLevelHigh = 4;
constexpr std::uint32_t kLargest = 2 << 20;

std::string node_name(const char* name, std::uint64_t address) {
  return fmt::format("{}@{:x}", name, address);
}

void add_cpus(DeviceTreeWriter& tree, const DeviceTreeBoard& board) {
  tree.begin_node("cpus");
  tree.cells("#address-cells", {1});
  tree.cells("#size-cells", {0});
  for (unsigned n = 0; n < board.vcpus; ++n) {
    tree.begin_node(node_name("cpu", n).c_str());
    tree.text("device_type", "cpu");
    tree.text("compatible", board.cpu);
    tree.cells("reg", {n});
    tree.text("enable-method", "psci");
    tree.end_node();
  }
  tree.end_node();
  tree.begin_node("psci");
  tree.texts("compatible", {"arm,psci-1.0", "arm,psci-0.2"});
  tree.text("method", "hvc");
  tree.end_node();
}

void add_memory(DeviceTreeWriter& tree, const GuestMemory& memory) {
  tree.begin_node(node_name("memory", memory.begin()).c_str());
  tree.text("device_type", "memory");
  tree.wide("reg", {memory.begin(), memory.size()});
  tree.end_node();
}

void add_choice(DeviceTreeWriter& tree, const DeviceTreeChoice& choice) {
  tree.begin_node("chosen");
  tree.text("stdout-path", fmt::format("/pl011@{:x}", kPl011.begin));
  tree.text("bootargs", choice.command_line);
  // Linux waits for what it takes for randomness, from the jitter of timers that have none here,
  // unless it is given some. Not random: the same guest does the same. (The square roots of primes,
  // as SHA-256 has them.)
  tree.wide("rng-seed", {0x6a09'e667'bb67'ae85, 0x3c6e'f372'a54f'f53a, 0x510e'527f'9b05'688c,
                         0x1f83'd9ab'5be0'cd19});
  if (choice.initrd_end != 0) {
    tree.wide("linux,initrd-start", {choice.initrd_begin});
    tree.wide("linux,initrd-end", {choice.initrd_end});
  }
  tree.end_node();
}

void add_interrupt_controller(DeviceTreeWriter& tree, unsigned vcpus) {
  tree.begin_node(node_name("intc", kDistributor.begin).c_str());
  tree.text("compatible", "arm,gic-v3");
  tree.cells("#interrupt-cells", {3});
  tree.flag("interrupt-controller");
  tree.wide("reg", {kDistributor.begin, kDistributor.length, kRedistributors.begin,
                    vcpus * kRedistributorBytes});
  tree.cells("phandle", {kInterruptController});
  tree.end_node();
}

void add_timer(DeviceTreeWriter& tree) {
  const auto ppi = [](std::uint32_t interrupt) { return interrupt - kFirstPpi; };
  tree.begin_node("timer");
  tree.text("compatible", "arm,armv8-timer");
  tree.cells("interrupts", {kPrivateKind, ppi(kSecureTimerInterrupt), kLevelHigh,    //
                            kPrivateKind, ppi(kPhysicalTimerInterrupt), kLevelHigh,  //
                            kPrivateKind, ppi(kVirtualTimerInterrupt), kLevelHigh,   //
                            kPrivateKind, ppi(kHypervisorTimerInterrupt), kLevelHigh});
  tree.flag("always-on");
  tree.end_node();
}

void add_pmu(DeviceTreeWriter& tree) {
  tree.begin_node("pmu");
  tree.text("compatible", "arm,armv8-pmuv3");
  tree.cells("interrupts", {kPrivateKind, kPmuInterrupt - kFirstPpi, kLevelHigh});
  tree.end_node();
}

void add_spe(DeviceTreeWriter& tree) {
  tree.begin_node("spe-pmu");
  tree.text("compatible", "arm,statistical-profiling-extension-v1");
  tree.cells("interrupts", {kPrivateKind, kSpeInterrupt - kFirstPpi, kLevelHigh});
  tree.end_node();
}

void add_pl011(DeviceTreeWriter& tree) {
  tree.begin_node("apb-pclk");
  tree.text("compatible", "fixed-clock");
  tree.cells("#clock-cells", {0});
  tree.cells("clock-frequency", {kClockHz});
  tree.text("clock-output-names", "clk24mhz");
  tree.cells("phandle", {kClock});
  tree.end_node();
  tree.begin_node(node_name("pl011", kPl011.begin).c_str());
  tree.texts("compatible", {"arm,pl011", "arm,primecell"});
  tree.wide("reg", {kPl011.begin, kPl011.length});
  tree.cells("interrupts", {kSharedKind, kPl011Interrupt - kFirstSpi, kLevelHigh});
  tree.cells("clocks", {kClock, kClock});
  tree.texts("clock-names", {"uartclk", "apb_pclk"});
  tree.end_node();
}

void add_exit_device(DeviceTreeWriter& tree) {
  tree.begin_node(node_name("exit", kExitDevice.begin).c_str());
  tree.text("compatible", "vpmu,exit");
  tree.wide("reg", {kExitDevice.begin, kExitDevice.length});
  tree.end_node();
}
}  // namespace

Result<std::vector<std::uint8_t>> device_tree(const DeviceTreeBoard& board,
                                              const GuestMemory& memory,
                                              const DeviceTreeChoice& choice) {
  DeviceTreeWriter tree{kLargest};
  tree.text("compatible", "vpmu,arm64");
  tree.text("model", "vpmu,arm64");
  tree.cells("#address-cells", {2});
  tree.cells("#size-cells", {2});
  tree.cells("interrupt-parent", {kInterruptController});
  add_choice(tree, choice);
  add_memory(tree, memory);
  add_cpus(tree, board);
  add_interrupt_controller(tree, board.vcpus);
  add_timer(tree);
  if (board.pmu) add_pmu(tree);
  if (board.spe) add_spe(tree);
  add_pl011(tree);
  add_exit_device(tree);
  auto finished = tree.finish();
  if (!finished) {
    return fail(
        fmt::format("--append: {} characters of arguments do not fit into a device tree of "
                    "2 MiB; give fewer",
                    choice.command_line.size()));
  }
  return std::move(*finished);
}

}  // namespace vpmu::machine::boot
