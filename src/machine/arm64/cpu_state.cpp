// SPDX-License-Identifier: MIT
#include "machine/arm64/cpu_state.hpp"

#include "machine/arm64/cpu_private.hpp"
#include "machine/cannot_hold.hpp"

namespace vpmu::machine::arm64 {

namespace {

/// FPCR and FPSR as far as instructions use them.
constexpr std::uint32_t kFpcr = 0x07f7'9f00, kFpsr = 0xf800'009f, kNzcv = 0xf000'0000;

/// What a guest could not have brought about. The rest is the guest's own doing.
Result<void> check(const CpuState& state, const Identity& identity) {
  const Core& core = state.core;
  const RegisterState& registers = state.registers;
  if (core.identity != identity) return fail("the state is another CPU's");
  if (core.el > ExceptionLevel::kEl1) {
    return cannot_hold("the exception level", static_cast<std::uint64_t>(core.el));
  }
  if (core.daif > kMaskAll) return cannot_hold("DAIF", core.daif);
  if ((core.sctlr & ~Sctlr::kWritable) != Sctlr::kRes1) return cannot_hold("SCTLR_EL1", core.sctlr);
  if ((core.tcr & ~Tcr::kWritable) != 0) return cannot_hold("TCR_EL1", core.tcr);
  if ((registers.nzcv & ~kNzcv) != 0) return cannot_hold("NZCV", registers.nzcv);
  if ((registers.fpcr & ~kFpcr) != 0) return cannot_hold("FPCR", registers.fpcr);
  if ((registers.fpsr & ~kFpsr) != 0) return cannot_hold("FPSR", registers.fpsr);
  if (state.sleep > Sleep::kEvent) {
    return cannot_hold("what the CPU waits for", static_cast<std::uint64_t>(state.sleep));
  }
  if (state.watched.physical % sizeof state.watched.held != 0) {
    return cannot_hold("the watched address", state.watched.physical);
  }
  return {};
}

}  // namespace

CpuState Cpu::save() const {
  const Private& p = *private_;
  return {.core = p.core,
          .registers = p.jit().registers(),
          .powered = p.powered,
          .sleep = p.sleep,
          .event = p.event_register,
          .delivered = p.delivered,
          .exclusive = p.jit().exclusive(),
          .watched = p.watched,
          .predictor = p.predictor.save()};
}

Result<void> Cpu::restore(const CpuState& state) {
  Private& p = *private_;
  if (auto checked = check(state, p.core.identity); !checked) return checked;
  if (auto restored = p.predictor.restore(state.predictor); !restored) return restored;
  p.core = state.core;
  state_changed();
  p.jit().set_registers(state.registers);
  p.jit().set_exclusive(state.exclusive);
  p.powered = state.powered;
  p.sleep = state.sleep;
  p.event_register = state.event;
  p.watched = state.watched;
  p.exit_requested = false;
  p.delivered = state.delivered;
  return {};
}

}  // namespace vpmu::machine::arm64
