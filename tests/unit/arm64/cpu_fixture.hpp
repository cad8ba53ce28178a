// SPDX-License-Identifier: MIT
//
// A CPU with RAM from 1 GiB on, code at its begin, and a device that records what is done to it.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "machine/arm64/cpu.hpp"
#include "vpmu/silicon/arm64/cpu_model.hpp"

namespace vpmu::machine::arm64 {

inline constexpr std::uint64_t kRam = std::uint64_t{4} << 20;
inline constexpr std::uint64_t kCode = kArmMemory.begin, kVectors = kCode + 0x8000,
                               kData = kCode + 0x10'0000, kTable = kCode + 0x20'0000;
inline constexpr std::uint64_t kDevice = 0x0900'0000, kNothing = 0x0a00'0000;  // up to RAM
inline constexpr std::uint64_t kForEver = ~std::uint64_t{0};

/// What the memory model is made for in tests.
inline constexpr silicon::MemoryHierarchy kSmallHierarchy{
    .l1d = {4, 2}, .l2 = {16, 2}, .llc = {32, 4}, .dtlb = {2, 2}, .stlb = {4, 2}};

class TestMachine final : public Environment {
 public:
  explicit TestMachine(unsigned cpus = 1) : cluster{memory, cpus} {}

  Access read_system_register(SystemRegister, bool) override { return Access::fault(); }
  Access write_system_register(SystemRegister, std::uint64_t, bool) override {
    return Access::fault();
  }
  [[nodiscard]] bool answers(std::uint64_t physical, unsigned) const override {
    return physical < kNothing;
  }
  std::uint64_t read_mmio(std::uint64_t physical, unsigned) override {
    touched.push_back({physical, now(), instructions()});
    if (requests_exit) cpu.request_exit();
    return physical * 3 + now();
  }
  void write_mmio(std::uint64_t physical, unsigned, std::uint64_t value) override {
    touched.push_back({physical, now(), instructions() + (value << 32)});
    if (raises_irq) irq = true;
    if (requests_exit) cpu.request_exit();
  }
  void call(Call&) override { cpu.power_off(); }
  bool semihost(std::uint32_t, std::uint64_t, std::uint64_t&) override { return false; }
  bool irq_waiting() override { return irq; }
  std::uint64_t now() override { return cpu.cycles() - began; }
  void send_event() override { ++events_sent; }
  std::uint64_t until_sample(unsigned el) override {
    if (el > 1 || !samples[el]) return kNoSample;
    const std::uint64_t counted = population();
    return sample_at > counted + 1 ? sample_at - counted - 1 : 0;
  }
  void sampled(const silicon::arm64::SpeOperation& operation) override {
    operations.push_back({population(), operation});
    sample_at += period;
  }
  /// Operations at levels that are sampled.
  [[nodiscard]] std::uint64_t population() const {
    using silicon::RawEvent;
    return totals.read(RawEvent::kInstructions, {.user = samples[0], .kernel = samples[1]});
  }

  void load(std::uint64_t address, std::span<const std::uint32_t> words) const {
    memory.write(address, {reinterpret_cast<const std::uint8_t*>(words.data()), words.size() * 4});
  }
  void load(std::uint64_t address, std::initializer_list<std::uint32_t> words) const {
    load(address, std::span{words.begin(), words.size()});
  }
  /// Loads code and begins to execute it, with the vectors behind it and data in X19.
  void start(std::span<const std::uint32_t> words) {
    load(kCode, words);
    cpu.power_on(kCode, 0);
    cpu.core().vbar = kVectors;
    cpu.core().cpacr = 3U << 20;
    cpu.registers().set_x(19, kData);
    cpu.state_changed();
  }
  void start(std::initializer_list<std::uint32_t> words) {
    start(std::span{words.begin(), words.size()});
  }
  /// Translation on: RAM as Normal memory where it is, what is below 1 GiB as Device memory.
  void map() {
    constexpr std::uint64_t kBlock = 1, kAccessed = 1U << 10, kShared = 3U << 8, kDeviceType = 4;
    constexpr std::uint64_t kExecuteNever = std::uint64_t{3} << 53;
    const std::uint64_t entries[2] = {kBlock | kAccessed | kDeviceType | kExecuteNever,
                                      kCode | kBlock | kAccessed | kShared};
    memory.write(kTable, {reinterpret_cast<const std::uint8_t*>(entries), sizeof entries});
    Core& core = cpu.core();
    core.mair = 0xff;  // 0: write-back, 1: Device
    core.ttbr0 = kTable;
    core.tcr = 25 | 25U << 16 | 1U << 23 | std::uint64_t{2} << 32;  // 39 bits, lower half only
    core.sctlr |= 1;
    cpu.state_changed();
  }

  [[nodiscard]] std::uint64_t total(silicon::RawEvent event) const {
    return totals.read(event, silicon::kAllPrivileges);
  }
  [[nodiscard]] std::uint64_t instructions() const {
    return total(silicon::RawEvent::kInstructions);
  }
  [[nodiscard]] std::uint64_t x(unsigned n) const { return cpu.registers().x(n); }

  struct Touch {
    std::uint64_t address, cycle, detail;
    friend bool operator==(const Touch&, const Touch&) = default;
  };
  std::vector<Touch> touched;
  std::array<bool, 2> samples{};  ///< operations at that level, one in a period
  std::uint64_t sample_at = 0, period = 0;
  struct Sample {
    std::uint64_t at;  ///< number in the population, from 1
    silicon::arm64::SpeOperation operation;
    friend bool operator==(const Sample&, const Sample&) = default;
  };
  std::vector<Sample> operations;
  bool irq = false, raises_irq = false, requests_exit = false;
  unsigned events_sent = 0;
  std::uint64_t began = 0;  ///< cycles at machine time 0

  GuestMemory memory{*GuestMemory::create(kRam, kArmMemory)};
  Cluster cluster;
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  silicon::LruSets llc{kSmallHierarchy.llc.sets, kSmallHierarchy.llc.ways};
  silicon::MemoryModel model{kSmallHierarchy, llc, totals};
  Cpu cpu{memory,
          *this,
          cluster,
          totals,
          deadlines,
          {.model = silicon::arm64::find_cpu_model("neoverse-n1"),
           .index = 0,
           .memory = &model,
           .exact_behind_samples = 10}};
};

}  // namespace vpmu::machine::arm64
