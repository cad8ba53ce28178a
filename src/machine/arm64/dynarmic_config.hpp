// SPDX-License-Identifier: MIT
//
// How dynarmic is set up wherever it is used: only for what includes dynarmic anyway.
#pragma once

#include <dynarmic/interface/A64/a64.h>
#include <dynarmic/interface/A64/config.h>

#include <cstddef>
#include <cstdint>

namespace vpmu::machine::arm64 {

/// MRS X0, CNTPCT_EL0: behind other instructions for which something has been compiled, dynarmic
/// ends a block in front of it, which costs nothing.
inline constexpr std::uint32_t kSplitWord = 0xd53b'e020;

/// What is the same for all. Not among the optimisations: the pass that merges what is left to
/// others, which reads code behind the end of a block; and the fast dispatcher, which looks at no
/// ticks, so that indirect branches could go on for ever. The return stack does not look at them
/// either: see Jit::Private::unchecked_return().
inline Dynarmic::A64::UserConfig dynarmic_config(Dynarmic::A64::UserCallbacks& callbacks,
                                                 Dynarmic::ExclusiveMonitor& monitor,
                                                 std::size_t code_bytes) {
  Dynarmic::A64::UserConfig config;
  config.callbacks = &callbacks;
  config.global_monitor = &monitor;
  config.optimizations =
      Dynarmic::all_safe_optimizations &
      ~(Dynarmic::OptimizationFlag::MiscIROpt | Dynarmic::OptimizationFlag::FastDispatch);
  config.hook_data_cache_operations = true;
  config.hook_isb = true;
  config.hook_hint_instructions = true;
  config.check_halt_on_memory_access = true;
  config.code_cache_size = code_bytes;
  return config;
}

}  // namespace vpmu::machine::arm64
