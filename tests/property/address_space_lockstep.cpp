// SPDX-License-Identifier: MIT
#include "property/address_space_lockstep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vpmu::property {

using virt::memory::kMemory;
using virt::memory::kPageBytes;
using virt::memory::LockAccess;
using virt::memory::memory_at;
using virt::memory::MemorySlot;
using virt::memory::RangeLock;
using virt::memory::SlotPages;
using virt::memory::StageTwoAccess;
using virt::memory::StageTwoFault;
using Kind = AddressSpaceOperation::Kind;
using Difference = std::optional<std::string>;

namespace {

constexpr unsigned kAddressBits = 32;
constexpr std::uint64_t kLastPage = (std::uint64_t{1} << kAddressBits) / kPageBytes;
/// Memory of each slot is its own: what is pinned is counted by page of memory.
constexpr std::uint64_t kMemoryOfSlot = 4096;

const AddressSpaceSetup kSetups[] = {
    {"blocks", true, false, 16384},
    {"pages", false, false, 16384},
    {"blocks, pinned page by page", true, false, 1},
    {"blocks, pinned block by block", true, false, 512},
    {"locks before the first run", true, true, 16384},
};

GuestPhysical address_of(std::uint64_t page) {
  return GuestPhysical{page * kPageBytes};
}
std::byte* memory_of(std::uint64_t page) {
  return memory_at(kMemory + page * kPageBytes);
}

template <class T>
int number_of(const ErrnoResult<T>& result) {
  return result ? 0 : result.error().number;
}

Difference compare_number(const char* what, int ours, int theirs) {
  if (ours == theirs) return {};
  return fmt::format("{}: errno {}, the reference has {}", what, ours, theirs);
}

}  // namespace

std::span<const AddressSpaceSetup> address_space_setups() {
  return kSetups;
}

AddressSpaceOperation draw_operation(Choices& choices, const AddressSpaceSetup&) {
  constexpr Kind kKinds[] = {
      Kind::kSetSlot,   Kind::kSetSlot,     Kind::kSetSlot,     Kind::kTranslate,  Kind::kTranslate,
      Kind::kTranslate, Kind::kTranslate,   Kind::kTakeLog,     Kind::kMarkDirty,  Kind::kLock,
      Kind::kLock,      Kind::kUnlock,      Kind::kUnlockAll,   Kind::kLockRange,  Kind::kLockRange,
      Kind::kLockRange, Kind::kUnlockRange, Kind::kUnlockRange, Kind::kInvalidate, Kind::kRun,
      Kind::kReset,     Kind::kLimit,       Kind::kHole,        Kind::kUnmappable};
  constexpr std::uint64_t kPages[] = {0,    1,    60,   511,  512,  513,  1000, 1024,         1025,
                                      1536, 1540, 2047, 2100, 2560, 2600, 3071, kLastPage - 3};
  constexpr std::uint64_t kCounts[] = {0, 1, 2, 3, 63, 64, 65, 511, 512, 513, 700, 1024};
  // Where slots are most of the time: with blocks, with none at the ends, with other memory.
  struct Place {
    std::uint64_t page, count, memory;
  };
  constexpr Place kPlaces[] = {{0, 1024, 0}, {1025, 1100, 1}, {2560, 1040, 512}, {3700, 600, 0}};
  AddressSpaceOperation operation{.kind = choices.of(kKinds)};
  operation.number = choices.chance(4) ? 32767 : choices.below(4);
  operation.write = choices.chance(128);
  operation.flags = choices.chance(4) ? 4 : choices.below(4) & choices.below(4);
  operation.page = choices.of(kPages) + (choices.chance(128) ? choices.below(64) : 0);
  operation.count = choices.of(kCounts);
  const Place& place = kPlaces[operation.number % 4];
  if (operation.kind == Kind::kSetSlot && !choices.chance(64)) {
    operation.page = place.page;
    operation.count = operation.count == 0 && choices.chance(128) ? 0 : place.count;
  }
  operation.memory = operation.number % 4 * kMemoryOfSlot + place.memory;
  if (operation.kind == Kind::kHole || operation.kind == Kind::kInvalidate)
    operation.memory += choices.below(1200);
  return operation;
}

