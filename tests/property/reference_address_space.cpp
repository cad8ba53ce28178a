// SPDX-License-Identifier: MIT
#include "property/reference_address_space.hpp"

#include <algorithm>
#include <cerrno>

namespace vpmu::property {

using virt::memory::kPageBytes;
using virt::memory::MemorySlot;

namespace {

constexpr std::uint32_t kNumbers = 32767;

}  // namespace

bool ReferenceAddressSpace::has_ranges(std::uint32_t number) const {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& range) { return range.slot == number; });
}

int ReferenceAddressSpace::set_slot(const MemorySlot& slot) {
  const auto host = reinterpret_cast<std::uint64_t>(slot.host);
  const std::uint64_t begin = raw(slot.begin), end = begin + slot.bytes;
  if (slot.flags > 3 || slot.bytes % kPageBytes != 0 || begin % kPageBytes != 0 ||
      host % kPageBytes != 0 || slot.number >= kNumbers || end < begin)
    return EINVAL;
  const auto old = slots.find(slot.number);
  const bool is_there = old != slots.end();
  if (slot.bytes == 0 && !is_there) return EINVAL;
  const bool moves = is_there && slot.bytes != 0 && slot.begin != old->second.config.begin;
  if (is_there && slot.bytes != 0) {
    const MemorySlot& before = old->second.config;
    if (before.host != slot.host || before.bytes != slot.bytes ||
        before.is_read_only() != slot.is_read_only())
      return EINVAL;
    if (before == slot) return 0;
  }
  if (!is_there || moves) {
    for (const auto& [number, other] : slots) {
      if (number != slot.number && begin < other.end() && other.begin() < end) return EEXIST;
    }
  }
  if (is_there) {
    const Slot& before = old->second;
    const bool flags_only = slot.bytes != 0 && !moves;
    if (before.lock && !(flags_only && slot.logs_dirty_pages() && !*before.lock)) return EBUSY;
    if (has_ranges(slot.number) && !flags_only) return EBUSY;
  }
  if (slot.bytes == 0) {
    slots.erase(old);
    return 0;
  }
  if (end > last_) return EFAULT;
  Slot& now = slots[slot.number];
  now.config = slot;
  if (!slot.logs_dirty_pages()) now.dirty.clear();
  return 0;
}

bool ReferenceAddressSpace::pinned(const Slot& slot, std::uint64_t page) const {
  if (slot.lock) return true;
  return std::any_of(ranges.begin(), ranges.end(), [&](const Range& range) {
    return range.slot == slot.config.number && page >= range.first && page < range.end;
  });
}

bool ReferenceAddressSpace::write_locked(const Slot& slot, std::uint64_t address) const {
  const std::uint64_t page = (address - slot.begin()) / kPageBytes;
  return std::any_of(ranges.begin(), ranges.end(), [&](const Range& range) {
    return range.write && range.slot == slot.config.number && page >= range.first &&
           page < range.end;
  });
}

std::uint64_t ReferenceAddressSpace::charged() const {
  std::uint64_t count = 0;
  for (const auto& [number, slot] : slots) {
    for (std::uint64_t page = 0; page < slot.pages(); ++page) count += pinned(slot, page) ? 1 : 0;
  }
  return count;
}

std::set<std::byte*> ReferenceAddressSpace::pinned_memory() const {
  std::set<std::byte*> all;
  for (const auto& [number, slot] : slots) {
    for (std::uint64_t page = 0; page < slot.pages(); ++page) {
      if (pinned(slot, page)) all.insert(slot.config.host + page * kPageBytes);
    }
  }
  return all;
}

int ReferenceAddressSpace::pin(const Slot& slot, std::uint64_t first, std::uint64_t end, bool write,
                               const Circumstances& now) const {
  std::uint64_t more = 0;
  bool hole = false;
  for (std::uint64_t page = first; page < end; ++page) {
    const bool fresh = !pinned(slot, page);
    more += fresh ? 1 : 0;
    const bool asked = fresh || (write && !(slot.lock && *slot.lock));
    if (asked && slot.config.host + page * kPageBytes == now.hole) hole = true;
  }
  if (charged() + more > now.limit) return ENOMEM;
  if (hole) return ENOMEM;
  if (now.raced && more != 0) return EAGAIN;
  const std::uint64_t begin = slot.begin() + first * kPageBytes;
  if (now.unmappable >= begin && now.unmappable < slot.begin() + end * kPageBytes)
    return now.map_error;
  return 0;
}

int ReferenceAddressSpace::lock(std::uint32_t number, bool write, const Circumstances& now) {
  if (number >= kNumbers) return EINVAL;
  if (strict_ && has_run_) return EBUSY;
  const auto at = slots.find(number);
  if (at == slots.end()) return EINVAL;
  Slot& slot = at->second;
  if (write && slot.config.flags != 0) return EPERM;
  if (slot.lock) return EBUSY;
  if (const int error = pin(slot, 0, slot.pages(), write, now); error != 0) return error;
  slot.lock = write;
  return 0;
}

int ReferenceAddressSpace::unlock(std::uint32_t number) {
  const auto at = slots.find(number);
  if (at == slots.end() || !at->second.lock) return EINVAL;
  at->second.lock.reset();
  return 0;
}

void ReferenceAddressSpace::unlock_all() {
  for (auto& [number, slot] : slots) slot.lock.reset();
}

const ReferenceAddressSpace::Slot* ReferenceAddressSpace::at(std::uint64_t address) const {
  for (const auto& [number, slot] : slots) {
    if (address >= slot.begin() && address < slot.end()) return &slot;
  }
  return nullptr;
}

int ReferenceAddressSpace::lock_range(std::uint64_t begin, std::uint64_t bytes, bool write,
                                      const Circumstances& now) {
  const Slot* const slot = at(begin);
  if (slot == nullptr || begin % kPageBytes != 0 || bytes % kPageBytes != 0 || bytes == 0 ||
      bytes > slot->end() - begin)
    return EINVAL;
  if (write && slot->config.is_read_only()) return EPERM;
  const std::uint64_t first = (begin - slot->begin()) / kPageBytes;
  const std::uint64_t end = first + bytes / kPageBytes;
  if (const int error = pin(*slot, first, end, write, now); error != 0) return error;
  ranges.push_back({slot->config.number, first, end, write});
  return 0;
}

void ReferenceAddressSpace::unlock_range(std::size_t index) {
  const Range range = ranges[index];
  ranges.erase(ranges.begin() + static_cast<std::ptrdiff_t>(index));
  Slot& slot = slots.at(range.slot);
  if (!range.write || !slot.config.logs_dirty_pages()) return;
  for (std::uint64_t page = range.first; page < range.end; ++page) slot.dirty.insert(page);
}

void ReferenceAddressSpace::mark_dirty(std::uint64_t begin, std::uint64_t bytes) {
  for (auto& [number, slot] : slots) {
    if (!slot.config.logs_dirty_pages()) continue;
    for (std::uint64_t page = 0; page < slot.pages(); ++page) {
      const std::uint64_t address = slot.begin() + page * kPageBytes;
      if (address < begin + bytes && begin < address + kPageBytes) slot.dirty.insert(page);
    }
  }
}

}  // namespace vpmu::property
