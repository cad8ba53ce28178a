// SPDX-License-Identifier: MIT
#include "cli/text_trace.hpp"

#include <cstdio>

#include <fmt/format.h>

namespace vpmu::cli {

namespace {
void line(const machine::TraceSink::Where& where, const std::string& text) {
  fmt::print(stderr, "vcpu {} @{} rip {:x}: {}\n", where.vcpu, where.time, where.rip, text);
}
}  // namespace

void TextTrace::msr_read(const Where& where, MsrIndex msr, const Access& result) {
  if (!msrs) return;
  line(where, result.is_done() ? fmt::format("rdmsr {:#x} -> {:#x}", raw(msr), result.value())
                               : fmt::format("rdmsr {:#x} -> #GP", raw(msr)));
}

void TextTrace::msr_write(const Where& where, MsrIndex msr, std::uint64_t value,
                          const Access& result) {
  if (!msrs) return;
  line(where,
       fmt::format("wrmsr {:#x} = {:#x}{}", raw(msr), value, result.is_done() ? "" : " -> #GP"));
}

void TextTrace::exit(const Where& where, virt::ExitReason reason) {
  if (exits) line(where, fmt::format("exit {}", virt::name(reason)));
}

void TextTrace::interrupt(const Where& where, std::uint8_t vector) {
  if (interrupts) line(where, fmt::format("interrupt {:#x}", vector));
}

void TextTrace::nmi(const Where& where) {
  if (interrupts) line(where, "nmi");
}

}  // namespace vpmu::cli