std::string describe(const AddressSpaceOperation& operation) {
  constexpr const char* kNames[] = {"set slot",     "translate",  "take log",   "mark dirty",
                                    "lock",         "unlock",     "unlock all", "lock range",
                                    "unlock range", "invalidate", "run",        "reset",
                                    "limit",        "hole",       "unmappable"};
  return fmt::format("{}: number {}, write {}, flags {}, page {:#x}, count {}, memory page {:#x}",
                     kNames[static_cast<unsigned>(operation.kind)], operation.number,
                     operation.write, operation.flags, operation.page, operation.count,
                     operation.memory);
}

AddressSpaceLockstep::AddressSpaceLockstep(const Setup& setup)
    : space_{std::make_unique<virt::memory::AddressSpace>(
          virt::memory::AddressSpaceConfig{.address_bits = kAddressBits,
                                           .blocks = setup.blocks,
                                           .lock_before_first_run_only = setup.strict,
                                           .pin_batch_bytes = setup.batch_pages * kPageBytes},
          host_, user_)},
      reference_{kAddressBits, setup.strict} {}

// ---- Slots and accesses -------------------------------------------------------------------------

Difference AddressSpaceLockstep::set_slot(const Operation& operation) {
  const MemorySlot slot{operation.number, operation.flags, address_of(operation.page),
                        operation.count * kPageBytes, memory_of(operation.memory)};
  const auto before = reference_.slots.find(slot.number);
  const bool logged = before != reference_.slots.end() && before->second.config.logs_dirty_pages();
  const int ours = number_of(space_->set_slot(slot)), theirs = reference_.set_slot(slot);
  if (theirs == 0 && !logged && slot.logs_dirty_pages()) see_writes_again(slot.number);
  return compare_number("set slot", ours, theirs);
}

/// What hardware finds there, which changes nothing: what has been mapped for it.
Difference AddressSpaceLockstep::translate_mapped(std::uint64_t page, bool write) {
  const unsigned faults = host_.faults_in, maps = user_.map_calls;
  const std::uint64_t address = page * kPageBytes;
  const auto ours = space_->translate_mapped(
      GuestPhysical{address}, write ? StageTwoAccess::kWrite : StageTwoAccess::kRead);
  if (host_.faults_in != faults || user_.map_calls != maps) return "hardware has mapped a page";
  const auto* const slot = reference_.at(address);
  const auto entry = user_.entries.find(address);
  const bool there = slot != nullptr && entry != user_.entries.end() &&
                     !(write && (slot->config.is_read_only() || !entry->second.writable));
  if (ours.has_value() != there) return "hardware finds what is not mapped, or not what is";
  if (!there && (write ? writable_ : readable_).contains(address))
    return "hardware does not find a page that is locked";
  if (there && write) reference_.mark_dirty(address, 1);
  return {};
}

Difference AddressSpaceLockstep::translate(const Operation& operation) {
  const auto access = static_cast<StageTwoAccess>(operation.flags % 3);
  const bool write = access == StageTwoAccess::kWrite;
  const std::uint64_t address = operation.page * kPageBytes + 123;
  const unsigned faults = host_.faults_in;
  const auto ours = space_->translate(GuestPhysical{address}, access);
  const auto* const slot = reference_.at(address);
  if (slot == nullptr || (write && slot->config.is_read_only())) {
    if (ours) return "translated what is not there";
    const auto kind =
        slot == nullptr ? StageTwoFault::Kind::kNoSlot : StageTwoFault::Kind::kReadOnly;
    return ours.error().kind == kind ? Difference{} : "another fault";
  }
  if (!ours) {
    const bool expected = ours.error().kind == StageTwoFault::Kind::kMapping
                              ? user_.unmappable != ~std::uint64_t{0}
                              : host_.hole != nullptr;
    return expected ? Difference{} : "a fault in memory that is there";
  }
  if (write) reference_.mark_dirty(address, 1);
  if (ours->host != slot->config.host + (address - slot->begin())) return "other memory";
  if (write && !ours->writable) return "not to be written";
  const std::uint64_t page = operation.page * kPageBytes;
  if (host_.faults_in != faults && (write ? writable_ : readable_).contains(page))
    return "a fault on a page that is locked";
  return {};
}

