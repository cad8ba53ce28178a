// SPDX-License-Identifier: MIT
#include "machine/arm64_board/buffer_pins.hpp"

#include <algorithm>
#include <cerrno>

#include "machine/arm64/code_map.hpp"
#include "machine/arm64/identity.hpp"

namespace vpmu::machine::arm64 {

using virt::memory::BufferKey;

namespace {
constexpr std::uint64_t kBaseAddress = (std::uint64_t{1} << kPhysicalBits) - 1;
constexpr unsigned kAsidShift = 48;
/// Which TTBRn_EL1 translates an address.
constexpr unsigned kHalfBit = 55;
}  // namespace

BufferPins::BufferPins(SpeMemory& memory, const Cpu& cpu)
    : memory_{memory},
      cpu_{cpu},
      mmu_{cpu.core(), memory.ram()},
      most_bytes_{std::min(memory.ram().size(), kMostBytes)},
      cache_{memory.space(), {.most_bytes = most_bytes_}} {}

BufferKey BufferPins::key_of(std::uint64_t start, std::uint64_t limit) const {
  const bool upper = (start >> kHalfBit & 1) != 0;
  const std::uint64_t table = (upper ? cpu_.core().ttbr1 : cpu_.core().ttbr0) & kBaseAddress;
  return {.root = table | std::uint64_t{mmu_.asid()} << kAsidShift,
          .begin = start & ~kPageMask,
          .limit = limit,
          .generation = cpu_.table_changes(start)};
}

BufferPins::Answer BufferPins::prepare(std::uint64_t start, std::uint64_t limit) {
  const BufferKey key = key_of(start, limit);
  if (in_use_ && in_use_->covers(key)) return Answer::kReady;
  if (!cache_.reuse(key)) return pin(key);
  in_use_ = key;
  return Answer::kReady;
}

void BufferPins::release() {
  if (!in_use_) return;
  in_use_.reset();
  cache_.release();
}

BufferPins::Answer BufferPins::settle() {
  return in_use_ ? prepare(in_use_->begin, in_use_->limit) : Answer::kReady;
}

BufferPins::Answer BufferPins::walk_again() {
  return in_use_ ? pin(*in_use_) : Answer::kReady;
}

void BufferPins::walk(const BufferKey& key) {
  pages_.clear();
  for (std::uint64_t page = key.begin; page < key.limit; page += kPageBytes) {
    const auto found = mmu_.probe(page, MemoryUse::kWrite, ExceptionLevel::kEl1, false);
    if (!found || memory_.ram().host(found->physical, kPageBytes) == nullptr) continue;
    pages_.push_back(GuestPhysical{found->physical});
  }
}

BufferPins::Answer BufferPins::pin(BufferKey key) {
  // Whatever key it had: what is pinned must be what the tables say now.
  release();
  const bool empty = key.limit <= key.begin;
  if (!empty && key.limit - key.begin > most_bytes_) {
    return refuse(Answer::kTooLarge,
                  "a profiling buffer is larger than the guest's memory or 1 GiB");
  }
  walk(key);
  if (const auto pinned = cache_.pin(key, pages_); !pinned) {
    const int error = pinned.error().number;
    const bool too_many = error == EFBIG || error == ENOMEM;
    return refuse(too_many ? Answer::kTooLarge : Answer::kUnavailable, pinned.error().message);
  }
  in_use_ = key;
  return Answer::kReady;
}

BufferPins::Answer BufferPins::refuse(Answer answer, const std::string& why) {
  ++refused_;
  why_ = why;
  return answer;
}

// ---- State --------------------------------------------------------------------------------------

/// Its own inverse.
BufferKey BufferPins::age_of(BufferKey key) const {
  key.generation = cpu_.table_changes(key.begin) - key.generation;
  return key;
}

BufferPinsState BufferPins::save() const {
  BufferPinsState state{.cache = cache_.save(), .in_use = {}, .refused = refused_};
  for (auto& buffer : state.cache.buffers) buffer.key = age_of(buffer.key);
  if (in_use_) state.in_use = age_of(*in_use_);
  return state;
}

Result<void> BufferPins::restore(const BufferPinsState& state) {
  if (state.in_use.has_value() != state.cache.in_use) return fail("a buffer is half in use");
  virt::memory::PinCacheState cache = state.cache;
  for (auto& buffer : cache.buffers) buffer.key = age_of(buffer.key);
  if (const auto pinned = cache_.restore(cache); !pinned) return fail(pinned.error().message);
  if (state.in_use) in_use_ = age_of(*state.in_use);
  refused_ = state.refused;
  return {};
}

}  // namespace vpmu::machine::arm64
