// SPDX-License-Identifier: MIT
//
// Guest memory as instructions see it: linear addresses, through the software TLB.
//
// Every function returns false if the access did not happen; Core::stop and Core::exception say
// why, and the handler returns null without having changed anything:
//
//   std::uint32_t value;
//   if (!load(core, op, address, value)) [[unlikely]] return nullptr;
//
// An instruction with several accesses makes those that can fault before it changes any register.
#pragma once

#include <cstdint>
#include <cstring>

#include "machine/x86/core.hpp"

namespace vpmu::machine::x86 {

// The slow paths (mmu.cpp): TLB misses, accesses across pages, devices, code pages, checks. Values
// go through Core::transfer: a handler that passed the address of a local could not end in a tail
// call.
[[gnu::noinline]] bool load_slow(Core& core, const Op* op, std::uint64_t linear, unsigned bytes);
[[gnu::noinline]] bool store_slow(Core& core, const Op* op, std::uint64_t linear, unsigned bytes);
/// Checks that `bytes` at `linear` may be written (raising what a write would raise), without
/// writing.
[[gnu::noinline]] bool probe_write(Core& core, const Op* op, std::uint64_t linear, unsigned bytes);

/// CLFLUSH while accesses are modelled: raises what a load would raise, and flushes the line.
[[gnu::noinline]] bool flush_line(Core& core, const Op* op, std::uint64_t linear);

/// The effective address without the segment: base + index * scale + displacement.
[[gnu::always_inline]] inline std::uint64_t offset_of(const Core& core, const Op* op) {
  return core.gpr[op->base] + (core.gpr[op->index] << op->scale) +
         static_cast<std::uint64_t>(static_cast<std::int64_t>(op->displacement));
}

/// The effective address (offset in its segment), truncated to the address size: what LEA gives.
[[gnu::always_inline]] inline std::uint64_t effective_address(const Core& core, const Op* op) {
  std::uint64_t offset = offset_of(core, op);
  if (op->flags & (kRipBase | kAbsolute64)) [[unlikely]] {
    offset = op->flags & kRipBase ? offset + core.block->rip : op->immediate;
  }
  if (op->flags & (kAddress32 | kAddress16)) [[unlikely]] {
    offset = op->flags & kAddress32 ? static_cast<std::uint32_t>(offset)
                                    : static_cast<std::uint16_t>(offset);
  }
  return offset;
}

/// The linear address of the memory operand, in any mode. Handlers for hot forms use offset_of()
/// where the decoder knows that this is the same.
[[gnu::always_inline]] inline std::uint64_t linear_address(const Core& core, const Op* op) {
  std::uint64_t linear = effective_address(core, op);
  if (op->flags & kSegmentBase) [[unlikely]]
    linear += core.segment[op->segment].base;
  if (op->flags & kLinear32) [[unlikely]]
    linear = static_cast<std::uint32_t>(linear);
  return linear;
}

/// The page of an access's last byte: an access across pages never matches its first page's slot.
[[gnu::always_inline]] inline std::uint64_t page_of_last(std::uint64_t linear, unsigned bytes) {
  return (linear + bytes - 1) & ~std::uint64_t{0xfff};
}

/// The host address of `bytes` at `linear` if they lie in one page that the TLB has for reading.
[[gnu::always_inline]] inline const std::uint8_t* readable(const Core& core, std::uint64_t linear,
                                                           unsigned bytes) {
  const TlbEntry& entry = core.tlb->entries[TlbBank::slot(linear)];
  if (page_of_last(linear, bytes) != entry.read_tag) [[unlikely]]
    return nullptr;
  return reinterpret_cast<const std::uint8_t*>(linear + entry.addend);
}

[[gnu::always_inline]] inline std::uint8_t* writable(const Core& core, std::uint64_t linear,
                                                     unsigned bytes) {
  const TlbEntry& entry = core.tlb->entries[TlbBank::slot(linear)];
  if (page_of_last(linear, bytes) != entry.write_tag) [[unlikely]]
    return nullptr;
  return reinterpret_cast<std::uint8_t*>(linear + entry.addend);
}

template <class T>
[[gnu::always_inline]] inline bool load(Core& core, const Op* op, std::uint64_t linear, T& value) {
  static_assert(sizeof(T) <= sizeof core.transfer);
  const TlbEntry& entry = core.tlb->entries[TlbBank::slot(linear)];
  if (page_of_last(linear, sizeof(T)) == entry.read_tag) [[likely]] {
    std::memcpy(&value, reinterpret_cast<const void*>(linear + entry.addend), sizeof(T));
    return true;
  }
  if (!load_slow(core, op, linear, sizeof(T))) return false;
  std::memcpy(&value, core.transfer.data(), sizeof(T));
  return true;
}

template <class T>
[[gnu::always_inline]] inline bool store(Core& core, const Op* op, std::uint64_t linear,
                                         const T& value) {
  static_assert(sizeof(T) <= sizeof core.transfer);
  const TlbEntry& entry = core.tlb->entries[TlbBank::slot(linear)];
  if (page_of_last(linear, sizeof(T)) == entry.write_tag) [[likely]] {
    std::memcpy(reinterpret_cast<void*>(linear + entry.addend), &value, sizeof(T));
    return true;
  }
  std::memcpy(core.transfer.data(), &value, sizeof(T));
  return store_slow(core, op, linear, sizeof(T));
}

/// Reads, lets `change(old)` give the new value, writes it. Nothing has happened if it returns
/// false; `change` may be called only if the write will succeed.
template <class T, class Change>
[[gnu::always_inline]] inline bool modify(Core& core, const Op* op, std::uint64_t linear,
                                          Change change) {
  T value;
  const TlbEntry& entry = core.tlb->entries[TlbBank::slot(linear)];
  if (page_of_last(linear, sizeof(T)) == entry.write_tag) [[likely]] {
    auto* host = reinterpret_cast<void*>(linear + entry.addend);
    std::memcpy(&value, host, sizeof(T));
    value = change(value);
    std::memcpy(host, &value, sizeof(T));
    return true;
  }
  if (!probe_write(core, op, linear, sizeof(T))) return false;
  if (!load_slow(core, op, linear, sizeof(T))) return false;
  std::memcpy(&value, core.transfer.data(), sizeof(T));
  value = change(value);
  std::memcpy(core.transfer.data(), &value, sizeof(T));
  return store_slow(core, op, linear, sizeof(T));
}

}  // namespace vpmu::machine::x86
