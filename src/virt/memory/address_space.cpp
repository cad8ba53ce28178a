// SPDX-License-Identifier: MIT
//
// Slots and their dirty logs; address_space_stage2.cpp has translation, address_space_locks.cpp
// locks.
#include "vpmu/virt/memory/address_space.hpp"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "virt/memory/slot.hpp"
#include "vpmu/base/ensure.hpp"

namespace vpmu::virt::memory {

namespace {

tl::unexpected<ErrnoError> refused(int error, std::uint32_t number, const char* why) {
  return refuse(error, "memory slot " + std::to_string(number) + ": " + why);
}

bool is_page(std::uint64_t address) {
  return address % kPageBytes == 0;
}

}  // namespace

AddressSpace::AddressSpace(const AddressSpaceConfig& config, PinningHost& host,
                           AddressSpaceUser& user)
    : config_{config}, host_{host}, user_{user}, table_{new SlotTable} {
  ensure(config.address_bits >= 32 && config.address_bits <= 52);
  ensure(config.pin_batch_bytes >= kPageBytes && is_page(config.pin_batch_bytes));
}

AddressSpace::~AddressSpace() {
  for (const auto& [number, slot] : slots_) {
    user_.unmap(slot->config.begin, slot->config.bytes);
    slot->stage2.reset();
  }
  for (const auto& [number, slot] : slots_) {
    slot->pins->lock = Pins::kNone;
    slot->pins->ranges = {};
    unpin_unlocked(*slot, {0, slot->pages()});
  }
  delete table_.load();
}

// ---- Slots --------------------------------------------------------------------------------------

const Slot* AddressSpace::find(std::uint32_t number) const {
  const auto at = slots_.find(number);
  return at == slots_.end() ? nullptr : at->second.get();
}

ErrnoResult<void> AddressSpace::check(const MemorySlot& slot) const {
  constexpr std::uint32_t kFlags = MemorySlot::kLogDirtyPages | MemorySlot::kReadOnly;
  if ((slot.flags & ~kFlags) != 0)
    return refused(EINVAL, slot.number,
                   "unknown flags; there are 1 (log dirty pages) and 2 (read-only)");
  const auto host = reinterpret_cast<std::uintptr_t>(slot.host);
  if (!is_page(slot.bytes) || !is_page(raw(slot.begin)) || !is_page(host))
    return refused(EINVAL, slot.number, "size and addresses are multiples of 4 KiB");
  if (host + slot.bytes < host)
    return refused(EINVAL, slot.number, "its memory goes past the last address");
  if (slot.number >= config_.slots)
    return refused(EINVAL, slot.number, "no such slot; use a lower number");
  if (raw(slot.begin) + slot.bytes < raw(slot.begin))
    return refused(EINVAL, slot.number, "goes past the last address");
  if (slot.bytes / kPageBytes > MemorySlot::kMostPages)
    return refused(EINVAL, slot.number, "more than 2^31 - 1 pages; use several slots");
  return {};
}

ErrnoResult<AddressSpace::Change> AddressSpace::change_of(const MemorySlot& slot,
                                                          const Slot* old) const {
  if (slot.bytes == 0) {
    if (old == nullptr) return refused(EINVAL, slot.number, "cannot be deleted: there is none");
    return Change::kDelete;
  }
  if (old == nullptr) return Change::kCreate;
  const std::uint32_t changed = slot.flags ^ old->config.flags;
  if (slot.host != old->config.host || slot.bytes != old->config.bytes ||
      (changed & MemorySlot::kReadOnly) != 0)
    return refused(EINVAL, slot.number,
                   "keeps its memory, size and whether it is read-only; delete it first");
  if (slot.begin != old->config.begin) return Change::kMove;
  return changed != 0 ? Change::kFlags : Change::kNone;
}

namespace {

/// The change of a slot that is locked may be made all the same.
bool permitted(const Pins& pins, const MemorySlot& slot, bool flags_only) {
  if (!pins.locked()) return pins.ranges.empty() || flags_only;
  return flags_only && slot.logs_dirty_pages() && pins.lock != Pins::kReadWrite;
}

}  // namespace

ErrnoResult<void> AddressSpace::check_place(const MemorySlot& slot, Change change,
                                            const Slot* old) const {
  if (change == Change::kCreate || change == Change::kMove) {
    for (const Slot* other : table_.load()->slots) {
      if (other == old) continue;
      if (raw(slot.begin) < other->end() && other->begin() < raw(slot.begin) + slot.bytes)
        return refused(EEXIST, slot.number, "another slot has some of its addresses");
    }
  }
  if (old != nullptr && !permitted(*old->pins, slot, change == Change::kFlags))
    return refused(EBUSY, slot.number, "is locked; unlock it first");
  if (change != Change::kDelete && raw(slot.begin) + slot.bytes > std::uint64_t{1}
                                                                      << config_.address_bits)
    return refused(EFAULT, slot.number, "goes past the last guest physical address");
  return {};
}

ErrnoResult<std::unique_ptr<Slot>> AddressSpace::make_slot(const MemorySlot& slot, Change change,
                                                           const Slot* old) {
  const auto no_memory = [&] {
    return refused(ENOMEM, slot.number, "the host has no memory for its tables");
  };
  auto next = old != nullptr ? std::make_unique<Slot>(*old) : std::make_unique<Slot>();
  next->config = slot;
  if (change == Change::kCreate || change == Change::kMove) {
    next->stage2 = std::make_shared<StageTwo>(host_, slot, config_.blocks);
    if (!next->stage2->valid()) return no_memory();
    next->pins = std::make_shared<Pins>();
  }
  if (!slot.logs_dirty_pages()) {
    next->dirty = nullptr;
  } else if (next->dirty == nullptr) {
    next->dirty = std::make_shared<PageBits>(host_, next->pages());
    if (!next->dirty->valid()) return no_memory();
  }
  return next;
}

ErrnoResult<void> AddressSpace::set_slot(const MemorySlot& slot) {
  if (auto possible = check(slot); !possible) return possible;
  const std::lock_guard lock{slots_mutex_};
  const Slot* const old = find(slot.number);
  const ErrnoResult<Change> change = change_of(slot, old);
  if (!change) return tl::unexpected(change.error());
  if (*change == Change::kNone) return {};
  if (auto possible = check_place(slot, *change, old); !possible) return possible;
  if (*change == Change::kDelete) {
    publish(slot.number, nullptr, *change);
    return {};
  }
  auto next = make_slot(slot, *change, old);
  if (!next) return tl::unexpected(next.error());
  publish(slot.number, std::move(*next), *change);
  return {};
}

/// Under slots_mutex_.
void AddressSpace::publish(std::uint32_t number, std::unique_ptr<Slot> next, Change change) {
  const Slot* const now = next.get();
  std::unique_ptr<Slot> old = std::exchange(slots_[number], std::move(next));
  if (now == nullptr) slots_.erase(number);
  auto table = std::make_unique<SlotTable>();
  for (const auto& [n, slot] : slots_) table->slots.push_back(slot.get());
  std::sort(table->slots.begin(), table->slots.end(),
            [](const Slot* a, const Slot* b) { return a->begin() < b->begin(); });

  const bool moves_away = change == Change::kMove || change == Change::kDelete;
  const bool logs_now = change == Change::kFlags && now->config.logs_dirty_pages();
  std::unique_ptr<const SlotTable> old_table;
  {
    const std::lock_guard lock{stage2_mutex_};
    old_table.reset(table_.exchange(table.release(), std::memory_order_acq_rel));
    if (moves_away) user_.unmap(old->config.begin, old->config.bytes);
    if (logs_now) protect_for_log(*now, {0, now->pages()});
    if (moves_away || logs_now) generation_.fetch_add(1);
  }
  if (moves_away || logs_now) user_.drop_translations();
  wait_for_readers();
}

std::vector<MemorySlot> AddressSpace::slots() const {
  const std::lock_guard lock{slots_mutex_};
  std::vector<MemorySlot> all;
  for (const auto& [number, slot] : slots_) all.push_back(slot->config);
  return all;
}

std::optional<MemorySlot> AddressSpace::slot_at(GuestPhysical address) const {
  const RcuReadSection section;
  const Slot* const slot = table_.load(std::memory_order_acquire)->at(raw(address));
  if (slot == nullptr) return std::nullopt;
  return slot->config;
}

SlotMetadata AddressSpace::metadata(std::uint32_t number) const {
  const std::lock_guard lock{slots_mutex_};
  const Slot* const slot = find(number);
  if (slot == nullptr) return {};
  const PinMap* const pins = slot->pins->map;
  return {.pins = pins == nullptr ? 0 : pins->bytes(),
          .stage2 = slot->stage2->bytes(),
          .dirty_log = slot->dirty == nullptr ? 0 : slot->dirty->bytes()};
}

/// Within a read section.
SlotPages AddressSpace::pages_of(std::uint32_t number) const {
  const SlotTable& table = *table_.load(std::memory_order_acquire);
  const auto at = std::find_if(table.slots.begin(), table.slots.end(),
                               [&](const Slot* slot) { return slot->config.number == number; });
  if (at == table.slots.end()) return {};
  const Slot& slot = **at;
  const PinMap* const pins = slot.pins->map.load(std::memory_order_acquire);
  return {slot.pages(),
          {.pin_counts = pins == nullptr ? nullptr : pins->counts(),
           .pins = pins == nullptr ? nullptr : pins->bits(),
           .dirty = slot.dirty == nullptr ? nullptr : slot.dirty->data(),
           .offset = slot.stage2->layout().offset}};
}

// ---- Dirty logs ---------------------------------------------------------------------------------

/// Writes to these pages are seen again; but for those of ranges that are locked for writing. Under
/// both locks.
void AddressSpace::protect_for_log(const Slot& slot, Pages pages) {
  while (pages.first < pages.end) {
    const RangeCounts::Piece piece = slot.pins->ranges.piece(pages.first, pages.end);
    if (piece.counts.writes == 0) {
      slot.stage2->write_protect(pages.first, piece.end);
      user_.write_protect(slot.address(pages.first), (piece.end - pages.first) * kPageBytes);
    }
    pages.first = piece.end;
  }
}

ErrnoResult<void> AddressSpace::take_dirty_log(std::uint32_t number,
                                               std::span<std::uint64_t> words) {
  if (number >= config_.slots) return refused(EINVAL, number, "no such slot; use a lower number");
  const std::lock_guard lock{slots_mutex_};
  const Slot* const slot = find(number);
  if (slot == nullptr || slot->dirty == nullptr)
    return refused(ENOENT, number, "has no dirty log; set it up with flag 1");
  const std::uint64_t count = (slot->pages() + 63) / 64;
  if (words.size() < count)
    return refused(EINVAL, number, "its dirty log has a bit for each page; give it as much room");
  bool any = false;
  {
    const std::lock_guard stage2_lock{stage2_mutex_};
    for (std::uint64_t word = 0; word < count; ++word) {
      words[word] = slot->dirty->load(word) == 0 ? 0 : slot->dirty->take(word);
      if (words[word] == 0) continue;
      any = true;
      protect_for_log(*slot, {word * 64, std::min(word * 64 + 64, slot->pages())});
    }
    if (any) generation_.fetch_add(1);
  }
  if (any) user_.drop_translations();
  return {};
}

void AddressSpace::mark_dirty(GuestPhysical begin, std::uint64_t bytes) {
  if (bytes == 0) return;
  const std::uint64_t first = raw(begin);
  const std::uint64_t last = first + (bytes - 1) < first ? ~std::uint64_t{0} : first + (bytes - 1);
  const RcuReadSection section;
  for (const Slot* slot : table_.load(std::memory_order_acquire)->slots) {
    if (slot->dirty == nullptr || last < slot->begin() || first >= slot->end()) continue;
    const std::uint64_t from = std::max(first, slot->begin()) - slot->begin();
    const std::uint64_t to = std::min(last, slot->end() - 1) - slot->begin();
    slot->dirty->set_range(from / kPageBytes, to / kPageBytes + 1);
  }
}

}  // namespace vpmu::virt::memory
