// SPDX-License-Identifier: MIT
//
// Forms: how handlers get at their memory operand. Hot handlers exist once per form, so that the
// common addresses cost no tests; the decoder picks the form with form_of().
#pragma once

#include <cstdint>

#include "machine/x86/memory_access.hpp"
#include "machine/x86/translate.hpp"

namespace vpmu::machine::x86 {

enum class Form : std::uint8_t {
  kBase,     ///< [base + displacement], 64-bit address, no segment base
  kIndex,    ///< [base + index * scale + displacement], likewise
  kGeneral,  ///< anything else
};

inline Form form_of(const Op& op) {
  constexpr unsigned kSpecial =
      kAddress32 | kAddress16 | kSegmentBase | kLinear32 | kRipBase | kAbsolute64;
  if ((op.flags & kSpecial) != 0) return Form::kGeneral;
  return op.index == kZeroRegister ? Form::kBase : Form::kIndex;
}

template <Form F>
[[gnu::always_inline]] inline std::uint64_t address(const Core& core, const Op* op) {
  if constexpr (F == Form::kBase) {
    return core.gpr[op->base] +
           static_cast<std::uint64_t>(static_cast<std::int64_t>(op->displacement));
  } else if constexpr (F == Form::kIndex) {
    return offset_of(core, op);
  } else {
    return linear_address(core, op);
  }
}

/// Picks one of three instantiations by form: pick_form(op, [&]<Form F>() { return &handler<F>; }).
template <class Choose>
Handler pick_form(const Op& op, Choose choose) {
  switch (form_of(op)) {
    case Form::kBase: return choose.template operator()<Form::kBase>();
    case Form::kIndex: return choose.template operator()<Form::kIndex>();
    default: return choose.template operator()<Form::kGeneral>();
  }
}

/// Picks an instantiation by operand size in bits (8, 16, 32 or 64).
template <class Choose>
Handler pick_size(unsigned bits, Choose choose) {
  switch (bits) {
    case 8: return choose.template operator()<std::uint8_t>();
    case 16: return choose.template operator()<std::uint16_t>();
    case 32: return choose.template operator()<std::uint32_t>();
    default: return choose.template operator()<std::uint64_t>();
  }
}

/// The same for instructions without a byte form.
template <class Choose>
Handler pick_wide(unsigned bits, Choose choose) {
  switch (bits) {
    case 16: return choose.template operator()<std::uint16_t>();
    case 32: return choose.template operator()<std::uint32_t>();
    default: return choose.template operator()<std::uint64_t>();
  }
}

}  // namespace vpmu::machine::x86
