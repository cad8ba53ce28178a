// SPDX-License-Identifier: MIT
#include <algorithm>
#include <bit>
#include <optional>

#include "virt/memory/slot.hpp"
#include "vpmu/virt/memory/address_space.hpp"

namespace vpmu::virt::memory {

namespace {

bool permits(const StageTwoState& state, StageTwoAccess access) {
  return state.mapped && (access != StageTwoAccess::kWrite || state.writable);
}

/// That many of one kind of fault are worth a line of somebody's log.
bool worth_a_warning(std::uint64_t count) {
  constexpr std::uint64_t kFirst = 10;
  return count <= kFirst || std::has_single_bit(count);
}

}  // namespace

namespace {

/// Why nobody may have that of a slot, mapped or not.
std::optional<StageTwoFault> denied(const Slot* slot, StageTwoAccess access) {
  if (slot == nullptr) return StageTwoFault{StageTwoFault::Kind::kNoSlot};
  if (access == StageTwoAccess::kWrite && slot->config.is_read_only())
    return StageTwoFault{StageTwoFault::Kind::kReadOnly};
  return std::nullopt;
}

/// What an entry says, if there is one for that; a write is dirty then.
std::optional<Translation> mapped(const Slot& slot, std::uint64_t address, StageTwoAccess access) {
  const std::uint64_t offset = address - slot.begin();
  const std::uint64_t page = offset / kPageBytes;
  const StageTwoState state = slot.stage2->state(page);
  if (!permits(state, access)) return std::nullopt;
  if (access == StageTwoAccess::kWrite && slot.dirty != nullptr && !slot.dirty->test(page))
    slot.dirty->set(page / 64, std::uint64_t{1} << page % 64);
  const std::uint64_t unit = state.block ? kBlockBytes : kPageBytes;
  return Translation{slot.config.host + offset, unit - address % unit, state.writable};
}

}  // namespace

tl::expected<Translation, StageTwoFault> AddressSpace::translate(GuestPhysical address,
                                                                 StageTwoAccess access) {
  const RcuReadSection section;
  for (;;) {
    const SlotTable& table = *table_.load(std::memory_order_acquire);
    const Slot* const slot = table.at(raw(address));
    if (const auto fault = denied(slot, access)) return tl::unexpected(*fault);
    if (const auto there = mapped(*slot, raw(address), access)) return *there;
    const std::uint64_t page = (raw(address) - slot->begin()) / kPageBytes;
    // It is there the next time; or somebody has changed it meanwhile.
    if (const auto fault = map_page(table, *slot, page, access)) return tl::unexpected(*fault);
  }
}

tl::expected<Translation, StageTwoFault> AddressSpace::translate_mapped(GuestPhysical address,
                                                                        StageTwoAccess access) {
  const RcuReadSection section;
  const Slot* const slot = table_.load(std::memory_order_acquire)->at(raw(address));
  if (const auto fault = denied(slot, access)) return tl::unexpected(*fault);
  if (const auto there = mapped(*slot, raw(address), access)) return *there;
  note_locked_fault(*slot, (raw(address) - slot->begin()) / kPageBytes, access);
  return tl::unexpected(StageTwoFault{StageTwoFault::Kind::kNotMapped});
}

/// Nothing is mapped if something has changed that the caller has looked at.
std::optional<StageTwoFault> AddressSpace::map_page(const SlotTable& table, const Slot& slot,
                                                    std::uint64_t page, StageTwoAccess access) {
  const bool write = access == StageTwoAccess::kWrite;
  const std::uint64_t invalidations = invalidations_.load();
  note_locked_fault(slot, page, access);
  if (const int error = host_.fault_in(slot.host(page), write); error != 0)
    return StageTwoFault{StageTwoFault::Kind::kHostMemory, error};

  const std::lock_guard lock{stage2_mutex_};
  if (invalidations_.load() != invalidations || table_.load() != &table) return std::nullopt;
  const PageLayout& layout = slot.stage2->layout();
  const std::uint64_t block = layout.block_of(page);
  const bool whole = slot.dirty == nullptr && slot.stage2->block_free(block);
  const Pages pages =
      whole ? Pages{layout.block_first(block), layout.block_end(block)} : Pages{page, page + 1};
  const int error = user_.map({slot.address(pages.first), (pages.end - pages.first) * kPageBytes,
                               slot.host(pages.first), write});
  if (error != 0) return StageTwoFault{StageTwoFault::Kind::kMapping, error};
  slot.stage2->map(pages.first, pages.end, write, whole);
  return std::nullopt;
}

/// A page that is mapped but not for writing is as it should be, unless the lock has promised that.
void AddressSpace::note_locked_fault(const Slot& slot, std::uint64_t page, StageTwoAccess access) {
  if (access == StageTwoAccess::kExecute || !slot.pins->pinned(page)) return;
  const bool write = access == StageTwoAccess::kWrite;
  const bool promised = !write || slot.pins->lock == Pins::kReadWrite;
  if (!promised && slot.stage2->state(page).mapped) return;
  const std::uint64_t count = locked_faults_.fetch_add(1) + 1;
  if (!worth_a_warning(count)) return;
  user_.locked_page_faulted({slot.config.number, slot.address(page), write, count});
}

void AddressSpace::invalidate(const std::byte* host, std::uint64_t bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(host);
  const std::uint64_t end = begin + bytes < begin ? ~std::uint64_t{0} : begin + bytes;
  bool any = false;
  {
    const std::lock_guard lock{stage2_mutex_};
    for (const Slot* slot : table_.load()->slots) {
      const auto memory = reinterpret_cast<std::uintptr_t>(slot->config.host);
      const std::uint64_t from = std::max<std::uint64_t>(begin, memory);
      const std::uint64_t to = std::min<std::uint64_t>(end, memory + slot->config.bytes);
      if (from >= to) continue;
      any = true;
      const std::uint64_t first = (from - memory) / kPageBytes;
      const std::uint64_t past = (to - memory + kPageBytes - 1) / kPageBytes;
      user_.unmap(slot->address(first), (past - first) * kPageBytes);
      slot->stage2->unmap(first, past);
    }
    if (any) {
      invalidations_.fetch_add(1);
      generation_.fetch_add(1);
    }
  }
  if (any) user_.drop_translations();
}

}  // namespace vpmu::virt::memory
