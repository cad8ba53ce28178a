// SPDX-License-Identifier: MIT
//
// The kernel's answer to event filters: a VM on /dev/kvm, without memory and vCPUs, that filters
// are loaded into.
//
// A filter is put so that its last byte is the last of its page, with nothing mapped behind it: one
// whose entries are not all there is answered as the kernel answers at the end of a process's
// memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "machine/kvm/kvm_system.hpp"
#include "machine/kvm/kvm_vm.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::machine::kvm {

/// KVM_SET_PMU_EVENT_FILTER, of a VM's descriptor.
inline constexpr unsigned long kSetPmuEventFilter = 0x4020'aeb2;

class KvmEventFilter {
 public:
  /// Opens the device and creates the VM; `system` stays there. An error is one line: what is
  /// missing, and what to do.
  static Result<KvmEventFilter> create(KvmSystem& system);
  KvmEventFilter(KvmEventFilter&& other) noexcept;
  KvmEventFilter& operator=(KvmEventFilter&&) = delete;
  ~KvmEventFilter();

  /// KVM_CAP_PMU_EVENT_MASKED_EVENTS.
  [[nodiscard]] bool takes_masked_events() const { return masked_events_; }

  /// The errno with which the kernel refuses a filter, or 0. Replaces the filter before if it is 0.
  /// The kernel can see no more than the first kMostBytes.
  static constexpr std::size_t kMostBytes = std::size_t{64} << 10;
  int load(std::span<const std::byte> filter);

  /// For guests of which vendor this kernel checks filters. None if it takes no masked events: it
  /// makes no difference then. Loads a filter.
  std::optional<silicon::x86::Vendor> vendor();

 private:
  explicit KvmEventFilter(KvmVm vm);

  KvmVm vm_;
  bool masked_events_ = false;
  std::byte* memory_ = nullptr;  ///< kMostBytes and a page that is not there
};

}  // namespace vpmu::machine::kvm
