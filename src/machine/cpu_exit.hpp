// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace vpmu::machine {

/// Why a CPU does not execute any more.
enum class CpuExit : std::uint8_t {
  kBudget,     ///< the instructions or cycles given are used up
  kHalted,     ///< waits for an interrupt (HLT, WFI), and nothing to wake it yet
  kWaiting,    ///< waits to be started by another CPU
  kRequested,  ///< request_exit() was called by a device or signal handler
  kShutdown,   ///< cannot go on: a triple fault
  kRefused,    ///< the hypervisor does not enter the guest
};

}  // namespace vpmu::machine
