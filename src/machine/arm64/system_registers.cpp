// SPDX-License-Identifier: MIT
#include "machine/arm64/system_registers.hpp"

#include <optional>
#include <tuple>

#include "machine/arm64/debug_registers.hpp"
#include "machine/arm64/exceptions.hpp"

namespace vpmu::machine::arm64 {

using silicon::arm64::system_register;

namespace {

constexpr std::uint64_t kAllBits = ~std::uint64_t{0};
constexpr std::uint64_t kWord = 0xffff'ffff;

/// A register of EL1's that is a value: bits that are not writable read as `ones` says.
struct PlainRegister {
  SystemRegister reg;
  std::uint64_t Core::*value;
  std::uint64_t writable = kAllBits;
  std::uint64_t ones = 0;
  std::optional<ContextRegister> context = std::nullopt;
};

constexpr std::uint64_t kSpsrWritable =
    mask_of(Spsr::kNzcv, Spsr::kPan, Spsr::kSs, Spsr::kIl, Spsr::kDaif, Spsr::kMode);

constexpr PlainRegister kPlain[] = {
    {system_register(3, 0, 1, 0, 0), &Core::sctlr, Sctlr::kWritable, Sctlr::kRes1,
     ContextRegister::kSctlr},
    {system_register(3, 0, 1, 0, 2), &Core::cpacr, Cpacr::kFpen.kMask, 0, ContextRegister::kCpacr},
    {system_register(3, 0, 2, 0, 0), &Core::ttbr0, kAllBits, 0, ContextRegister::kTtbr0},
    {system_register(3, 0, 2, 0, 1), &Core::ttbr1, kAllBits, 0, ContextRegister::kTtbr1},
    {system_register(3, 0, 2, 0, 2), &Core::tcr, Tcr::kWritable, 0, ContextRegister::kTcr},
    {system_register(3, 0, 4, 0, 0), &Core::spsr, kSpsrWritable},
    {system_register(3, 0, 4, 0, 1), &Core::elr},
    {system_register(3, 0, 5, 2, 0), &Core::esr, kWord},
    {system_register(3, 0, 6, 0, 0), &Core::far},
    {system_register(3, 0, 7, 4, 0), &Core::par},
    {system_register(3, 0, 10, 2, 0), &Core::mair, kAllBits, 0, ContextRegister::kMair},
    {system_register(3, 0, 12, 0, 0), &Core::vbar, ~std::uint64_t{0x7ff}},
    {system_register(3, 0, 13, 0, 1), &Core::contextidr, kWord},
    {system_register(3, 0, 13, 0, 4), &Core::tpidr_el1},
    {system_register(3, 2, 0, 0, 0), &Core::csselr, 0xf},
    {system_register(3, 3, 13, 0, 2), &Core::tpidr_el0},
    {system_register(3, 3, 13, 0, 3), &Core::tpidrro_el0},
};

const PlainRegister* find_plain(SystemRegister reg) {
  for (const PlainRegister& plain : kPlain) {
    if (plain.reg == reg) return &plain;
  }
  return nullptr;
}

// Registers that are more, or less, than a value.
constexpr SystemRegister kActlr = system_register(3, 0, 1, 0, 1),
                         kSpEl0 = system_register(3, 0, 4, 1, 0),
                         kSpsel = system_register(3, 0, 4, 2, 0),
                         kCurrentEl = system_register(3, 0, 4, 2, 2),
                         kPan = system_register(3, 0, 4, 2, 3),
                         kAfsr0 = system_register(3, 0, 5, 1, 0),
                         kAfsr1 = system_register(3, 0, 5, 1, 1),
                         kAmair = system_register(3, 0, 10, 3, 0),
                         kIsr = system_register(3, 0, 12, 1, 0),
                         kCcsidr = system_register(3, 1, 0, 0, 0),
                         kClidr = system_register(3, 1, 0, 0, 1),
                         kAidr = system_register(3, 1, 0, 0, 7),
                         kCtr = system_register(3, 3, 0, 0, 1),
                         kDczid = system_register(3, 3, 0, 0, 7),
                         kNzcv = system_register(3, 3, 4, 2, 0),
                         kDaif = system_register(3, 3, 4, 2, 1),
                         kTpidrro = system_register(3, 3, 13, 0, 3);

constexpr unsigned kDaifShift = Spsr::kDaif.kLow;

bool at_el0(const Core& core) {
  return core.el == ExceptionLevel::kEl0;
}

/// Names of no registers at the current level: those of other levels (op1 says of which), and the
/// implementation's own, of which there are none.
bool out_of_reach(const Core& core, SystemRegister reg) {
  constexpr unsigned kEl0Registers = 3, kFirstOfEl2 = 4;
  if (at_el0(core) && op1(reg) != kEl0Registers) return true;
  return op1(reg) >= kFirstOfEl2 || crn(reg) == 11 || crn(reg) == 15;
}

Access read_interrupt_status(Environment& environment) {
  constexpr std::uint64_t kIrq = 1 << 7, kFiq = 1 << 6;
  return Access::done((environment.irq_waiting() ? kIrq : 0) |
                      (environment.fiq_waiting() ? kFiq : 0));
}

Access read_type_of_caches(const Core& core) {
  if (at_el0(core) && core.control().get(Sctlr::kUct) == 0) return Access::trap();
  return Access::done(cache_type());
}

Access read_zero_block_size(const Core& core) {
  const bool prohibited = at_el0(core) && core.control().get(Sctlr::kDze) == 0;
  return Access::done(zero_block_size() | (prohibited ? kDzp : 0));
}

/// EL0's accesses to DAIF are EL1's to allow.
bool daif_trapped(const Core& core) {
  return at_el0(core) && core.control().get(Sctlr::kUma) == 0;
}

Access read_daif(const Core& core) {
  if (daif_trapped(core)) return Access::trap();
  return Access::done(std::uint64_t{core.daif} << kDaifShift);
}

/// SP_EL0 has a name only while it is not SP.
Access read_sp_el0(const Core& core) {
  return core.sp_select ? Access::done(core.sp_el[0]) : Access::fault();
}

/// Registers of the CPU's own that are not plain; not_mine() for all others.
Access read_special(const CpuParts& cpu, SystemRegister reg) {
  const Core& core = cpu.core;
  switch (reg) {
    case kActlr:
    case kAfsr0:
    case kAfsr1:
    case kAmair:
    case kAidr: return Access::done(0);
    case kSpEl0: return read_sp_el0(core);
    case kSpsel: return Access::done(core.sp_select ? 1 : 0);
    case kCurrentEl: return Access::done(static_cast<std::uint64_t>(core.el) << Spsr::kEl.kLow);
    case kPan: return Access::done(core.pan ? Spsr::kPan.kMask : 0);
    case kIsr: return read_interrupt_status(cpu.environment);
    case kCcsidr: return Access::done(cache_geometry(core.identity, core.csselr));
    case kClidr: return Access::done(cache_levels());
    case kCtr: return read_type_of_caches(core);
    case kDczid: return read_zero_block_size(core);
    case kNzcv: return Access::done(cpu.registers.nzcv());
    case kDaif: return read_daif(core);
    default: return Access::not_mine();
  }
}

Access write_special(CpuParts& cpu, SystemRegister reg, std::uint64_t value) {
  Core& core = cpu.core;
  switch (reg) {
    case kActlr:
    case kAfsr0:
    case kAfsr1:
    case kAmair: return Access::done();
    case kSpEl0:
      if (!core.sp_select) return Access::fault();
      core.sp_el[0] = value;
      return Access::done();
    case kSpsel: select_stack(core, cpu.registers, (value & 1) != 0); return Access::done();
    case kPan: core.pan = (value & Spsr::kPan.kMask) != 0; return Access::done();
    case kNzcv:
      cpu.registers.set_nzcv(static_cast<std::uint32_t>(value & Spsr::kNzcv.kMask));
      return Access::done();
    case kDaif:
      if (daif_trapped(core)) return Access::trap();
      core.daif = static_cast<std::uint8_t>(value >> kDaifShift & kMaskAll);
      return Access::done();
    case kCurrentEl:
    case kIsr:
    case kCcsidr:
    case kClidr:
    case kAidr:
    case kCtr:
    case kDczid: return Access::fault();
    default: return Access::not_mine();
  }
}

Access write_plain(CpuParts& cpu, const PlainRegister& plain, std::uint64_t value) {
  if (plain.reg == kTpidrro && at_el0(cpu.core)) return Access::fault();
  std::uint64_t& current = cpu.core.*plain.value;
  const std::uint64_t before = current;
  current = (value & plain.writable) | plain.ones;
  if (plain.context && current != before) cpu.listener.on_context_change(*plain.context);
  return Access::done();
}

/// To a guest a register that nobody has is undefined.
Access undefined_if_nobodys(Access access) {
  return access.is_not_mine() ? Access::fault() : access;
}

constexpr unsigned kDebugOp0 = 2;

/// What of the debug registers decides how code is run.
auto debug_context(const Core& core) {
  return std::tuple{core.mdscr, core.os_lock, core.breakpoints, core.watchpoints};
}

Access write_debug(CpuParts& cpu, SystemRegister reg, std::uint64_t value) {
  const auto before = debug_context(cpu.core);
  const Access written = write_debug_register(cpu.core, reg, value);
  if (debug_context(cpu.core) != before) cpu.listener.on_context_change(ContextRegister::kDebug);
  return written;
}

}  // namespace

Access read_system_register(CpuParts& cpu, SystemRegister reg) {
  const Core& core = cpu.core;
  if (op0(reg) == kDebugOp0) return read_debug_register(core, reg);
  if (out_of_reach(core, reg)) return Access::fault();
  if (const PlainRegister* plain = find_plain(reg)) return Access::done(core.*plain->value);
  if (const auto value = identification(core.identity, reg)) return Access::done(*value);
  if (const Access special = read_special(cpu, reg); !special.is_not_mine()) return special;
  return undefined_if_nobodys(cpu.environment.read_system_register(reg, at_el0(core)));
}

Access write_system_register(CpuParts& cpu, SystemRegister reg, std::uint64_t value) {
  Core& core = cpu.core;
  if (op0(reg) == kDebugOp0) return write_debug(cpu, reg, value);
  if (out_of_reach(core, reg)) return Access::fault();
  if (const PlainRegister* plain = find_plain(reg)) return write_plain(cpu, *plain, value);
  if (identification(core.identity, reg)) return Access::fault();
  if (const Access special = write_special(cpu, reg, value); !special.is_not_mine()) {
    return special;
  }
  return undefined_if_nobodys(cpu.environment.write_system_register(reg, value, at_el0(core)));
}

Access write_daif(Core& core, std::uint8_t bits, bool set) {
  if (daif_trapped(core)) return Access::trap();
  core.daif = static_cast<std::uint8_t>(set ? core.daif | bits : core.daif & ~bits);
  return Access::done();
}

}  // namespace vpmu::machine::arm64
