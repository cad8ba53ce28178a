// SPDX-License-Identifier: MIT
#include "machine/arm64/system_instructions.hpp"

namespace vpmu::machine::arm64 {

using silicon::arm64::system_register;
using Outcome = tl::expected<Ending, Fault>;

namespace {

constexpr SystemRegister sys(unsigned op1, unsigned crn, unsigned crm, unsigned op2) {
  return system_register(1, op1, crn, crm, op2);
}

constexpr SystemRegister kIcIalluis = sys(0, 7, 1, 0), kIcIallu = sys(0, 7, 5, 0),
                         kIcIvau = sys(3, 7, 5, 1);
constexpr SystemRegister kDcIvac = sys(0, 7, 6, 1), kDcIsw = sys(0, 7, 6, 2),
                         kDcCsw = sys(0, 7, 10, 2), kDcCisw = sys(0, 7, 14, 2),
                         kDcZva = sys(3, 7, 4, 1), kDcCvac = sys(3, 7, 10, 1),
                         kDcCvau = sys(3, 7, 11, 1), kDcCvap = sys(3, 7, 12, 1),
                         kDcCivac = sys(3, 7, 14, 1);
constexpr SystemRegister kAtS1e1r = sys(0, 7, 8, 0), kAtS1e1w = sys(0, 7, 8, 1),
                         kAtS1e0r = sys(0, 7, 8, 2), kAtS1e0w = sys(0, 7, 8, 3),
                         kAtS1e1rp = sys(0, 7, 9, 0), kAtS1e1wp = sys(0, 7, 9, 1);
constexpr unsigned kTlbiCrn = 8;

bool at_el0(const CpuParts& cpu) {
  return cpu.core.el == ExceptionLevel::kEl0;
}

/// What EL0 may do only if that bit of SCTLR_EL1 is set.
template <class Bit>
bool trapped(const CpuParts& cpu, Bit bit) {
  return at_el0(cpu) && cpu.core.control().get(bit) == 0;
}

/// Faults of cache maintenance and of AT: they count as writes.
tl::unexpected<Fault> maintenance_fault(Fault fault) {
  fault.use = MemoryUse::kWrite;
  fault.maintenance = true;
  return tl::unexpected(fault);
}

/// Maintenance by address needs a translation, and from EL0 the right to read. PAN is not asked.
tl::expected<Translation, Fault> maintained(const CpuParts& cpu, std::uint64_t address,
                                            MemoryUse use) {
  auto found = cpu.mmu.probe(address, use, cpu.core.el, false);
  if (!found) return maintenance_fault(found.error());
  return *found;
}

/// Caches are not modelled as holding data: nothing to do but to look whether it may be done.
Outcome clean(const CpuParts& cpu, std::uint64_t address) {
  if (trapped(cpu, Sctlr::kUci)) return Ending::kTrapped;
  const auto found = maintained(cpu, address, MemoryUse::kRead);
  if (!found) return tl::unexpected(found.error());
  return Ending::kDone;
}

/// DC IVAC: what may be thrown away must be writable.
Outcome invalidate_data(const CpuParts& cpu, std::uint64_t address) {
  const auto found = maintained(cpu, address, MemoryUse::kWrite);
  if (!found) return tl::unexpected(found.error());
  return Ending::kDone;
}

Outcome invalidate_code(const CpuParts& cpu, std::uint64_t address) {
  if (trapped(cpu, Sctlr::kUci)) return Ending::kTrapped;
  const auto found = maintained(cpu, address, MemoryUse::kRead);
  if (!found) return tl::unexpected(found.error());
  cpu.listener.on_code_invalidation(
      {.all = false, .broadcast = true, .physical = found->physical & ~(kCacheLineBytes - 1)});
  return Ending::kDone;
}

Outcome invalidate_all_code(const CpuParts& cpu, bool broadcast) {
  cpu.listener.on_code_invalidation({.all = true, .broadcast = broadcast, .physical = 0});
  return Ending::kDone;
}

Outcome zero(const CpuParts& cpu, std::uint64_t address) {
  if (trapped(cpu, Sctlr::kDze)) return Ending::kTrapped;
  const auto zeroed = cpu.data.zero(address & ~(kZvaBytes - 1), cpu.core.el);
  if (zeroed) return Ending::kStored;
  Fault fault = zeroed.error();
  fault.address = address;
  return tl::unexpected(fault);
}

/// PAR_EL1 (D13.2.105).
struct Par : Register<std::uint64_t> {
  static constexpr Field<63, 56> kAttributes{};
  static constexpr Field<47, 12> kAddress{};
  static constexpr Field<11> kOne{};
  static constexpr Field<8, 7> kShareability{};
  static constexpr Field<6, 1> kStatus{};
  static constexpr Field<0> kFault{};
};

std::uint64_t par_of(const Translation& found) {
  constexpr std::uint8_t kOuterShareable = 2, kNormalNonCacheable = 0x44;
  const bool always_outer =
      found.type == MemoryType::kDevice || found.attributes == kNormalNonCacheable;
  Par par;
  par.set(Par::kOne, 1);
  par.raw |= found.physical & Par::kAddress.kMask;
  par.set(Par::kAttributes, found.attributes);
  par.set(Par::kShareability, always_outer ? kOuterShareable : found.shareability);
  return par.raw;
}

/// What AT asks for.
struct Question {
  MemoryUse use = MemoryUse::kRead;
  ExceptionLevel rights = ExceptionLevel::kEl1;
  bool pan = false;
};

Outcome ask(CpuParts& cpu, std::uint64_t address, const Question& question) {
  const auto found = cpu.mmu.probe(address, question.use, question.rights, question.pan);
  if (found) {
    cpu.core.par = par_of(*found);
    return Ending::kDone;
  }
  // An external abort on a walk is an exception even here.
  constexpr std::uint8_t kLevelMask = 3;
  if ((found.error().status & ~kLevelMask) == fault_status(FaultStatus::kExternalWalk)) {
    return maintenance_fault(found.error());
  }
  Par par;
  par.set(Par::kOne, 1);
  par.set(Par::kFault, 1);
  par.set(Par::kStatus, found.error().status);
  cpu.core.par = par.raw;
  return Ending::kDone;
}

/// TLBI at EL1: CRm says who does it, op2 what.
Outcome invalidate_translations(const CpuParts& cpu, Instruction instruction,
                                std::uint64_t operand) {
  using Scope = TlbInvalidation::Scope;
  constexpr unsigned kOuterShareable = 1, kInnerShareable = 3, kLocal = 7;
  const unsigned who = instruction.crm();
  if (instruction.op1() != 0 ||
      (who != kOuterShareable && who != kInnerShareable && who != kLocal)) {
    return Ending::kUndefined;
  }
  TlbInvalidation what;
  switch (instruction.op2()) {
    case 0: what.scope = Scope::kAll; break;
    case 2: what.scope = Scope::kAsid; break;
    case 1:
    case 5: what.scope = Scope::kPage; break;
    case 3:
    case 7: what.scope = Scope::kAnyAsid; break;
    default: return Ending::kUndefined;
  }
  what.broadcast = who != kLocal;
  if (what.scope == Scope::kAsid || what.scope == Scope::kPage) {
    const bool wide = cpu.core.translation_control().get(Tcr::kAs) != 0;
    what.asid = static_cast<std::uint16_t>(operand >> 48 & (wide ? 0xffff : 0xff));
  }
  if (what.scope == Scope::kPage || what.scope == Scope::kAnyAsid) {
    // Bits 43:0 are address bits 55:12; those above are as bit 55.
    const auto sign_extended = static_cast<std::int64_t>(operand << 20) >> 8;
    what.address = static_cast<std::uint64_t>(sign_extended);
  }
  cpu.listener.on_tlb_invalidation(what);
  return Ending::kDone;
}

/// Those that EL0 has.
Outcome execute_for_all(const CpuParts& cpu, SystemRegister which, std::uint64_t operand) {
  switch (which) {
    case kIcIvau: return invalidate_code(cpu, operand);
    case kDcZva: return zero(cpu, operand);
    case kDcCvac:
    case kDcCvau:
    case kDcCvap:
    case kDcCivac: return clean(cpu, operand);
    default: return Ending::kUndefined;
  }
}

}  // namespace

Outcome execute_system_instruction(CpuParts& cpu, Instruction instruction) {
  constexpr unsigned kEl1Instructions = 0;
  const std::uint64_t operand = cpu.registers.read(instruction.rt());
  const SystemRegister which = instruction.system();
  if (instruction.reads()) return Ending::kUndefined;  // SYSL
  if (instruction.op1() != kEl1Instructions) return execute_for_all(cpu, which, operand);
  if (at_el0(cpu)) return Ending::kUndefined;
  if (instruction.crn() == kTlbiCrn) return invalidate_translations(cpu, instruction, operand);
  constexpr auto kEl0 = ExceptionLevel::kEl0;
  constexpr auto kEl1 = ExceptionLevel::kEl1;
  switch (which) {
    case kIcIalluis: return invalidate_all_code(cpu, true);
    case kIcIallu: return invalidate_all_code(cpu, false);
    case kDcIvac: return invalidate_data(cpu, operand);
    case kDcIsw:
    case kDcCsw:
    case kDcCisw: return Ending::kDone;
    case kAtS1e1r: return ask(cpu, operand, {MemoryUse::kRead, kEl1, false});
    case kAtS1e1w: return ask(cpu, operand, {MemoryUse::kWrite, kEl1, false});
    case kAtS1e0r: return ask(cpu, operand, {MemoryUse::kRead, kEl0, false});
    case kAtS1e0w: return ask(cpu, operand, {MemoryUse::kWrite, kEl0, false});
    case kAtS1e1rp: return ask(cpu, operand, {MemoryUse::kRead, kEl1, cpu.core.pan});
    case kAtS1e1wp: return ask(cpu, operand, {MemoryUse::kWrite, kEl1, cpu.core.pan});
    default: return Ending::kUndefined;
  }
}

}  // namespace vpmu::machine::arm64
