// SPDX-License-Identifier: MIT
#include "vpmu/virt/memory/host_mapping.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "vpmu/virt/memory/memory_slot.hpp"

namespace vpmu::virt::memory {

namespace {

constexpr std::uint64_t kMostBytes = MemorySlot::kMostPages * kPageBytes;

bool from_pool(HostMemoryKind kind) {
  return kind == HostMemoryKind::kHugePages || kind == HostMemoryKind::kSharedHuge;
}
bool is_shared(HostMemoryKind kind) {
  return kind == HostMemoryKind::kShared || kind == HostMemoryKind::kSharedHuge;
}

tl::unexpected<ErrnoError> refused(int error, std::uint64_t bytes, const char* what,
                                   const char* remedy) {
  return refuse(error, "memory of " + std::to_string(bytes) + " bytes: " + what + " (" +
                           std::strerror(error) + "); " + remedy);
}
const char* remedy_of(HostMemoryKind kind) {
  return from_pool(kind) ? "make the pool larger with sysctl vm.nr_hugepages"
                         : "give the guest less, or raise the limits of this process";
}

/// Addresses that nobody else gets, from a multiple of 2 MiB on; null: errno says why not.
std::byte* reserve(std::uint64_t bytes) {
  const std::uint64_t more = bytes + kBlockBytes;
  void* const reserved =
      mmap(nullptr, more, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(reserved);
  const std::uint64_t before = -reinterpret_cast<std::uintptr_t>(begin) % kBlockBytes;
  if (before != 0) munmap(begin, before);
  munmap(begin + before + bytes, kBlockBytes - before);
  return begin + before;
}

/// In the place of what is reserved.
bool put(std::byte* begin, std::uint64_t bytes, int flags, int descriptor, std::uint64_t offset) {
  return mmap(begin, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, descriptor,
              static_cast<off_t>(offset)) != MAP_FAILED;
}

/// A memfd of that size, or minus the errno.
int shared_memory(std::uint64_t bytes, bool pool) {
  const int descriptor = memfd_create("guest memory", MFD_CLOEXEC | (pool ? MFD_HUGETLB : 0));
  if (descriptor < 0) return -errno;
  if (ftruncate(descriptor, static_cast<off_t>(bytes)) == 0) return descriptor;
  const int error = errno;
  close(descriptor);
  return -error;
}

int mapping_flags(HostMemoryKind kind) {
  if (is_shared(kind)) return MAP_SHARED | (from_pool(kind) ? 0 : MAP_NORESERVE);
  return MAP_PRIVATE | MAP_ANONYMOUS | (from_pool(kind) ? MAP_HUGETLB : MAP_NORESERVE);
}

}  // namespace

ErrnoResult<HostMapping> HostMapping::create(HostMemoryKind kind, std::uint64_t bytes) {
  const std::uint64_t unit = from_pool(kind) ? kBlockBytes : kPageBytes;
  if (bytes == 0 || bytes % unit != 0 || bytes > kMostBytes)
    return refused(EINVAL, bytes, "not a size for a slot",
                   from_pool(kind) ? "give a multiple of 2 MiB" : "give a multiple of 4 KiB");
  int descriptor = -1;
  if (is_shared(kind)) {
    descriptor = shared_memory(bytes, from_pool(kind));
    if (descriptor < 0)
      return refused(-descriptor, bytes, "no memfd of that size", remedy_of(kind));
  }
  std::byte* const begin = reserve(bytes);
  HostMapping mapping{begin, bytes, descriptor};
  if (begin == nullptr || !put(begin, bytes, mapping_flags(kind), descriptor, 0))
    return refused(errno, bytes, "the host refuses it", remedy_of(kind));
  // Advice, which a kernel without huge pages does not take.
  if (kind == HostMemoryKind::kAnonymous) madvise(begin, bytes, MADV_HUGEPAGE);
  if (kind == HostMemoryKind::kSmallPages) madvise(begin, bytes, MADV_NOHUGEPAGE);
  return mapping;
}

ErrnoResult<HostMapping> HostMapping::of_file(int descriptor, std::uint64_t offset,
                                              std::uint64_t bytes) {
  if (bytes == 0 || bytes % kPageBytes != 0 || bytes > kMostBytes || offset % kPageBytes != 0)
    return refused(EINVAL, bytes, "not a size for a slot, or not a place in a file",
                   "give multiples of 4 KiB");
  std::byte* const begin = reserve(bytes);
  HostMapping mapping{begin, bytes, -1};
  if (begin == nullptr || !put(begin, bytes, MAP_SHARED, descriptor, offset))
    return refused(errno, bytes, "the host refuses to map the file",
                   "give a file that can be mapped for reading and writing");
  return mapping;
}

HostMapping::HostMapping(HostMapping&& other) noexcept
    : begin_{std::exchange(other.begin_, nullptr)},
      bytes_{std::exchange(other.bytes_, 0)},
      descriptor_{std::exchange(other.descriptor_, -1)} {}

HostMapping& HostMapping::operator=(HostMapping&& other) noexcept {
  std::swap(begin_, other.begin_);
  std::swap(bytes_, other.bytes_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

HostMapping::~HostMapping() {
  if (begin_ != nullptr) munmap(begin_, bytes_);
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace vpmu::virt::memory
