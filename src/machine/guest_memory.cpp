// SPDX-License-Identifier: MIT
#include "machine/guest_memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace vpmu::machine {

Result<GuestMemory> GuestMemory::create(std::uint64_t bytes, const MemoryLayout& layout) {
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
  return GuestMemory{static_cast<std::uint8_t*>(base), bytes, layout};
}

GuestMemory::GuestMemory(std::uint8_t* base, std::uint64_t size, const MemoryLayout& layout)
    : base_{base},
      size_{size},
      begin_{layout.begin},
      low_size_{std::min(size, layout.low_end - layout.begin)},
      high_begin_{layout.high_begin} {}

GuestMemory::GuestMemory(GuestMemory&& other) noexcept
    : base_{std::exchange(other.base_, nullptr)},
      size_{std::exchange(other.size_, 0)},
      begin_{other.begin_},
      low_size_{std::exchange(other.low_size_, 0)},
      high_begin_{other.high_begin_} {}

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
