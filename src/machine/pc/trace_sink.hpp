// SPDX-License-Identifier: MIT
//
// Told what a guest does, as it does it. Each call is one event at an instruction boundary of a
// vCPU; `time` is machine time in cycles.
#pragma once

#include <cstdint>

#include "vpmu/base/access.hpp"
#include "vpmu/base/numbers.hpp"
#include "vpmu/virt/exit_stats.hpp"

namespace vpmu::machine {

class TraceSink {
 public:
  struct Where {
    unsigned vcpu;
    std::uint64_t time;
    std::uint64_t rip;  ///< of the block that runs, where the CPU does not know better
  };

  virtual void msr_read(const Where& where, MsrIndex msr, const Access& result) = 0;
  virtual void msr_write(const Where& where, MsrIndex msr, std::uint64_t value,
                         const Access& result) = 0;
  virtual void exit(const Where& where, virt::ExitReason reason) = 0;
  /// The vCPU takes an interrupt.
  virtual void interrupt(const Where& where, std::uint8_t vector) = 0;
  virtual void nmi(const Where& where) = 0;

 protected:
  ~TraceSink() = default;
};

}  // namespace vpmu::machine
