// SPDX-License-Identifier: MIT
//
// What handlers call of the interpreter, without the interpreter: memory that the TLB does not have
// faults, and an exception is noted and no more.
#include <cstring>

#include "machine/x86/memory_access.hpp"

namespace vpmu::machine::x86 {

const Op* raise(Core& core, const Op* op, std::uint8_t vector) {
  core.exception = {.vector = vector};
  core.stopped_at = op;
  core.stop = Stop::kException;
  return nullptr;
}

const Op* raise(Core& core, const Op* op, std::uint8_t vector, std::uint32_t error_code) {
  raise(core, op, vector);
  core.exception.has_error_code = true;
  core.exception.error_code = error_code;
  return nullptr;
}

namespace {

/// Byte by byte, so that accesses across two mapped pages work.
template <class Find>
bool each_byte(Core& core, const Op* op, std::uint64_t linear, unsigned bytes, Find find) {
  for (unsigned i = 0; i < bytes; ++i) {
    if (find(linear + i) != nullptr) continue;
    raise(core, op, kPageFault, 0);
    core.exception.address = linear + i;
    return false;
  }
  return true;
}

}  // namespace

bool probe_write(Core& core, const Op* op, std::uint64_t linear, unsigned bytes) {
  return each_byte(core, op, linear, bytes,
                   [&](std::uint64_t at) { return writable(core, at, 1); });
}

bool load_slow(Core& core, const Op* op, std::uint64_t linear, unsigned bytes) {
  if (!each_byte(core, op, linear, bytes, [&](std::uint64_t at) { return readable(core, at, 1); }))
    return false;
  for (unsigned i = 0; i < bytes; ++i) core.transfer[i] = *readable(core, linear + i, 1);
  return true;
}

bool store_slow(Core& core, const Op* op, std::uint64_t linear, unsigned bytes) {
  if (!probe_write(core, op, linear, bytes)) return false;
  for (unsigned i = 0; i < bytes; ++i) *writable(core, linear + i, 1) = core.transfer[i];
  return true;
}

}  // namespace vpmu::machine::x86
