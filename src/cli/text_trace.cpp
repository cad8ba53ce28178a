// SPDX-License-Identifier: MIT
#include "cli/text_trace.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "cli/arm64_register_name.hpp"

namespace vpmu::cli {

namespace {
void line(const machine::TraceSink::Where& where, const std::string& text) {
  fmt::print(stderr, "vcpu {} @{} rip {:x}: {}\n", where.vcpu, where.time, where.rip, text);
}

void line(const machine::arm64::TraceSink::Where& where, const std::string& text) {
  fmt::print(stderr, "vcpu {} @{} pc {:x}: {}\n", where.vcpu, where.time, where.pc, text);
}

/// What becomes of an access that was not done.
const char* refusal(const Access& result) {
  return result.is_trap() ? " -> trap" : " -> undefined";
}
}  // namespace

void TextTrace::msr_read(const PcWhere& where, MsrIndex msr, const Access& result) {
  if (!msrs) return;
  line(where, result.is_done() ? fmt::format("rdmsr {:#x} -> {:#x}", raw(msr), result.value())
                               : fmt::format("rdmsr {:#x} -> #GP", raw(msr)));
}

void TextTrace::msr_write(const PcWhere& where, MsrIndex msr, std::uint64_t value,
                          const Access& result) {
  if (!msrs) return;
  line(where,
       fmt::format("wrmsr {:#x} = {:#x}{}", raw(msr), value, result.is_done() ? "" : " -> #GP"));
}

void TextTrace::exit(const PcWhere& where, virt::ExitReason reason) {
  if (exits) line(where, fmt::format("exit {}", virt::name(reason)));
}

void TextTrace::interrupt(const PcWhere& where, std::uint8_t vector) {
  if (interrupts) line(where, fmt::format("interrupt {:#x}", vector));
}

void TextTrace::nmi(const PcWhere& where) {
  if (interrupts) line(where, "nmi");
}

// ---- arm64 --------------------------------------------------------------------------------------

void TextTrace::register_read(const ArmWhere& where, silicon::arm64::SystemRegister reg,
                              const Access& result) {
  if (!msrs) return;
  const std::string end =
      result.is_done() ? fmt::format(" -> {:#x}", result.value()) : refusal(result);
  line(where, fmt::format("mrs {}{}", register_name(reg), end));
}

void TextTrace::register_write(const ArmWhere& where, silicon::arm64::SystemRegister reg,
                               std::uint64_t value, const Access& result) {
  if (!msrs) return;
  line(where, fmt::format("msr {} = {:#x}{}", register_name(reg), value,
                          result.is_done() ? "" : refusal(result)));
}

void TextTrace::exit(const ArmWhere& where, virt::ExitReason reason) {
  if (exits) line(where, fmt::format("exit {}", virt::name(reason)));
}

void TextTrace::interrupt(const ArmWhere& where, std::uint32_t intid) {
  if (interrupts) line(where, fmt::format("interrupt {}", intid));
}

}  // namespace vpmu::cli
