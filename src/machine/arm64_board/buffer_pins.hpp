// SPDX-License-Identifier: MIT
//
// The profiling buffers of one vCPU, pinned while they are enabled rather than all of RAM: the
// pages are those that the guest's own tables say. Buffers that are disabled stay pinned for when
// they come back (PinCache).
//
// What a hypervisor that traps TLB maintenance while a buffer is enabled would learn is learnt:
// when tables may have changed, the buffer is walked again before the next record is written. Pages
// that are mapped later, which takes no maintenance, are found when the first record goes there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "machine/arm64/cpu.hpp"
#include "machine/arm64/mmu.hpp"
#include "machine/arm64_board/spe_memory.hpp"
#include "vpmu/virt/arm64/spe_sink.hpp"
#include "vpmu/virt/memory/pin_cache.hpp"

namespace vpmu::machine::arm64 {

/// Plain data, for saving. Generations of keys say how many changes of the tables ago they were.
struct BufferPinsState {
  virt::memory::PinCacheState cache;
  std::optional<virt::memory::BufferKey> in_use;
  std::uint64_t refused = 0;
  friend bool operator==(const BufferPinsState&, const BufferPinsState&) = default;
};

class BufferPins {
 public:
  using Answer = virt::arm64::SpeBufferAnswer;
  /// Of all the buffers that are pinned.
  static constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;

  /// Both must outlive it.
  BufferPins(SpeMemory& memory, const Cpu& cpu);

  /// As virt::arm64::SpeSink has them. Pages that the tables do not map, or not to RAM, or not for
  /// writing, are left out: the unit says so when it gets there. More bytes than there is RAM, or
  /// than kMostBytes, are too large.
  Answer prepare(std::uint64_t start, std::uint64_t limit);
  void release();

  /// Before a record is written: the buffer in use, if its tables may have changed.
  Answer settle();
  /// The unit has found a page of it missing.
  Answer walk_again();

  [[nodiscard]] const virt::memory::PinCacheStatistics& statistics() const {
    return cache_.statistics();
  }
  /// Buffers that could not be pinned, and why not, the last time.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  [[nodiscard]] const std::string& why_refused() const { return why_; }

  [[nodiscard]] BufferPinsState save() const;
  /// Before the first run, with the CPU restored before.
  Result<void> restore(const BufferPinsState& state);

 private:
  [[nodiscard]] virt::memory::BufferKey key_of(std::uint64_t start, std::uint64_t limit) const;
  Answer pin(virt::memory::BufferKey key);
  Answer refuse(Answer answer, const std::string& why);
  void walk(const virt::memory::BufferKey& key);
  [[nodiscard]] virt::memory::BufferKey age_of(virt::memory::BufferKey key) const;

  SpeMemory& memory_;
  const Cpu& cpu_;
  const Mmu mmu_;
  const std::uint64_t most_bytes_;
  virt::memory::PinCache cache_;
  std::optional<virt::memory::BufferKey> in_use_;
  std::vector<GuestPhysical> pages_;  ///< of the buffer that is being walked
  std::uint64_t refused_ = 0;
  std::string why_;
};

}  // namespace vpmu::machine::arm64
