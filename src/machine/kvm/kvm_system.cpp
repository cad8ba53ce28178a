// SPDX-License-Identifier: MIT
#include "machine/kvm/kvm_system.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

namespace vpmu::machine::kvm {

int LinuxKvmSystem::open() {
  const int descriptor = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
  return descriptor < 0 ? -errno : descriptor;
}

int LinuxKvmSystem::call(int descriptor, unsigned long request, std::uintptr_t argument) {
  const int result = ::ioctl(descriptor, request, argument);
  return result < 0 ? -errno : result;
}

void LinuxKvmSystem::close(int descriptor) {
  ::close(descriptor);
}

}  // namespace vpmu::machine::kvm
