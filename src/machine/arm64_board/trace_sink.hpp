// SPDX-License-Identifier: MIT
//
// Told what an arm64 guest does, as it does it. Each call is one event at an instruction boundary
// of a vCPU; `time` is machine time in cycles.
#pragma once

#include <cstdint>

#include "vpmu/base/access.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"
#include "vpmu/virt/exit_stats.hpp"

namespace vpmu::machine::arm64 {

class TraceSink {
 public:
  struct Where {
    unsigned vcpu;
    std::uint64_t time;
    std::uint64_t pc;  ///< of the block that runs, where the CPU does not know better
  };

  /// MRS and MSR of what is not the CPU's own: PMU, GIC and timer.
  virtual void register_read(const Where& where, silicon::arm64::SystemRegister reg,
                             const Access& result) = 0;
  virtual void register_write(const Where& where, silicon::arm64::SystemRegister reg,
                              std::uint64_t value, const Access& result) = 0;
  virtual void exit(const Where& where, virt::ExitReason reason) = 0;
  /// The vCPU acknowledges an interrupt, and learns which it is.
  virtual void interrupt(const Where& where, std::uint32_t intid) = 0;

 protected:
  ~TraceSink() = default;
};

}  // namespace vpmu::machine::arm64
