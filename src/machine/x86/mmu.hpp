// SPDX-License-Identifier: MIT
//
// Address translation: page walks for all paging modes (none, 32-bit, PAE, 4-level), and accesses
// that are the processor's own rather than an instruction's (descriptor tables, TSS, interrupt
// stacks).
#pragma once

#include <cstddef>
#include <cstdint>

#include "machine/x86/core.hpp"
#include "vpmu/silicon/x86/canonical.hpp"

namespace vpmu::machine::x86 {

/// Width of physical addresses; what CPUID 80000008H says.
inline constexpr unsigned kPhysicalBits = 46;

enum class MemoryUse : std::uint8_t { kRead, kWrite, kFetch };

/// #PF error code bits.
inline constexpr std::uint32_t kPfPresent = 1, kPfWrite = 2, kPfUser = 4, kPfReserved = 8,
                               kPfFetch = 16;

struct Walk {
  bool ok = false;
  std::uint32_t error = 0;     ///< of the page fault, if not ok
  std::uint64_t physical = 0;  ///< of the byte asked for
  bool may_write = false;      ///< the same kind of access may also write ...
  bool dirty = false;          ///< ... and the dirty bit is set already
};

/// Who asks: kUser are accesses at CPL 3; kImplicit are the processor's own (supervisor whatever
/// the CPL, and subject to SMAP whatever AC says).
enum class Requester : std::uint8_t { kUser, kSupervisor, kImplicit };

/// Translates a canonical linear address. Sets accessed and dirty bits if it succeeds.
Walk walk(Core& core, std::uint64_t linear, MemoryUse use, Requester requester);

/// Translates for a look from outside: no permission checks, nothing is set. False if unmapped.
bool look_up(const Core& core, std::uint64_t linear, std::uint64_t& physical);

using silicon::x86::canonical;

/// The physical address of the code byte at `linear`; false: Core::exception is set.
bool translate_fetch(Core& core, std::uint64_t linear, std::uint64_t& physical);

/// The processor's own accesses. False: Core::exception is set.
bool read_system(Core& core, std::uint64_t linear, void* to, unsigned bytes);
bool write_system(Core& core, std::uint64_t linear, const void* from, unsigned bytes);
/// The same with the rights of the given CPL: stack accesses of far transfers.
bool read_as(Core& core, unsigned cpl, std::uint64_t linear, void* to, unsigned bytes);
bool write_as(Core& core, unsigned cpl, std::uint64_t linear, const void* from, unsigned bytes);

/// While accesses are modelled: shows the memory model a stack access of a far transfer, which has
/// been made. Only an instruction's: the delivery of an event has none.
void show_stack_access(Core& core, std::uint64_t linear, unsigned bytes, bool write);

/// Forgets all translations: CR3, CR0, CR4, EFER writes and INVLPG.
void flush_tlb(Core& core);
/// Forgets that pages may be written without looking: a page has become code.
void forget_write_access(Core& core);

/// Works out mode and TLB bank from CS, SS, CPL, CR0, CR4, RFLAGS.AC and whether accesses are
/// modelled. After any change of them.
void update_mode(Core& core);

/// Sets Core::exception.
void set_exception(Core& core, std::uint8_t vector);
void set_exception(Core& core, std::uint8_t vector, std::uint32_t error_code);

}  // namespace vpmu::machine::x86
