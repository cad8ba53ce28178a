// SPDX-License-Identifier: MIT
#include "machine/arm64_board/spe_memory.hpp"

#include <string>

#include "machine/arm64/identity.hpp"
#include "machine/arm64/mmu.hpp"
#include "vpmu/base/ensure.hpp"

namespace vpmu::machine::arm64 {

namespace memory = virt::memory;
using memory::StageTwoAccess;

namespace {
memory::AddressSpaceConfig config_of(const SpeMemoryOffer& offer) {
  // Which pages come with one that is touched must not depend on where the host has RAM.
  return {.slots = 1, .address_bits = kPhysicalBits, .blocks = offer.lock == SpeLock::kAll};
}
}  // namespace

SpeMemory::SpeMemory(const SpeMemoryOffer& offer, const GuestMemory& ram, const Cluster& cluster)
    : offer_{offer},
      ram_{ram},
      cluster_{cluster},
      space_{config_of(offer), offer.mlock ? static_cast<memory::PinningHost&>(locking_) : staying_,
             *this} {}

Result<std::unique_ptr<SpeMemory>> SpeMemory::create(const SpeMemoryOffer& offer,
                                                     const GuestMemory& memory,
                                                     const Cluster& cluster) {
  std::unique_ptr<SpeMemory> made{new SpeMemory{offer, memory, cluster}};
  if (auto done = made->set_up(); !done) return tl::unexpected(done.error());
  return made;
}

Result<void> SpeMemory::set_up() {
  const auto set =
      space_.set_slot({.number = kSlot,
                       .begin = GuestPhysical{ram_.begin()},
                       .bytes = ram_.size(),
                       .host = reinterpret_cast<std::byte*>(ram_.host(ram_.begin(), ram_.size()))});
  if (!set) return fail("guest memory for SPE: " + set.error().message);
  if (offer_.lock != SpeLock::kAll) return {};
  if (const auto locked = space_.lock(kSlot, memory::LockAccess::kReadWrite); !locked) {
    const std::string pages = std::to_string(ram_.size() >> 10) + " KiB of guest memory for SPE";
    return fail(pages + " cannot be locked: " + locked.error().message +
                " (ulimit -l, or CAP_IPC_LOCK), or give --guest-spe lock=buffer");
  }
  return {};
}

/// Guests have no memory tags, so nothing can fail.
void SpeMemory::before_run() {
  ensure(space_.before_run().has_value());
}

// ---- Stage 2 ------------------------------------------------------------------------------------

/// For writing at once, as KVM maps memory of its own. If the host has no page for it the access
/// will tell.
void SpeMemory::touch(std::uint64_t physical) {
  (void)space_.translate(GuestPhysical{physical}, StageTwoAccess::kWrite);
}

std::optional<std::uint8_t> SpeMemory::refuse_unit(std::uint64_t physical) {
  if (space_.translate_mapped(GuestPhysical{physical}, StageTwoAccess::kWrite)) {
    return std::nullopt;
  }
  if (stage2_faults_++ == 0) first_fault_ = physical;
  constexpr unsigned kLastLevel = 3;
  return fault_status(FaultStatus::kTranslation, kLastLevel);
}

/// CPUs keep no translation that is older.
void SpeMemory::drop_translations() {
  for (TranslationListener* cpu : cluster_.listeners()) cpu->on_tlb_invalidation({});
}

int SpeMemory::clean_tags(std::byte* /*memory*/, std::uint64_t /*bytes*/) {
  deferred_.push_back(DeferredOperation::kTags);
  return 0;
}

void SpeMemory::clean_data_cache(std::byte* /*memory*/, std::uint64_t /*bytes*/) {
  deferred_.push_back(DeferredOperation::kDataCache);
}

void SpeMemory::invalidate_instruction_cache() {
  deferred_.push_back(DeferredOperation::kInstructionCache);
}

// ---- For the report -----------------------------------------------------------------------------

std::uint64_t SpeMemory::locked_pages() const {
  return offer_.mlock ? locking_.charged_pages() : staying_.charged_pages();
}

std::uint64_t SpeMemory::metadata_bytes() const {
  const memory::SlotMetadata metadata = space_.metadata(kSlot);
  return metadata.pins + metadata.stage2 + metadata.dirty_log;
}

// ---- State --------------------------------------------------------------------------------------

namespace {
constexpr std::uint64_t kWordBits = 64;

std::uint64_t words_of(const GuestMemory& ram) {
  return (ram.size() / memory::kPageBytes + kWordBits - 1) / kWordBits;
}
}  // namespace

SpeMemoryState SpeMemory::save() {
  SpeMemoryState state{.mapped = {},
                       .stage2_faults = stage2_faults_,
                       .first_fault = first_fault_,
                       .deferred = deferred_};
  if (!on_demand()) return state;
  state.mapped.resize(words_of(ram_));
  for (std::uint64_t page = 0; page < ram_.size() / memory::kPageBytes; ++page) {
    const GuestPhysical address{ram_.begin() + page * memory::kPageBytes};
    if (!space_.translate_mapped(address, StageTwoAccess::kWrite)) continue;
    state.mapped[page / kWordBits] |= std::uint64_t{1} << page % kWordBits;
  }
  return state;
}

Result<void> SpeMemory::restore(const SpeMemoryState& state) {
  if (state.mapped.size() != (on_demand() ? words_of(ram_) : 0)) {
    return fail("its pages are not those of this memory");
  }
  for (std::uint64_t page = 0; page < state.mapped.size() * kWordBits; ++page) {
    if ((state.mapped[page / kWordBits] >> page % kWordBits & 1) == 0) continue;
    if (page >= ram_.size() / memory::kPageBytes) return fail("a page is behind its memory");
    touch(ram_.begin() + page * memory::kPageBytes);
  }
  // What it has done already is not done again.
  if (!state.deferred.empty()) before_run();
  deferred_ = state.deferred;
  stage2_faults_ = state.stage2_faults;
  first_fault_ = state.first_fault;
  return {};
}

}  // namespace vpmu::machine::arm64
