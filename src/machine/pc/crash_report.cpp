// SPDX-License-Identifier: MIT
#include "machine/pc/crash_report.hpp"

#include <Zydis/Zydis.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include <fmt/format.h>

#include "machine/pc/page_walk.hpp"
#include "machine/pc/vcpu.hpp"
#include "machine/x86/flags.hpp"

namespace vpmu::machine {

namespace {
using Out = std::back_insert_iterator<std::string>;

const char* vector_name(std::uint8_t vector) {
  switch (vector) {
    case x86::kDivideError: return "#DE divide error";
    case x86::kDebug: return "#DB debug";
    case x86::kBreakpoint: return "#BP breakpoint";
    case x86::kInvalidOpcode: return "#UD invalid opcode";
    case x86::kDeviceNotAvailable: return "#NM device not available";
    case x86::kDoubleFault: return "#DF double fault";
    case x86::kInvalidTss: return "#TS invalid TSS";
    case x86::kSegmentNotPresent: return "#NP segment not present";
    case x86::kStackFault: return "#SS stack fault";
    case x86::kGeneralProtection: return "#GP general protection";
    case x86::kPageFault: return "#PF page fault";
    case x86::kX87Error: return "#MF x87 error";
    case x86::kAlignmentCheck: return "#AC alignment check";
    case x86::kSimdException: return "#XM SIMD exception";
    default: return "exception";
  }
}

void print_exception(Out out, const x86::Exception& exception, std::uint64_t rip,
                     const char* outcome) {
  fmt::format_to(out, "  at {:016x}: vector {} ({})", rip, exception.vector,
                 vector_name(exception.vector));
  if (exception.has_error_code) fmt::format_to(out, ", error code {:#x}", exception.error_code);
  if (exception.vector == x86::kPageFault)
    fmt::format_to(out, ", address {:#x}", exception.address);
  fmt::format_to(out, ": {}\n", outcome);
}

const char* outcome_text(x86::ExceptionLog::Outcome outcome) {
  using Outcome = x86::ExceptionLog::Outcome;
  switch (outcome) {
    case Outcome::kDelivered: return "delivered";
    case Outcome::kNotDelivered: return "could not be delivered because of";
    case Outcome::kDoubled: return "makes a double fault with it";
  }
  return "?";
}

/// The last exceptions, and the one that could not be delivered in the end.
void print_exceptions(Out out, const x86::Core& core) {
  const x86::ExceptionLog& log = core.exceptions;
  const std::uint64_t first = log.count - std::min<std::uint64_t>(log.count, log.kEntries);
  for (std::uint64_t n = first; n < log.count; ++n) {
    const x86::ExceptionLog::Entry& entry = log.entries[n % log.kEntries];
    print_exception(out, entry.exception, entry.rip, outcome_text(entry.outcome));
  }
  print_exception(out, core.exception, core.rip, "triple fault");
}

void print_registers(Out out, const x86::Core& core) {
  constexpr const char* kNames[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                    "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15"};
  for (unsigned i = 0; i < 16; ++i) {
    fmt::format_to(out, "  {}={:016x}{}", kNames[i], core.gpr[i], i % 4 == 3 ? "\n" : "");
  }
  fmt::format_to(out, "  RIP={:016x}  RFLAGS={:08x}  CPL={}\n", core.rip, x86::rflags(core),
                 core.cpl);
  fmt::format_to(out, "  CR0={:08x}  CR2={:016x}  CR3={:016x}  CR4={:08x}  EFER={:04x}\n", core.cr0,
                 core.cr2, core.cr3, core.cr4, core.efer);
  constexpr const char* kSegments[] = {"ES", "CS", "SS", "DS", "FS", "GS"};
  for (unsigned i = 0; i < 6; ++i) {
    const x86::Segment& segment = core.segment[i];
    fmt::format_to(out, "  {}={:04x} base {:016x} limit {:08x}{}", kSegments[i], segment.selector,
                   segment.base, segment.limit, i % 2 == 1 ? "\n" : "");
  }
  fmt::format_to(out, "  TR={:04x} base {:016x} limit {:08x}\n", core.tr.selector, core.tr.base,
                 core.tr.limit);
  fmt::format_to(out, "  GDTR={:016x}/{:04x}  IDTR={:016x}/{:04x}\n", core.gdtr.base,
                 core.gdtr.limit, core.idtr.base, core.idtr.limit);
}

void print_walk(Out out, const char* what, std::uint64_t linear, const GuestMemory& memory,
                const x86::Core& core) {
  const PageWalk walk = walk_pages(memory, core, linear);
  fmt::format_to(out, "  {} {:016x}", what, linear);
  for (const PageWalkStep& step : walk.steps) {
    if (step.entry) {
      fmt::format_to(out, " > {}[{:x}]={:x}", step.table, step.address, *step.entry);
    } else {
      fmt::format_to(out, " > {}[{:x}] is not in RAM", step.table, step.address);
    }
  }
  if (walk.physical) {
    const bool ram = memory.host(*walk.physical, 1) != nullptr;
    fmt::format_to(out, " > physical {:x}{}\n", *walk.physical, ram ? "" : ", which is not RAM");
  } else {
    fmt::format_to(out, " > not mapped\n");
  }
}

/// Up to `count` instructions at CS:RIP, as far as they can be read.
void print_code(Out out, const x86::Cpu& cpu, unsigned count) {
  const x86::Core& core = cpu.core();
  std::array<std::uint8_t, 64> bytes{};
  std::size_t have = 0;
  const std::uint64_t base = core.code64() ? 0 : core.segment[x86::kCs].base;
  while (have < bytes.size() && cpu.peek(base + core.rip + have, &bytes[have], 1)) ++have;
  if (have == 0) {
    fmt::format_to(out, "  cannot be read\n");
    return;
  }
  ZydisMachineMode mode = ZYDIS_MACHINE_MODE_LONG_64;
  if ((core.mode.bits & x86::Mode::kCode32) != 0) mode = ZYDIS_MACHINE_MODE_LEGACY_32;
  if ((core.mode.bits & x86::Mode::kCode16) != 0) mode = ZYDIS_MACHINE_MODE_LEGACY_16;
  std::size_t at = 0;
  for (unsigned i = 0; i < count && at < have; ++i) {
    ZydisDisassembledInstruction instruction;
    const bool valid = ZYAN_SUCCESS(
        ZydisDisassembleIntel(mode, core.rip + at, &bytes[at], have - at, &instruction));
    const std::size_t length = valid ? instruction.info.length : 1;
    fmt::format_to(out, "  {:016x}  ", core.rip + at);
    for (std::size_t b = 0; b < length; ++b) fmt::format_to(out, "{:02x} ", bytes[at + b]);
    fmt::format_to(out, " {}\n", valid ? instruction.text : "(no instruction)");
    if (!valid) return;
    at += length;
  }
}
}  // namespace

std::string crash_report(const Vcpu& vcpu, const GuestMemory& memory) {
  const x86::Core& core = vcpu.cpu().core();
  std::string text;
  const Out out{text};
  fmt::format_to(out, "vCPU {} shut down (triple fault). Exceptions, the last one last:\n",
                 vcpu.index());
  print_exceptions(out, core);
  fmt::format_to(out, "Registers:\n");
  print_registers(out, core);
  fmt::format_to(out, "Page walks:\n");
  const std::uint64_t code = core.code64() ? core.rip : core.segment[x86::kCs].base + core.rip;
  print_walk(out, "RIP", code, memory, core);
  print_walk(out, "CR2", core.cr2, memory, core);
  fmt::format_to(out, "Code:\n");
  print_code(out, vcpu.cpu(), 6);
  return text;
}

}  // namespace vpmu::machine
