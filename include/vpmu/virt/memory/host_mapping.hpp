// SPDX-License-Identifier: MIT
//
// Memory for a slot, and its owner. An address space takes any memory of the VMM's; this is where
// one that has none gets it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vpmu/base/errno_error.hpp"

namespace vpmu::virt::memory {

enum class HostMemoryKind : std::uint8_t {
  kAnonymous,   ///< private pages; the kernel may use huge ones
  kSmallPages,  ///< private pages of 4 KiB, never huge ones
  kHugePages,   ///< of the host's pool of 2 MiB pages (vm.nr_hugepages)
  kShared,      ///< a memfd, which others may map, too
  kSharedHuge,  ///< the same of the pool
};

/// Reserves no memory but from the pool: a page is there when it is touched first. Begins at a
/// multiple of 2 MiB, so that stage 2 blocks fit wherever guest physical addresses do.
class HostMapping {
 public:
  /// `bytes`: a multiple of 4 KiB, of 2 MiB from the pool, at least one. Errors: EINVAL, and those
  /// of mmap() and memfd_create().
  static ErrnoResult<HostMapping> create(HostMemoryKind kind, std::uint64_t bytes);
  /// What the VMM has in a file or memfd, shared; the descriptor stays the caller's.
  static ErrnoResult<HostMapping> of_file(int descriptor, std::uint64_t offset,
                                          std::uint64_t bytes);
  HostMapping(HostMapping&& other) noexcept;
  HostMapping& operator=(HostMapping&& other) noexcept;
  ~HostMapping();

  [[nodiscard]] std::byte* data() const { return begin_; }
  [[nodiscard]] std::uint64_t size() const { return bytes_; }
  /// The memfd of kShared and kSharedHuge; -1: none. Closed at the end.
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  HostMapping(std::byte* begin, std::uint64_t bytes, int descriptor)
      : begin_{begin}, bytes_{bytes}, descriptor_{descriptor} {}

  std::byte* begin_;
  std::uint64_t bytes_;
  int descriptor_;
};

}  // namespace vpmu::virt::memory
