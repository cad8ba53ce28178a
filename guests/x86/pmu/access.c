// SPDX-License-Identifier: MIT
#include "access.h"

#include "runtime/cpu.h"
#include "runtime/traps.h"

struct write {
  uint32_t msr;
  uint64_t value;
};
static void do_write(void* argument) {
  const struct write* write = argument;
  wrmsr(write->msr, write->value);
}
static void do_read(void* msr) {
  rdmsr((uint32_t)(uint64_t)msr);
}
static void do_rdpmc(void* index) {
  rdpmc((uint32_t)(uint64_t)index);
}

static bool faults(void (*function)(void*), void* argument) {
  const struct trap trap = guard(function, argument);
  return trap.vector == VECTOR_GP && trap.error == 0;
}
static bool write_faults(uint32_t msr, uint64_t value) {
  struct write write = {msr, value};
  return faults(do_write, &write);
}
static bool read_faults(uint32_t msr) {
  return faults(do_read, (void*)(uint64_t)msr);
}

bool refuses(uint32_t msr, uint64_t value) {
  if (read_faults(msr)) return false;
  const uint64_t before = rdmsr(msr);
  return write_faults(msr, value) && rdmsr(msr) == before;
}
bool becomes(uint32_t msr, uint64_t value, uint64_t result) {
  return !write_faults(msr, value) && !read_faults(msr) && rdmsr(msr) == result;
}
bool keeps(uint32_t msr, uint64_t value) {
  return becomes(msr, value, value);
}
bool ignores(uint32_t msr, uint64_t value) {
  return !read_faults(msr) && becomes(msr, value, rdmsr(msr));
}
bool absent(uint32_t msr) {
  return read_faults(msr) && write_faults(msr, 0);
}
bool drops(uint32_t msr) {
  return !read_faults(msr) && rdmsr(msr) == 0 && becomes(msr, 0xffff, 0);
}
bool rdpmc_refuses(uint32_t index) {
  return faults(do_rdpmc, (void*)(uint64_t)index);
}