Difference AddressSpaceLockstep::take_log(std::uint32_t number) {
  std::vector<std::uint64_t> words(64);
  const int ours = number_of(space_->take_dirty_log(number, words));
  const auto slot = reference_.slots.find(number);
  const bool logs = slot != reference_.slots.end() && slot->second.config.logs_dirty_pages();
  const int theirs = number >= 32767 ? EINVAL : logs ? 0 : ENOENT;
  if (auto difference = compare_number("take log", ours, theirs); difference || ours != 0)
    return difference;
  for (std::uint64_t page = 0; page < slot->second.pages(); ++page) {
    const bool dirty = (words[page / 64] >> page % 64 & 1) != 0;
    if (dirty != slot->second.dirty.contains(page))
      return fmt::format("page {} of slot {} is {}", page, number, dirty ? "dirty" : "clean");
  }
  slot->second.dirty.clear();
  see_writes_again(number);
  return {};
}

/// But for those of ranges that are locked for writing.
void AddressSpaceLockstep::see_writes_again(std::uint32_t number) {
  std::erase_if(writable_, [&](std::uint64_t address) {
    const auto* const slot = reference_.at(address);
    return slot == nullptr ||
           (slot->config.number == number && !reference_.write_locked(*slot, address));
  });
}

// ---- Locks --------------------------------------------------------------------------------------

/// `raced_page`: of the memory, changed while pages are pinned; only if nothing else goes wrong.
ReferenceAddressSpace::Circumstances AddressSpaceLockstep::begin_lock(
    const Operation& operation, std::optional<std::uint64_t> raced_page) {
  ReferenceAddressSpace::Circumstances now{.limit = host_.limit,
                                           .hole = host_.hole,
                                           .unmappable = user_.unmappable,
                                           .map_error = user_.map_error,
                                           .raced = false};
  now.raced = raced_page && (operation.flags & 1) != 0 && now.hole == nullptr &&
              now.unmappable == ~std::uint64_t{0};
  host_.on_pin = nullptr;
  if (now.raced) {
    host_.on_pin = [this, page = *raced_page, done = false]() mutable {
      if (std::exchange(done, true)) return;
      invalidate(page, 1);
    };
  }
  return now;
}

void AddressSpaceLockstep::promise(const ReferenceAddressSpace::Slot& slot, std::uint64_t first,
                                   std::uint64_t end, bool write) {
  for (std::uint64_t page = first; page < end; ++page) {
    readable_.insert(slot.begin() + page * kPageBytes);
    if (write) writable_.insert(slot.begin() + page * kPageBytes);
  }
}

void AddressSpaceLockstep::invalidate(std::uint64_t memory, std::uint64_t count) {
  space_->invalidate(memory_of(memory), count * kPageBytes);
  const auto gone = [&](std::uint64_t address) {
    const auto* const slot = reference_.at(address);
    if (slot == nullptr) return true;
    const std::byte* const page = slot->config.host + (address - slot->begin());
    return page >= memory_of(memory) && page < memory_of(memory + count);
  };
  std::erase_if(readable_, gone);
  std::erase_if(writable_, gone);
}

void AddressSpaceLockstep::forget_unpinned() {
  const auto gone = [this](std::uint64_t address) {
    const auto* const slot = reference_.at(address);
    return slot == nullptr || !reference_.pinned(*slot, (address - slot->begin()) / kPageBytes);
  };
  std::erase_if(readable_, gone);
  std::erase_if(writable_, [&](std::uint64_t address) {
    const auto* const slot = reference_.at(address);
    if (slot == nullptr) return true;
    return !(slot->lock && *slot->lock) && !reference_.write_locked(*slot, address);
  });
}

