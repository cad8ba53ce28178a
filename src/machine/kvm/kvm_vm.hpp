// SPDX-License-Identifier: MIT
//
// /dev/kvm and a VM on it, without memory and vCPUs, to ask the kernel something; both are closed
// when it goes. Errors are one line: what is missing, and what to do.
#pragma once

#include <cstdint>

#include "machine/kvm/kvm_system.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::kvm {

class KvmVm {
 public:
  /// Opens the device, and sees that it is KVM. `system` stays there.
  static Result<KvmVm> open(KvmSystem& system);
  KvmVm(KvmVm&& other) noexcept;
  KvmVm& operator=(KvmVm&&) = delete;
  ~KvmVm();

  /// KVM_CHECK_EXTENSION: does this kernel have it?
  [[nodiscard]] bool has(std::uintptr_t capability) const;
  /// Creates the VM. Once.
  Result<void> create();
  /// ioctl(2) of the VM: its result, or minus the errno.
  int call(unsigned long request, std::uintptr_t argument) {
    return system_->call(vm_, request, argument);
  }
  [[nodiscard]] KvmSystem& system() const { return *system_; }

 private:
  KvmVm(KvmSystem& system, int kvm) : system_{&system}, kvm_{kvm} {}

  KvmSystem* system_;
  int kvm_;
  int vm_ = -1;
};

}  // namespace vpmu::machine::kvm
