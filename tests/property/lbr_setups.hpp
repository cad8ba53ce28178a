// SPDX-License-Identifier: MIT
//
// The last branch records that there can be: those of every CPU model, and hand-made ones of every
// modelled format, with and without a call stack and TSX, of other depths.
#pragma once

#include <span>
#include <string>

#include "vpmu/silicon/x86/lbr_model.hpp"

namespace vpmu::property {

struct LbrSetup {
  std::string name;
  silicon::x86::LbrModel model;
};

/// All of them, always in the same order. Static storage.
std::span<const LbrSetup> lbr_setups();

}  // namespace vpmu::property
