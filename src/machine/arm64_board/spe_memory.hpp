// SPDX-License-Identifier: MIT
//
// The RAM of guests with SPE, as a hypervisor has it: a memory slot, its stage 2, and locks, since
// units cannot wait until a page is mapped. What is locked, and when, is the SpeMemoryOffer.
//
// All that is locked is unlocked when this goes, which is before RAM does. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "machine/arm64/cluster.hpp"
#include "machine/arm64/stage_two_pages.hpp"
#include "machine/arm64_board/staying_host.hpp"
#include "machine/guest_memory.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/virt/memory/address_space.hpp"
#include "vpmu/virt/memory/pinning_host.hpp"

namespace vpmu::machine::arm64 {

enum class SpeLock : std::uint8_t {
  kAll,     ///< all of RAM, before the first run
  kBuffer,  ///< the guest's buffers, when they are enabled; other pages are mapped on demand
  kNone,    ///< nothing; pages are mapped on demand, by the CPUs' own accesses
};

struct SpeMemoryOffer {
  SpeLock lock = SpeLock::kAll;
  /// What is locked is pinned by the operating system, too, within RLIMIT_MEMLOCK. Units are
  /// software and need none of it: pages stay where they are to them.
  bool mlock = false;
  friend bool operator==(const SpeMemoryOffer&, const SpeMemoryOffer&) = default;
};

/// What was put off until the first run. In this order.
enum class DeferredOperation : std::uint8_t { kTags, kDataCache, kInstructionCache };

/// Plain data, for saving.
struct SpeMemoryState {
  std::vector<std::uint64_t> mapped;  ///< a bit for each page; none if all are
  std::uint64_t stage2_faults = 0;
  std::uint64_t first_fault = 0;
  std::vector<DeferredOperation> deferred;
  friend bool operator==(const SpeMemoryState&, const SpeMemoryState&) = default;
};

class SpeMemory final : public StageTwoPages, private virt::memory::AddressSpaceUser {
 public:
  static constexpr std::uint32_t kSlot = 0;

  /// All must outlive it; `cluster`: of the CPUs. The error says what to do where RAM cannot be
  /// locked; nothing is then.
  static Result<std::unique_ptr<SpeMemory>> create(const SpeMemoryOffer& offer,
                                                   const GuestMemory& memory,
                                                   const Cluster& cluster);
  SpeMemory(const SpeMemory&) = delete;
  SpeMemory& operator=(const SpeMemory&) = delete;

  [[nodiscard]] const SpeMemoryOffer& offer() const { return offer_; }
  [[nodiscard]] const GuestMemory& ram() const { return ram_; }
  [[nodiscard]] virt::memory::AddressSpace& space() { return space_; }
  /// Before each entry of a vCPU that has left its guest.
  void before_run();

  // StageTwoPages
  [[nodiscard]] bool on_demand() const override { return offer_.lock != SpeLock::kAll; }
  void touch(std::uint64_t physical) override;
  std::optional<std::uint8_t> refuse_unit(std::uint64_t physical) override;

  // ---- For the report ---------------------------------------------------------------------------

  /// Now. With SpeMemoryOffer::mlock so many are charged for.
  [[nodiscard]] std::uint64_t locked_pages() const;
  [[nodiscard]] std::uint64_t metadata_bytes() const;
  /// Records of units that found a page unmapped.
  [[nodiscard]] std::uint64_t stage2_faults() const { return stage2_faults_; }
  /// Of the first one.
  [[nodiscard]] std::uint64_t first_fault() const { return first_fault_; }
  [[nodiscard]] const std::vector<DeferredOperation>& deferred() const { return deferred_; }

  /// Which pages are there is for guests to see where they come on demand.
  [[nodiscard]] SpeMemoryState save();
  /// Before the first run. Refused: it is of other memory.
  Result<void> restore(const SpeMemoryState& state);

 private:
  SpeMemory(const SpeMemoryOffer& offer, const GuestMemory& ram, const Cluster& cluster);
  Result<void> set_up();

  // virt::memory::AddressSpaceUser
  void drop_translations() override;
  int clean_tags(std::byte* memory, std::uint64_t bytes) override;
  void clean_data_cache(std::byte* memory, std::uint64_t bytes) override;
  void invalidate_instruction_cache() override;

  const SpeMemoryOffer offer_;
  const GuestMemory& ram_;
  const Cluster& cluster_;
  StayingHost staying_;
  virt::memory::LinuxPinningHost locking_;
  std::vector<DeferredOperation> deferred_;
  std::uint64_t stage2_faults_ = 0;
  std::uint64_t first_fault_ = 0;
  virt::memory::AddressSpace space_;
};

}  // namespace vpmu::machine::arm64
