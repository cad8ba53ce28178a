// SPDX-License-Identifier: MIT
//
// /dev/kvm behind an interface, so that whoever uses it can be tested where there is none.
#pragma once

#include <cstdint>

namespace vpmu::machine::kvm {

class KvmSystem {
 public:
  /// Opens /dev/kvm: a descriptor, or minus the errno.
  virtual int open() = 0;
  /// ioctl(2) of /dev/kvm or a VM's descriptor: its result, or minus the errno.
  virtual int call(int descriptor, unsigned long request, std::uintptr_t argument) = 0;
  virtual void close(int descriptor) = 0;

 protected:
  ~KvmSystem() = default;
};

/// The running kernel's.
class LinuxKvmSystem final : public KvmSystem {
 public:
  int open() override;
  int call(int descriptor, unsigned long request, std::uintptr_t argument) override;
  void close(int descriptor) override;
};

}  // namespace vpmu::machine::kvm
