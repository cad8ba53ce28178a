// SPDX-License-Identifier: MIT
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "vpmu/virt/memory/memory_slot.hpp"
#include "vpmu/virt/memory/pinning_host.hpp"

namespace vpmu::virt::memory {

namespace {

/// Since Linux 5.14; not in every C library's headers.
constexpr int kPopulateRead = 22, kPopulateWrite = 23;

int errno_of(int result) {
  return result == 0 ? 0 : errno;
}

/// Advice that a kernel does not know is wrong for no bytes, too.
bool knows_populate() {
  static const bool known = madvise(nullptr, 0, kPopulateRead) == 0;
  return known;
}

int populate(std::byte* begin, std::uint64_t bytes, bool write) {
  for (;;) {
    const int error = errno_of(madvise(begin, bytes, write ? kPopulateWrite : kPopulateRead));
    if (error != EINTR && error != EAGAIN) return error;
  }
}

// The system calls themselves: sanitizers replace the C library's mlock() and munlock() by nothing.
int lock_pages(std::byte* begin, std::uint64_t bytes) {
  return static_cast<int>(syscall(SYS_mlock, begin, bytes));
}
int lock_pages_on_fault(std::byte* begin, std::uint64_t bytes) {
  return static_cast<int>(syscall(SYS_mlock2, begin, bytes, MLOCK_ONFAULT));
}
void unlock_pages(std::byte* begin, std::uint64_t bytes) {
  syscall(SYS_munlock, begin, bytes);
}

bool may_lock_without_limit() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (syscall(SYS_capget, &header, sets.data()) != 0) return false;
  return (sets[CAP_IPC_LOCK / 32].effective >> CAP_IPC_LOCK % 32 & 1) != 0;
}

/// In pages, for a process without CAP_IPC_LOCK.
std::uint64_t limit() {
  rlimit locked{};
  if (getrlimit(RLIMIT_MEMLOCK, &locked) != 0) return 0;
  return locked.rlim_cur == RLIM_INFINITY ? ~std::uint64_t{0} : locked.rlim_cur / kPageBytes;
}

}  // namespace

void* LinuxPinningHost::allocate(std::size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

void LinuxPinningHost::release(void* memory, std::size_t bytes) {
  munmap(memory, bytes);
}

int LinuxPinningHost::pin(std::byte* begin, std::uint64_t bytes, bool write) {
  // The pages are made resident once, by the call that says why it cannot.
  int error =
      errno_of(knows_populate() ? lock_pages_on_fault(begin, bytes) : lock_pages(begin, bytes));
  if (error == 0 && knows_populate()) error = populate(begin, bytes, write);
  // What lies before a hole is locked when that is found; unlocking stops there, too.
  if (error != 0) unlock_pages(begin, bytes);
  return error;
}

int LinuxPinningHost::pin_for_writing(std::byte* begin, std::uint64_t bytes) {
  return knows_populate() ? populate(begin, bytes, true) : 0;
}

void LinuxPinningHost::unpin(std::byte* begin, std::uint64_t bytes) {
  unlock_pages(begin, bytes);
}

int LinuxPinningHost::fault_in(std::byte* page, bool write) {
  // Where nobody can be asked, the access itself will tell.
  return knows_populate() ? populate(page, kPageBytes, write) : 0;
}

bool LinuxPinningHost::may_charge(std::uint64_t pages) {
  if (may_lock_without_limit()) return true;
  const std::uint64_t most = limit();
  const std::uint64_t charged = charged_;
  return charged <= most && pages <= most - charged;
}

bool LinuxPinningHost::charge(std::uint64_t pages) {
  const bool unlimited = may_lock_without_limit();
  const std::uint64_t most = limit();
  std::uint64_t charged = charged_;
  do {
    if (!unlimited && (charged > most || pages > most - charged)) return false;
  } while (!charged_.compare_exchange_weak(charged, charged + pages));
  return true;
}

void LinuxPinningHost::uncharge(std::uint64_t pages) {
  charged_ -= pages;
}

}  // namespace vpmu::virt::memory
