// SPDX-License-Identifier: MIT
//
// A CPU without an engine: registers that are values, RAM, and an environment and a listener that
// remember what they were asked and told. emulate() runs one instruction on it.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "machine/arm64/emulate.hpp"
#include "machine/arm64/exceptions.hpp"
#include "machine/guest_memory.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::machine::arm64::test {

using silicon::arm64::system_register;

struct PlainRegisters final : Registers {
  [[nodiscard]] std::uint64_t x(unsigned n) const override { return general.at(n); }
  void set_x(unsigned n, std::uint64_t value) override { general.at(n) = value; }
  [[nodiscard]] std::uint64_t sp() const override { return stack; }
  void set_sp(std::uint64_t value) override { stack = value; }
  [[nodiscard]] std::uint64_t pc() const override { return counter; }
  void set_pc(std::uint64_t value) override { counter = value; }
  [[nodiscard]] std::uint32_t nzcv() const override { return flags; }
  void set_nzcv(std::uint32_t value) override { flags = value; }
  void clear_exclusive() override { ++exclusives_cleared; }

  std::array<std::uint64_t, 31> general{};
  std::uint64_t stack = 0;
  std::uint64_t counter = 0;
  std::uint32_t flags = 0;
  unsigned exclusives_cleared = 0;
};

/// Has the registers in `registers`; what is not there is not its own.
struct FakeEnvironment final : Environment {
  struct Mmio {
    std::uint64_t address;
    unsigned bytes;
    std::uint64_t value;  ///< of a write
    friend bool operator==(const Mmio&, const Mmio&) = default;
  };

  Access read_system_register(SystemRegister reg, bool el0) override {
    asked_at_el0 = el0;
    const auto found = registers.find(reg);
    return found == registers.end() ? Access::not_mine() : found->second;
  }
  Access write_system_register(SystemRegister reg, std::uint64_t value, bool el0) override {
    asked_at_el0 = el0;
    const auto found = registers.find(reg);
    if (found == registers.end()) return Access::not_mine();
    written = value;
    return found->second;
  }
  std::uint64_t read_mmio(std::uint64_t physical, unsigned bytes) override {
    mmio_reads.push_back({physical, bytes, 0});
    return mmio_value;
  }
  void write_mmio(std::uint64_t physical, unsigned bytes, std::uint64_t value) override {
    mmio_writes.push_back({physical, bytes, value});
  }
  void call(Call& call) override {
    calls.push_back(call);
    call.x = answer;
  }
  bool semihost(std::uint32_t operation, std::uint64_t parameter, std::uint64_t& result) override {
    semihosted = {operation, parameter};
    result = 7;
    return knows_semihosting;
  }
  bool irq_waiting() override { return irq; }
  bool fiq_waiting() override { return fiq; }
  std::uint64_t now() override { return 0; }

  std::map<SystemRegister, Access> registers;
  std::optional<bool> asked_at_el0;
  std::uint64_t written = 0;
  std::vector<Mmio> mmio_reads, mmio_writes;
  std::uint64_t mmio_value = 0;
  std::vector<Call> calls;
  std::array<std::uint64_t, 18> answer{};
  std::pair<std::uint32_t, std::uint64_t> semihosted{};
  bool knows_semihosting = true;
  bool irq = false, fiq = false;
};

struct RecordingListener final : TranslationListener {
  void on_tlb_invalidation(const TlbInvalidation& invalidation) override {
    translations.push_back(invalidation);
  }
  void on_code_invalidation(const CodeInvalidation& invalidation) override {
    code.push_back(invalidation);
  }
  void on_context_change(ContextRegister changed) override { contexts.push_back(changed); }

  std::vector<TlbInvalidation> translations;
  std::vector<CodeInvalidation> code;
  std::vector<ContextRegister> contexts;
};

/// RAM of 16 MiB from 1 GiB on.
inline constexpr std::uint64_t kRam = 1ULL << 30, kRamBytes = 16 << 20;

struct System {
  System() {
    core.os_lock = false;
    registers.counter = kCode;
  }

  static constexpr std::uint64_t kCode = kRam + 0x1000;

  template <class Value>
  void put(std::uint64_t physical, Value value) const {
    std::memcpy(memory.host(physical, sizeof value), &value, sizeof value);
  }
  template <class Value>
  [[nodiscard]] Value get(std::uint64_t physical) const {
    Value value;
    std::memcpy(&value, memory.host(physical, sizeof value), sizeof value);
    return value;
  }
  void at_el0() {
    core.el = ExceptionLevel::kEl0;
    core.sp_select = false;
  }
  Emulated run(std::uint32_t word) { return emulate(parts, word); }
  [[nodiscard]] std::uint64_t exception_class() const { return core.esr >> 26; }
  [[nodiscard]] std::uint64_t iss() const { return core.esr & 0x1ff'ffff; }

  GuestMemory memory = *GuestMemory::create(kRamBytes, kArmMemory);
  Core core;
  PlainRegisters registers;
  FakeEnvironment environment;
  RecordingListener listener;
  Mmu mmu{core, memory};
  DirectData data{core, mmu, memory, environment};
  CpuParts parts{core, registers, mmu, environment, data, listener};
};

// Instructions by their fields.

constexpr std::uint32_t system_word(bool reads, SystemRegister fields, unsigned rt) {
  // op0 to op2 lie side by side in both encodings.
  return 0xd500'0000U | (reads ? 1U << 21 : 0) | static_cast<std::uint32_t>(fields) << 5 | rt;
}
constexpr std::uint32_t mrs(unsigned rt, SystemRegister reg) {
  return system_word(true, reg, rt);
}
constexpr std::uint32_t msr(SystemRegister reg, unsigned rt) {
  return system_word(false, reg, rt);
}
constexpr std::uint32_t sys(unsigned op1, unsigned crn, unsigned crm, unsigned op2, unsigned rt) {
  return system_word(false, system_register(1, op1, crn, crm, op2), rt);
}
static_assert(mrs(0, system_register(3, 3, 14, 0, 1)) == 0xd53b'e020);  // MRS x0, CNTPCT_EL0

}  // namespace vpmu::machine::arm64::test
