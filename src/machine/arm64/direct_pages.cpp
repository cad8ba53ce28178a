// SPDX-License-Identifier: MIT
#include "machine/arm64/direct_pages.hpp"

#include <sys/mman.h>

namespace vpmu::machine::arm64 {

DirectPages::DirectPages() {
  void* const table = mmap(nullptr, kEntries * sizeof(void*), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (table != MAP_FAILED) table_ = static_cast<void**>(table);
}

DirectPages::~DirectPages() {
  if (table_ != nullptr) munmap(table_, kEntries * sizeof(void*));
}

void DirectPages::fill(std::uint64_t address, const std::uint8_t* host) {
  const std::uint64_t page = address / kPageBytes;
  if (table_ == nullptr || page >= kEntries) return;
  if (filled_.size() >= kMostFilled) clear();
  const auto distance = reinterpret_cast<std::uintptr_t>(host) - page * kPageBytes;
  if (table_[page] == nullptr) filled_.push_back(static_cast<std::uint32_t>(page));
  table_[page] = reinterpret_cast<void*>(distance);
}

void DirectPages::clear() {
  for (const std::uint32_t page : filled_) table_[page] = nullptr;
  filled_.clear();
}

}  // namespace vpmu::machine::arm64
