// SPDX-License-Identifier: MIT
#include "vpmu/virt/exit_stats.hpp"

namespace vpmu::virt {

const char* name(ExitReason reason) {
  static constexpr const char* kNames[kExitReasonCount] = {
      "msr-read",     "msr-write",
      "rdpmc",        "cpuid",
      "port-io",      "mmio",
      "apic-access",  "cr-access",
      "dr-access",    "hlt",
      "pause",        "hypercall",
      "exception",    "interrupt-window",
      "nmi-window",   "external-interrupt",
      "init",         "sipi",
      "other",        "sysreg-read",
      "sysreg-write", "wait",
  };
  return kNames[static_cast<std::size_t>(reason)];
}

std::uint64_t ExitStats::total_count() const {
  std::uint64_t total = 0;
  for (const std::uint64_t count : counts_) total += count;
  return total;
}

std::uint64_t ExitStats::total_cost() const {
  std::uint64_t total = 0;
  for (std::size_t n = 0; n < kExitReasonCount; ++n) total += cost(static_cast<ExitReason>(n));
  return total;
}

}  // namespace vpmu::virt
