// SPDX-License-Identifier: MIT
//
// What an address space needs from the operating system under it: pages that stay where they are,
// an account of how many, and zeroed memory for its own tables.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vpmu::virt::memory {

/// Addresses and sizes are whole pages. Errors are errno, positive; 0 is none. Called on any
/// thread, several at the same time; implementations do not call the address space, but for
/// AddressSpace::invalidate().
class PinningHost {
 public:
  /// Zeroed memory that costs nothing until it is written; null: there is none.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory, std::size_t bytes) = 0;

  /// Makes all these pages resident, for writing ones of their own, and keeps them so: all or
  /// nothing. None of them is pinned.
  virtual int pin(std::byte* begin, std::uint64_t bytes, bool write) = 0;
  /// Of pages that are pinned, maybe for reading only: for writing, too. They stay pinned in any
  /// case.
  virtual int pin_for_writing(std::byte* begin, std::uint64_t bytes) = 0;
  /// Pages that are pinned.
  virtual void unpin(std::byte* begin, std::uint64_t bytes) = 0;
  /// Makes one page resident, as an access would.
  virtual int fault_in(std::byte* page, bool write) = 0;

  /// So many pages more would not be too many, or nobody counts: the caller has CAP_IPC_LOCK.
  virtual bool may_charge(std::uint64_t pages) = 0;
  /// The same, and they are accounted for.
  virtual bool charge(std::uint64_t pages) = 0;
  virtual void uncharge(std::uint64_t pages) = 0;

 protected:
  ~PinningHost() = default;
};

/// Linux: mlock2() and MADV_POPULATE, RLIMIT_MEMLOCK. The account is that of this object: the
/// kernel's own, of the whole process, is checked by pin().
///
/// Pins belong to the process: a child of fork() has none, and must not use what it has inherited.
class LinuxPinningHost final : public PinningHost {
 public:
  void* allocate(std::size_t bytes) override;
  void release(void* memory, std::size_t bytes) override;
  int pin(std::byte* begin, std::uint64_t bytes, bool write) override;
  int pin_for_writing(std::byte* begin, std::uint64_t bytes) override;
  void unpin(std::byte* begin, std::uint64_t bytes) override;
  int fault_in(std::byte* page, bool write) override;
  bool may_charge(std::uint64_t pages) override;
  bool charge(std::uint64_t pages) override;
  void uncharge(std::uint64_t pages) override;

  [[nodiscard]] std::uint64_t charged_pages() const { return charged_; }

 private:
  std::atomic<std::uint64_t> charged_ = 0;
};

}  // namespace vpmu::virt::memory
