// SPDX-License-Identifier: MIT
//
// A memory slot, as KVM_SET_USER_MEMORY_REGION takes it (struct kvm_userspace_memory_region), and
// the requests of KVM_CAP_ARM_LOCK_USER_MEMORY_REGION, which pins one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "vpmu/base/numbers.hpp"

namespace vpmu::virt::memory {

inline constexpr std::uint64_t kPageBytes = 4096;
inline constexpr std::uint64_t kBlockBytes = std::uint64_t{2} << 20;  ///< a stage 2 block
inline constexpr std::uint64_t kPagesPerBlock = kBlockBytes / kPageBytes;

/// Guest physical addresses (IPAs) that are memory of the VMM's.
struct MemorySlot {
  static constexpr std::uint32_t kLogDirtyPages = 1;  ///< of `flags`
  static constexpr std::uint32_t kReadOnly = 2;       ///< guests' writes are faults
  static constexpr std::uint64_t kMostPages = (std::uint64_t{1} << 31) - 1;

  std::uint32_t number = 0;
  std::uint32_t flags = 0;
  GuestPhysical begin{};
  std::uint64_t bytes = 0;    ///< 0: the slot is deleted
  std::byte* host = nullptr;  ///< there as long as the slot is, and until its deletion has returned

  [[nodiscard]] bool logs_dirty_pages() const { return (flags & kLogDirtyPages) != 0; }
  [[nodiscard]] bool is_read_only() const { return (flags & kReadOnly) != 0; }
  friend bool operator==(const MemorySlot&, const MemorySlot&) = default;
};

/// What the pages of a lock may be used for without a stage 2 fault. Writing takes reading.
enum class LockAccess : std::uint8_t { kRead, kReadWrite };

/// struct kvm_enable_cap of the capability. Plain data: what is in it need not be valid.
struct LockRequest {
  static constexpr std::uint32_t kCapability = 206;  ///< KVM_CAP_ARM_LOCK_USER_MEMORY_REGION

  static constexpr std::uint32_t kLock = 1;  ///< of `flags`: exactly one of both
  static constexpr std::uint32_t kUnlock = 2;
  static constexpr std::uint64_t kRead = 1;  ///< of args[1] with kLock
  static constexpr std::uint64_t kWrite = 2;
  static constexpr std::uint64_t kUnlockAll = 1;  ///< of args[1] with kUnlock

  std::uint32_t flags = 0;
  std::array<std::uint64_t, 4> args{};  ///< slot; access or options; 0; 0
};

}  // namespace vpmu::virt::memory
