// SPDX-License-Identifier: MIT
//
// What all x87 handlers share: whether the instruction may run, the summary bits of the status word
// and the full tag word, which is worked out when somebody wants it.
#pragma once

#include <cstdint>

#include "machine/x86/core.hpp"
#include "machine/x86/translate.hpp"

namespace vpmu::machine::x86 {

/// Raises #NM if CR0.EM or CR0.TS is set; false then. For non-waiting instructions.
bool x87_available(Core& core, const Op* op);
/// The same, and #MF if an unmasked exception is pending. CR0.NE = 0 would report it through an
/// external interrupt instead; machines of the kind modelled here do not wire one, and it is #MF.
bool x87_available_waiting(Core& core, const Op* op);

/// ES and B follow from the exception flags and their masks.
void update_x87_summary(X87& x87);

/// Control word as the register holds it: bit 6 always set, other reserved bits clear.
std::uint16_t valid_x87_control(std::uint16_t value);

/// Two bits per register: valid, zero, special, empty.
std::uint16_t x87_tag_word(const X87& x87);
/// Only "empty" matters of a tag word that is loaded.
std::uint8_t x87_valid_of(std::uint16_t tag_word);

/// FNINIT.
void initialise_x87(X87& x87);

/// Control and status, state and environment: the parts of translate_x87() that do not run on the
/// host's x87.
bool translate_x87_control(const Instruction& in, Translation& out);

}  // namespace vpmu::machine::x86
