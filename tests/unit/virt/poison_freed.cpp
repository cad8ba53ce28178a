// SPDX-License-Identifier: MIT
//
// Linked into a test program, memory that is freed no longer looks like what was in it: whoever
// still reads it sees poison. Sanitizers do that better, and are left alone.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VPMU_HAS_SANITIZER
#endif
#endif
#else
#define VPMU_HAS_SANITIZER
#endif

#ifndef VPMU_HAS_SANITIZER
#include <malloc.h>

#include <cstdlib>
#include <cstring>
#include <new>

void* operator new(std::size_t size) {
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc{};
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size);
}
void operator delete(void* memory) noexcept {
  if (memory == nullptr) return;
  std::memset(memory, 0xdd, malloc_usable_size(memory));
  // What is poisoned is about to be freed: without this the compiler would leave it out.
  asm volatile("" : : "r"(memory) : "memory");
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  operator delete(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  operator delete(memory);
}
#endif
