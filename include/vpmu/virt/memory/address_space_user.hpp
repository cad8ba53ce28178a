// SPDX-License-Identifier: MIT
//
// The hypervisor around an address space: its vCPUs, its translation hardware if it has some, its
// caches. Everything has a default, for one that runs guests in software.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vpmu/base/numbers.hpp"

namespace vpmu::virt::memory {

/// Pages that are mapped one after another, and their memory.
struct StageTwoRange {
  GuestPhysical begin{};
  std::uint64_t bytes = 0;
  std::byte* host = nullptr;
  bool writable = false;
};

/// A stage 2 fault where a lock had promised that there is none.
struct LockedPageFault {
  std::uint32_t slot = 0;
  GuestPhysical page{};
  bool write = false;
  std::uint64_t count = 0;  ///< how many there were by now, this one included
};

/// None of it calls the address space. What says "within" is called with its locks held, by the
/// thread that made the call.
class AddressSpaceUser {
 public:
  /// Tries to keep all vCPUs from running until let_vcpus_go(); false: one runs. Never waits. Only
  /// if locks are for before the first run.
  virtual bool hold_vcpus() { return true; }
  virtual void let_vcpus_go() {}

  /// Within. All of it, or an errno and nothing. Parts may be mapped already; none loses its
  /// permission to be written.
  virtual int map(const StageTwoRange&) { return 0; }
  /// Within. Not all of it need be mapped.
  virtual void unmap(GuestPhysical, std::uint64_t /*bytes*/) {}
  virtual void write_protect(GuestPhysical, std::uint64_t /*bytes*/) {}
  /// Entries are gone, or are read-only now: returns when no vCPU uses a translation any more that
  /// is older than AddressSpace::generation(). A vCPU outside its guest uses none, so this does not
  /// wait for threads that are in a call of the address space.
  virtual void drop_translations() {}

  /// Within: what was put off until vCPUs run. Tags: 0, or EFAULT if the memory is not all there or
  /// is shared.
  virtual int clean_tags(std::byte*, std::uint64_t /*bytes*/) { return 0; }
  virtual void clean_data_cache(std::byte*, std::uint64_t /*bytes*/) {}
  virtual void invalidate_instruction_cache() {}

  /// To be logged: the first ten, and then at every power of two. On a vCPU's thread.
  virtual void locked_page_faulted(const LockedPageFault&) {}

 protected:
  ~AddressSpaceUser() = default;
};

}  // namespace vpmu::virt::memory