Difference AddressSpaceLockstep::lock(const Operation& operation) {
  const auto at = reference_.slots.find(operation.number);
  std::optional<std::uint64_t> raced;
  if (at != reference_.slots.end())
    raced = static_cast<std::uint64_t>(at->second.config.host - memory_of(0)) / kPageBytes;
  const auto now = begin_lock(operation, raced);
  const int ours = number_of(
      space_->lock(operation.number, operation.write ? LockAccess::kReadWrite : LockAccess::kRead));
  host_.on_pin = nullptr;
  const int theirs = reference_.lock(operation.number, operation.write, now);
  if (ours == 0 && theirs == 0) promise(at->second, 0, at->second.pages(), operation.write);
  return compare_number("lock", ours, theirs);
}

Difference AddressSpaceLockstep::lock_range(const Operation& operation) {
  const std::uint64_t begin = operation.page * kPageBytes, bytes = operation.count * kPageBytes;
  const auto* const slot = reference_.at(begin);
  std::optional<std::uint64_t> raced;
  if (slot != nullptr)
    raced = static_cast<std::uint64_t>(slot->config.host - memory_of(0)) / kPageBytes;
  const auto now = begin_lock(operation, raced);
  auto ours = space_->lock_range(GuestPhysical{begin}, bytes,
                                 operation.write ? LockAccess::kReadWrite : LockAccess::kRead);
  host_.on_pin = nullptr;
  const int theirs = reference_.lock_range(begin, bytes, operation.write, now);
  if (ours && theirs == 0) {
    const std::uint64_t first = (begin - slot->begin()) / kPageBytes;
    promise(*slot, first, first + operation.count, operation.write);
  }
  const int number = number_of(ours);
  if (ours) ranges_.push_back(std::move(*ours));
  return compare_number("lock range", number, theirs);
}

// ---- Steps --------------------------------------------------------------------------------------

Difference AddressSpaceLockstep::step(const Operation& operation) {
  Difference difference;
  switch (operation.kind) {
    case Kind::kSetSlot: difference = set_slot(operation); break;
    case Kind::kTranslate:
      difference = translate_mapped(operation.page, operation.write);
      if (!difference) difference = translate(operation);
      break;
    case Kind::kTakeLog: difference = take_log(operation.number); break;
    case Kind::kMarkDirty:
      space_->mark_dirty(GuestPhysical{operation.page * kPageBytes + 2048}, operation.count * 1000);
      if (operation.count != 0)
        reference_.mark_dirty(operation.page * kPageBytes + 2048, operation.count * 1000);
      break;
    case Kind::kLock: difference = lock(operation); break;
    case Kind::kUnlock:
      difference = compare_number("unlock", number_of(space_->unlock(operation.number)),
                                  reference_.unlock(operation.number));
      break;
    case Kind::kUnlockAll:
      space_->unlock_all();
      reference_.unlock_all();
      break;
    case Kind::kLockRange: difference = lock_range(operation); break;
    case Kind::kUnlockRange:
      if (ranges_.empty()) break;
      reference_.unlock_range(operation.number % ranges_.size());
      ranges_.erase(ranges_.begin() +
                    static_cast<std::ptrdiff_t>(operation.number % ranges_.size()));
      break;
    case Kind::kInvalidate: invalidate(operation.memory, operation.count); break;
    case Kind::kRun:
      reference_.run();
      difference = compare_number("run", number_of(space_->before_run()), 0);
      break;
    case Kind::kReset: space_->vcpu_reset(); break;
    case Kind::kLimit:
      // Mostly there is none.
      host_.limit = operation.write || operation.flags == 0 ? ~std::uint64_t{0}
                                                            : host_.charged + operation.count;
      break;
    case Kind::kHole:
      user_.unmappable = ~std::uint64_t{0};
      host_.hole = operation.count < 700 ? nullptr : memory_of(operation.memory);
      break;
    case Kind::kUnmappable:
      host_.hole = nullptr;
      user_.unmappable = operation.count < 700 ? ~std::uint64_t{0} : operation.page * kPageBytes;
      break;
  }
  forget_unpinned();
  return difference;
}

