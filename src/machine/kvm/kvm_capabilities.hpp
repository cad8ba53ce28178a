// SPDX-License-Identifier: MIT
//
// The KVM capabilities that matter to a virtual PMU, as data: Documentation/virt/kvm/api.rst of
// Linux. Numbers are here because they are newer than the kernel headers of the oldest supported
// distribution.
#pragma once

#include <cstdint>
#include <span>

namespace vpmu::machine::kvm {

enum class HostArchitecture : std::uint8_t { kX86, kArm64, kOther };

struct Capability {
  const char* check;  ///< name that reports use, e.g. "pmu-event-filter"
  const char* symbol;
  int number;
  const char* since;  ///< the first Linux that has it
  const char* needed_for;
  HostArchitecture architecture;
};

inline constexpr std::size_t kMostCapabilities = 8;
/// In the order of reports; at most kMostCapabilities. Static storage.
std::span<const Capability> capabilities(HostArchitecture architecture);

}  // namespace vpmu::machine::kvm
