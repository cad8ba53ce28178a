// SPDX-License-Identifier: MIT
#include "machine/arm64_board/crash_report.hpp"

#include <cstdint>
#include <iterator>

#include <fmt/format.h>

#include "machine/arm64_board/vcpu.hpp"

namespace vpmu::machine::arm64 {

namespace {
using Out = std::back_insert_iterator<std::string>;

/// Of ESR_EL1.EC, those that EL1 takes (Arm ARM D13.2.37).
const char* class_name(std::uint64_t esr) {
  switch (esr >> 26 & 0x3f) {
    case 0x00: return "undefined instruction";
    case 0x01: return "trapped WFI or WFE";
    case 0x07: return "trapped FP or SIMD";
    case 0x0e: return "illegal execution state";
    case 0x15: return "SVC";
    case 0x18: return "trapped system register";
    case 0x20: return "instruction abort from EL0";
    case 0x21: return "instruction abort";
    case 0x22: return "PC alignment";
    case 0x24: return "data abort from EL0";
    case 0x25: return "data abort";
    case 0x26: return "SP alignment";
    case 0x2f: return "SError";
    case 0x30:
    case 0x31: return "breakpoint";
    case 0x32:
    case 0x33: return "software step";
    case 0x34:
    case 0x35: return "watchpoint";
    case 0x3c: return "BRK";
    default: return "exception";
  }
}

void print_registers(Out out, const Cpu& cpu) {
  const Registers& registers = cpu.registers();
  for (unsigned n = 0; n < 31; ++n) {
    fmt::format_to(out, "  {:>3}={:016x}{}", fmt::format("X{}", n), registers.x(n),
                   n % 4 == 3 ? "\n" : "");
  }
  const Core& core = cpu.core();
  fmt::format_to(out, "   SP={:016x}\n", registers.sp());
  fmt::format_to(out, "  PC={:016x}  PSTATE={:08x}  ELR={:016x}  SPSR={:08x}\n", registers.pc(),
                 pstate(core, registers.nzcv()), core.elr, core.spsr);
  fmt::format_to(out, "  ESR={:08x}  FAR={:016x}  VBAR={:016x}  SCTLR={:08x}\n", core.esr, core.far,
                 core.vbar, core.sctlr);
  fmt::format_to(out, "  TCR={:016x}  TTBR0={:016x}  TTBR1={:016x}  MAIR={:016x}\n", core.tcr,
                 core.ttbr0, core.ttbr1, core.mair);
}

void print_code(Out out, const Cpu& cpu, unsigned count) {
  for (unsigned n = 0; n < count; ++n) {
    const std::uint64_t at = cpu.registers().pc() + 4 * n;
    std::uint32_t word = 0;
    if (!cpu.peek(at, &word, sizeof word)) {
      fmt::format_to(out, "  {:016x}  cannot be read\n", at);
      return;
    }
    fmt::format_to(out, "  {:016x}  {:08x}\n", at, word);
  }
}
}  // namespace

std::string crash_report(const Vcpu& vcpu) {
  const Cpu& cpu = vcpu.cpu();
  const Core& core = cpu.core();
  std::string text;
  const Out out{text};
  fmt::format_to(out, "vCPU {} crashed: its exception vector at {:016x} raises an exception ({})\n",
                 vcpu.index(), cpu.registers().pc(), class_name(core.esr));
  fmt::format_to(out, "Registers:\n");
  print_registers(out, cpu);
  fmt::format_to(out, "Code:\n");
  print_code(out, cpu, 4);
  return text;
}

}  // namespace vpmu::machine::arm64
