// SPDX-License-Identifier: MIT
//
// The CPU's own registers behind MOV CR, RDMSR, WRMSR, RDTSC and CPUID, with the architecture's
// checks. What is not the CPU's own goes to the Environment.
#pragma once

#include <cstdint>

#include "machine/x86/core.hpp"

namespace vpmu::machine::x86 {

/// False: the value is refused (#GP) and nothing has changed.
bool write_cr0(Core& core, std::uint64_t value);
bool write_cr3(Core& core, std::uint64_t value);
bool write_cr4(Core& core, std::uint64_t value);

/// True if a CPU can have these values at the same time.
bool fit_together(std::uint64_t cr0, std::uint64_t cr4, std::uint64_t efer);

/// not_mine() and fault() both mean #GP to a guest.
Access read_msr(Core& core, MsrIndex msr);
Access write_msr(Core& core, MsrIndex msr, std::uint64_t value);

/// The time stamp counter, with this CPU's offset.
std::uint64_t read_tsc(Core& core);

/// CPUID as the guest sees it: the Environment's, with the bits that follow CR4.
CpuidResult guest_cpuid(Core& core, std::uint32_t leaf, std::uint32_t subleaf);

}  // namespace vpmu::machine::x86
