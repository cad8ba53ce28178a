// SPDX-License-Identifier: MIT
#include "machine/kvm/kvm_vm.hpp"

#include <linux/ioctl.h>

#include <cstring>
#include <string>
#include <utility>

#include "machine/kvm/kvm_probe.hpp"

namespace vpmu::machine::kvm {

namespace {
constexpr unsigned kKvmIo = 0xae;
constexpr unsigned long kGetApiVersion = _IO(kKvmIo, 0x00);
constexpr unsigned long kCreateVm = _IO(kKvmIo, 0x01);
constexpr unsigned long kCheckExtension = _IO(kKvmIo, 0x03);

std::string reason(int error) {
  return std::strerror(error);
}
}  // namespace

KvmVm::KvmVm(KvmVm&& other) noexcept
    : system_{other.system_},
      kvm_{std::exchange(other.kvm_, -1)},
      vm_{std::exchange(other.vm_, -1)} {}

KvmVm::~KvmVm() {
  if (vm_ >= 0) system_->close(vm_);
  if (kvm_ >= 0) system_->close(kvm_);
}

Result<KvmVm> KvmVm::open(KvmSystem& system) {
  const int kvm = system.open();
  if (kvm < 0) {
    return fail("/dev/kvm does not open: " + reason(-kvm) + "; `vpmu doctor` says what to do");
  }
  KvmVm opened{system, kvm};
  if (system.call(kvm, kGetApiVersion, 0) != kApiVersion) {
    return fail("/dev/kvm is not KVM as Linux has it; `vpmu doctor` says what to do");
  }
  return opened;
}

bool KvmVm::has(std::uintptr_t capability) const {
  return system_->call(kvm_, kCheckExtension, capability) > 0;
}

Result<void> KvmVm::create() {
  vm_ = system_->call(kvm_, kCreateVm, 0);
  if (vm_ >= 0) return {};
  return fail("KVM creates no VM: " + reason(-vm_) + "; `vpmu doctor` says what to do");
}

}  // namespace vpmu::machine::kvm
