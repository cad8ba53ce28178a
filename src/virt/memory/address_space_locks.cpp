// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "virt/memory/slot.hpp"
#include "vpmu/base/ensure.hpp"
#include "vpmu/virt/memory/address_space.hpp"

namespace vpmu::virt::memory {

namespace {

tl::unexpected<ErrnoError> refused(int error, std::uint64_t number, const char* why) {
  return refuse(error, "lock of memory slot " + std::to_string(number) + ": " + why);
}

constexpr const char* kNoSuchNumber = "no such slot; use a lower number";
constexpr const char* kNoSuchSlot = "there is none; set it up first";

}  // namespace

// ---- Requests -----------------------------------------------------------------------------------

ErrnoResult<void> AddressSpace::enable_lock_capability(const LockRequest& request) {
  const std::uint64_t slot = request.args[0];
  if (request.args[2] != 0 || request.args[3] != 0)
    return refused(EINVAL, slot, "arguments 2 and 3 are reserved; set them to 0");
  if (request.flags != LockRequest::kLock && request.flags != LockRequest::kUnlock)
    return refused(EINVAL, slot, "flags are 1 (lock) or 2 (unlock)");
  if (request.flags == LockRequest::kUnlock && (request.args[1] & LockRequest::kUnlockAll) != 0) {
    unlock_all();
    return {};
  }
  if (slot >= config_.slots) return refused(EINVAL, slot, kNoSuchNumber);
  const auto number = static_cast<std::uint32_t>(slot);
  if (request.flags == LockRequest::kUnlock) return unlock(number);
  if ((request.args[1] & LockRequest::kRead) == 0)
    return refused(EINVAL, slot, "cannot be locked without reading; add 1 to argument 1");
  const bool write = (request.args[1] & LockRequest::kWrite) != 0;
  return lock(number, write ? LockAccess::kReadWrite : LockAccess::kRead);
}

ErrnoResult<void> AddressSpace::lock(std::uint32_t number, LockAccess access) {
  if (number >= config_.slots) return refused(EINVAL, number, kNoSuchNumber);
  if (!config_.lock_before_first_run_only) return lock_held(number, access);
  if (!user_.hold_vcpus()) return refused(EBUSY, number, "a vCPU runs; stop it first");
  auto result = has_run_ ? refused(EBUSY, number, "a vCPU has run; lock before the first run")
                         : lock_held(number, access);
  user_.let_vcpus_go();
  return result;
}

/// vCPUs are held, if that is wanted.
ErrnoResult<void> AddressSpace::lock_held(std::uint32_t number, LockAccess access) {
  const std::lock_guard lock{slots_mutex_};
  const Slot* const slot = find(number);
  if (slot == nullptr) return refused(EINVAL, number, kNoSuchSlot);
  const bool write = access == LockAccess::kReadWrite;
  if (write && (slot->config.is_read_only() || slot->config.logs_dirty_pages()))
    return refused(EPERM, number, "is read-only or logs dirty pages; lock it for reading only");
  if (slot->pins->locked()) return refused(EBUSY, number, "is locked already");
  if (auto pinned = pin(*slot, {0, slot->pages()}, write); !pinned) return pinned;
  slot->pins->lock = write ? Pins::kReadWrite : Pins::kRead;
  pending_.fetch_or(kTags | kDataCache);
  return {};
}

ErrnoResult<RangeLock> AddressSpace::lock_range(GuestPhysical begin, std::uint64_t bytes,
                                                LockAccess access) {
  const std::lock_guard lock{slots_mutex_};
  const Slot* const slot = table_.load()->at(raw(begin));
  if (slot == nullptr || bytes == 0 || raw(begin) % kPageBytes != 0 || bytes % kPageBytes != 0 ||
      bytes > slot->end() - raw(begin))
    return refuse(EINVAL, "lock of " + std::to_string(bytes) + " bytes from guest address " +
                              std::to_string(raw(begin)) + ": not whole pages of one memory slot");
  const std::uint32_t number = slot->config.number;
  const bool write = access == LockAccess::kReadWrite;
  if (write && slot->config.is_read_only())
    return refused(EPERM, number, "is read-only; lock it for reading only");
  const std::uint64_t first = (raw(begin) - slot->begin()) / kPageBytes;
  const Pages pages{first, first + bytes / kPageBytes};
  if (auto pinned = pin(*slot, pages, write); !pinned) return tl::unexpected(pinned.error());
  slot->pins->ranges.add(pages.first, pages.end, write);
  return RangeLock{*this, number, pages.first, pages.end, write};
}

ErrnoResult<void> AddressSpace::unlock(std::uint32_t number) {
  if (number >= config_.slots) return refused(EINVAL, number, kNoSuchNumber);
  const std::lock_guard lock{slots_mutex_};
  const Slot* const slot = find(number);
  if (slot == nullptr) return refused(EINVAL, number, kNoSuchSlot);
  if (!slot->pins->locked()) return refused(EINVAL, number, "is not locked");
  unlock_slot(*slot);
  return {};
}

void AddressSpace::unlock_all() {
  const std::lock_guard lock{slots_mutex_};
  for (const auto& [number, slot] : slots_) {
    if (slot->pins->locked()) unlock_slot(*slot);
  }
}

/// Under slots_mutex_, as all below.
void AddressSpace::unlock_slot(const Slot& slot) {
  slot.pins->lock = Pins::kNone;
  unpin_unlocked(slot, {0, slot.pages()});
}

void AddressSpace::unlock_range(const RangeLock& range) {
  const std::lock_guard lock{slots_mutex_};
  const Slot* const slot = find(range.slot_);
  ensure(slot != nullptr);
  slot->pins->ranges.remove(range.first_, range.end_, range.write_);
  if (range.write_ && slot->dirty != nullptr) slot->dirty->set_range(range.first_, range.end_);
  unpin_unlocked(*slot, {range.first_, range.end_});
}

std::optional<LockAccess> AddressSpace::lock_of(std::uint32_t number) const {
  const std::lock_guard lock{slots_mutex_};
  const Slot* const slot = find(number);
  if (slot == nullptr || !slot->pins->locked()) return std::nullopt;
  return slot->pins->lock == Pins::kReadWrite ? LockAccess::kReadWrite : LockAccess::kRead;
}

// ---- Pinning ------------------------------------------------------------------------------------

namespace {

/// The slot's map; null: the host has no memory for one.
PinMap* map_of(Pins& pins, PinningHost& host, const PageLayout& layout) {
  if (pins.owner == nullptr) {
    auto map = std::make_unique<PinMap>(host, layout);
    if (!map->valid()) return nullptr;
    pins.owner = std::move(map);
    pins.map.store(pins.owner.get(), std::memory_order_release);
  }
  return pins.owner.get();
}

const char* why_not(int error) {
  if (error == EAGAIN) return "its memory was changed meanwhile; try again";
  if (error == ENOMEM) return "its pages cannot be pinned; see to it that all of them are there";
  return "its pages cannot be mapped";
}

}  // namespace

ErrnoResult<void> AddressSpace::pin(const Slot& slot, Pages pages, bool write) {
  constexpr const char* kTooMany = "more pages than may be locked; raise RLIMIT_MEMLOCK";
  const std::uint32_t number = slot.config.number;
  PinMap* const map = map_of(*slot.pins, host_, slot.stage2->layout());
  // The limit is looked at first; but what a map takes is there already, or is nothing.
  const std::uint64_t pinned = map == nullptr ? 0 : map->pinned_in(pages.first, pages.end);
  const std::uint64_t more = pages.end - pages.first - pinned;
  if (!host_.may_charge(more)) return refused(ENOMEM, number, kTooMany);
  if (map == nullptr) return refused(ENOMEM, number, "the host has no memory for its tables");

  const std::uint64_t invalidations = invalidations_.load();
  const std::uint64_t batch = config_.pin_batch_bytes / kPageBytes;
  const std::uint64_t offset = slot.stage2->layout().offset;
  std::vector<Pages> fresh;
  for (std::uint64_t at = pages.first; at < pages.end;) {
    const std::uint64_t batch_end = ((at + offset) / batch + 1) * batch - offset;
    const PinMap::Run run = map->run(at, std::min(pages.end, batch_end));
    const int error = pin_run(slot, {at, run.end}, !run.pinned, write, invalidations);
    if (error != 0) {
      undo_pins(slot, {pages.first, at}, fresh);
      return refused(error, number, why_not(error));
    }
    if (!run.pinned) {
      if (!fresh.empty() && fresh.back().end == at)
        fresh.back().end = run.end;
      else
        fresh.push_back({at, run.end});
    }
    at = run.end;
  }
  if (!host_.charge(more)) {
    undo_pins(slot, pages, fresh);
    return refused(ENOMEM, number, kTooMany);
  }
  return {};
}

/// Pages of which all are pinned already, or none; all or nothing. An errno.
int AddressSpace::pin_run(const Slot& slot, Pages pages, bool fresh, bool write,
                          std::uint64_t invalidations) {
  const std::uint64_t bytes = (pages.end - pages.first) * kPageBytes;
  std::byte* const memory = slot.host(pages.first);
  if (fresh) {
    if (host_.pin(memory, bytes, write) != 0) return ENOMEM;
  } else if (write && slot.pins->lock != Pins::kReadWrite) {
    if (host_.pin_for_writing(memory, bytes) != 0) return ENOMEM;
  }
  int error = 0;
  {
    const std::lock_guard lock{stage2_mutex_};
    error = invalidations_.load() != invalidations
                ? EAGAIN
                : user_.map({slot.address(pages.first), bytes, memory, write});
    if (error == 0) slot.stage2->map(pages.first, pages.end, write, slot.dirty == nullptr);
  }
  if (!fresh) return error;
  if (error == 0)
    slot.pins->owner->set(pages.first, pages.end);
  else
    host_.unpin(memory, bytes);
  return error;
}

/// Of pages that were looked after, those that were pinned just now go; what a log has to see of
/// the others is seen again.
void AddressSpace::undo_pins(const Slot& slot, Pages done, std::span<const Pages> fresh) {
  if (done.first == done.end) return;
  {
    const std::lock_guard lock{stage2_mutex_};
    for (const Pages& pages : fresh) {
      // No lock promises them any more: a vCPU that misses them now need not be warned of.
      slot.pins->owner->clear(pages.first, pages.end);
      user_.unmap(slot.address(pages.first), (pages.end - pages.first) * kPageBytes);
      slot.stage2->unmap(pages.first, pages.end);
    }
    if (slot.dirty != nullptr) protect_for_log(slot, done);
    generation_.fetch_add(1);
  }
  user_.drop_translations();
  for (const Pages& pages : fresh)
    host_.unpin(slot.host(pages.first), (pages.end - pages.first) * kPageBytes);
}

/// Of these pages, those that no lock wants any more.
void AddressSpace::unpin_unlocked(const Slot& slot, Pages pages) {
  Pins& pins = *slot.pins;
  if (pins.owner == nullptr || pins.locked()) return;
  while (pages.first < pages.end) {
    const RangeCounts::Piece piece = pins.ranges.piece(pages.first, pages.end);
    const bool wanted = piece.counts.locks != 0;
    for (std::uint64_t at = pages.first; !wanted && at < piece.end;) {
      const PinMap::Run run = pins.owner->run(at, piece.end);
      if (run.pinned) {
        pins.owner->clear(at, run.end);
        host_.unpin(slot.host(at), (run.end - at) * kPageBytes);
        host_.uncharge(run.end - at);
      }
      at = run.end;
    }
    pages.first = piece.end;
  }
}

// ---- vCPUs --------------------------------------------------------------------------------------

void AddressSpace::enable_memory_tags() {
  const std::lock_guard lock{slots_mutex_};
  memory_tags_ = true;
}

ErrnoResult<void> AddressSpace::do_pending() {
  const std::lock_guard lock{slots_mutex_};
  const auto for_locked = [this](auto&& act) {
    for (const auto& [number, slot] : slots_) {
      if (!slot->pins->locked()) continue;
      if (const int error = act(slot->config); error != 0) return std::pair{error, number};
    }
    return std::pair{0, 0U};
  };
  if ((pending_ & kTags) != 0 && memory_tags_) {
    const auto [error, number] = for_locked(
        [this](const MemorySlot& slot) { return user_.clean_tags(slot.host, slot.bytes); });
    if (error != 0)
      return refused(error, number,
                     "its tags cannot be cleaned; give it private memory, all there");
  }
  pending_.fetch_and(~std::uint32_t{kTags});
  if ((pending_ & kDataCache) != 0) {
    for_locked([this](const MemorySlot& slot) {
      user_.clean_data_cache(slot.host, slot.bytes);
      return 0;
    });
  }
  if ((pending_ & kInstructionCache) != 0) user_.invalidate_instruction_cache();
  pending_ = 0;
  has_run_ = true;
  return {};
}

void AddressSpace::vcpu_reset() {
  const std::lock_guard lock{slots_mutex_};
  if (!has_run_) return;
  bool any = false;
  {
    const std::lock_guard stage2_lock{stage2_mutex_};
    for (const auto& [number, slot] : slots_) {
      if (slot->pins->locked()) {
        pending_.fetch_or(kTags | kDataCache | kInstructionCache);
        continue;
      }
      any = true;
      for (Pages pages{0, slot->pages()}; pages.first < pages.end;) {
        const RangeCounts::Piece piece = slot->pins->ranges.piece(pages.first, pages.end);
        if (piece.counts.locks == 0) {
          slot->stage2->unmap(pages.first, piece.end);
          user_.unmap(slot->address(pages.first), (piece.end - pages.first) * kPageBytes);
        }
        pages.first = piece.end;
      }
    }
    if (any) generation_.fetch_add(1);
  }
  if (any) user_.drop_translations();
}

// ---- RangeLock ----------------------------------------------------------------------------------

RangeLock::RangeLock(RangeLock&& other) noexcept
    : space_{std::exchange(other.space_, nullptr)},
      slot_{other.slot_},
      first_{other.first_},
      end_{other.end_},
      write_{other.write_} {}

RangeLock& RangeLock::operator=(RangeLock&& other) noexcept {
  std::swap(space_, other.space_);
  std::swap(slot_, other.slot_);
  std::swap(first_, other.first_);
  std::swap(end_, other.end_);
  std::swap(write_, other.write_);
  return *this;
}

RangeLock::~RangeLock() {
  if (space_ != nullptr) space_->unlock_range(*this);
}

}  // namespace vpmu::virt::memory
