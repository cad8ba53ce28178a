// SPDX-License-Identifier: MIT
#include "vpmu/hostperf/guest_callbacks.hpp"

#include <cassert>

namespace vpmu::hostperf {

const char* name(GuestCallbackError error) {
  switch (error) {
    case GuestCallbackError::kIncomplete: return "a guest callback that everybody needs is missing";
    case GuestCallbackError::kAlreadyRegistered: return "guest callbacks are registered already";
    case GuestCallbackError::kNotRegistered: return "these guest callbacks are not registered";
    case GuestCallbackError::kInReader:
      return "guest callbacks cannot be changed by who is reading or changing them";
  }
  return "?";
}

tl::expected<void, GuestCallbackError> GuestCallbacks::add(const GuestCallbackTable& table) {
  if (table.state == nullptr || table.ip == nullptr || table.snapshot == nullptr)
    return tl::unexpected(GuestCallbackError::kIncomplete);
  if (WriterLock::would_deadlock()) return tl::unexpected(GuestCallbackError::kInReader);
  const WriterLock lock;
  if (table_.load(std::memory_order_relaxed) != nullptr)
    return tl::unexpected(GuestCallbackError::kAlreadyRegistered);
  table_.store(&table, std::memory_order_release);
  return {};
}

tl::expected<void, GuestCallbackError> GuestCallbacks::remove(const GuestCallbackTable& table) {
  if (WriterLock::would_deadlock()) return tl::unexpected(GuestCallbackError::kInReader);
  const WriterLock lock;
  if (table_.load(std::memory_order_relaxed) != &table)
    return tl::unexpected(GuestCallbackError::kNotRegistered);
  table_.store(nullptr, std::memory_order_seq_cst);
  wait_();
  return {};
}

std::uint64_t GuestCallbacks::ip() {
  return ask<std::uint64_t>([](const GuestCallbackTable& table, const ReaderSlot& slot) {
    assert(slot.saw_guest && "state first, then ip");
    static_cast<void>(slot);
    return table.ip();
  });
}

unsigned GuestCallbacks::trace_interrupt() {
  return ask<unsigned>([](const GuestCallbackTable& table, const ReaderSlot& /*slot*/) {
    return table.trace_interrupt != nullptr ? table.trace_interrupt() : 0U;
  });
}

}  // namespace vpmu::hostperf