Difference AddressSpaceLockstep::compare_slot(const ReferenceAddressSpace::Slot& slot) {
  const std::uint32_t number = slot.config.number;
  const auto lock = space_->lock_of(number);
  if (lock.has_value() != slot.lock.has_value() ||
      (lock && (*lock == LockAccess::kReadWrite) != *slot.lock))
    return fmt::format("the lock of slot {}", number);
  return space_->read(number, [&](const SlotPages& pages) -> Difference {
    if (pages.size() != slot.pages()) return fmt::format("the size of slot {}", number);
    for (std::uint64_t page = 0; page < pages.size(); ++page) {
      if (pages.locked(page) != reference_.pinned(slot, page))
        return fmt::format("page {} of slot {} is locked: {}", page, number, pages.locked(page));
      if (pages.dirty(page) != slot.dirty.contains(page))
        return fmt::format("page {} of slot {} is dirty: {}", page, number, pages.dirty(page));
    }
    return {};
  });
}

/// Stage 2 has what is in slots, where it belongs, and writable only what may be written unseen.
Difference AddressSpaceLockstep::compare_entries() {
  for (const auto& [address, entry] : user_.entries) {
    const auto* const slot = reference_.at(address);
    if (slot == nullptr) return fmt::format("{:#x} is mapped, and no memory", address);
    const std::uint64_t page = (address - slot->begin()) / kPageBytes;
    if (entry.host != slot->config.host + page * kPageBytes)
      return fmt::format("{:#x} is mapped to other memory", address);
    if (!entry.writable) continue;
    if (slot->config.is_read_only()) return fmt::format("{:#x} can be written", address);
    if (slot->config.logs_dirty_pages() && !slot->dirty.contains(page) &&
        !reference_.pinned(*slot, page))
      return fmt::format("{:#x} can be written, and nobody would know", address);
  }
  for (const std::uint64_t address : writable_) {
    const auto entry = user_.entries.find(address);
    if (entry == user_.entries.end() || !entry->second.writable)
      return fmt::format("{:#x} is locked and cannot be written", address);
    const auto* const slot = reference_.at(address);
    if (slot->config.logs_dirty_pages() || address / kPageBytes % 8 != 0) continue;
    const unsigned faults = host_.faults_in;
    if (!space_->translate(GuestPhysical{address}, StageTwoAccess::kWrite) ||
        host_.faults_in != faults)
      return fmt::format("{:#x} is locked and faults", address);
  }
  return {};
}

Difference AddressSpaceLockstep::compare_all() {
  if (space_->slots().size() != reference_.slots.size()) return "other slots";
  for (const auto& [number, slot] : reference_.slots) {
    if (auto difference = compare_slot(slot)) return difference;
  }
  const std::set<std::byte*> pinned = reference_.pinned_memory();
  if (!std::equal(pinned.begin(), pinned.end(), host_.pinned.begin(), host_.pinned.end(),
                  [](std::byte* theirs, const auto& ours) { return theirs == ours.first; }))
    return fmt::format("{} pages are pinned, {} should be", host_.pinned.size(), pinned.size());
  if (host_.charged != pinned.size())
    return fmt::format("{} pages are charged, {} pinned", host_.charged, pinned.size());
  if (host_.mistakes != 0) return "the host was asked for what makes no sense";
  if (user_.mistakes != 0) return "the hypervisor was asked for what makes no sense";
  return compare_entries();
}

Difference AddressSpaceLockstep::finish() {
  if (auto difference = compare_all()) return difference;
  ranges_.clear();
  space_.reset();
  if (!host_.pinned.empty() || host_.charged != 0) return "pages are pinned after the end";
  if (host_.allocated != 0) return "tables are left after the end";
  if (!user_.entries.empty()) return "entries are left after the end";
  return {};
}

}  // namespace vpmu::property
