// SPDX-License-Identifier: MIT
#include "machine/guest_memory.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace vpmu::machine {

Result<GuestMemory> GuestMemory::create(std::uint64_t bytes) {
  constexpr std::uint64_t kSmallest = 1ULL << 20;
  if (bytes < kSmallest || bytes % 4096 != 0) {
    return fail("guest memory of " + std::to_string(bytes) +
                " bytes: give at least 1 MiB, in multiples of 4 KiB");
  }
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    return fail("guest memory of " + std::to_string(bytes) + " bytes: the host refuses it (" +
                std::strerror(errno) + "); give the guest less with --mem");
  }
  return GuestMemory{static_cast<std::uint8_t*>(base), bytes};
}

GuestMemory::GuestMemory(GuestMemory&& other) noexcept
    : base_{std::exchange(other.base_, nullptr)}, size_{std::exchange(other.size_, 0)} {}

GuestMemory::~GuestMemory() {
  if (base_ != nullptr) munmap(base_, size_);
}

bool GuestMemory::write(std::uint64_t address, std::span<const std::uint8_t> bytes) const {
  std::uint8_t* to = host(address, bytes.size());
  if (to == nullptr) return false;
  std::memcpy(to, bytes.data(), bytes.size());
  return true;
}

bool GuestMemory::fill_zero(std::uint64_t address, std::uint64_t length) const {
  std::uint8_t* to = host(address, length);
  if (to == nullptr) return false;
  std::memset(to, 0, length);
  return true;
}

}  // namespace vpmu::machine
