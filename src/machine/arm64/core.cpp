// SPDX-License-Identifier: MIT
#include "machine/arm64/core.hpp"

namespace vpmu::machine::arm64 {

void reset(Core& core) {
  const Identity identity = core.identity;
  core = Core{};
  core.identity = identity;
}

std::uint64_t pstate(const Core& core, std::uint32_t nzcv) {
  Spsr spsr;
  spsr.raw = nzcv & Spsr::kNzcv.kMask;
  spsr.set(Spsr::kPan, core.pan ? 1 : 0);
  spsr.set(Spsr::kSs, core.ss ? 1 : 0);
  spsr.set(Spsr::kIl, core.il ? 1 : 0);
  spsr.set(Spsr::kDaif, core.daif);
  spsr.set(Spsr::kEl, static_cast<std::uint64_t>(core.el));
  spsr.set(Spsr::kSp, core.stack_in_use());
  return spsr.raw;
}

bool fp_trapped(const Core& core) {
  const std::uint64_t enabled = Cpacr{{core.cpacr}}.get(Cpacr::kFpen);
  return enabled != 3 && !(enabled == 1 && core.el == ExceptionLevel::kEl1);
}

bool tag_ignored(const Core& core, std::uint64_t address) {
  const Tcr tcr = core.translation_control();
  const bool upper = (address >> 55 & 1) != 0;
  return (upper ? tcr.get(Tcr::kTbi1) : tcr.get(Tcr::kTbi0)) != 0;
}

}  // namespace vpmu::machine::arm64
