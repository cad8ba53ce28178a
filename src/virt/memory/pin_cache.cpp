// SPDX-License-Identifier: MIT
#include "vpmu/virt/memory/pin_cache.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <string>
#include <utility>

#include "vpmu/base/ensure.hpp"

namespace vpmu::virt::memory {

PinCache::PinCache(AddressSpace& space, const PinCacheConfig& config)
    : space_{space}, config_{config} {
  ensure(config.buffers != 0);
}

PinCache::~PinCache() {
  drop_all();
}

void PinCache::use(Buffers::iterator buffer, std::uint64_t now) {
  buffer->used = now;
  buffers_.splice(buffers_.begin(), buffers_, buffer);
  in_use_ = true;
}

void PinCache::remove(Buffers::iterator buffer) {
  if (buffer == buffers_.begin()) in_use_ = false;
  bytes_ -= buffer->bytes();
  if (config_.budget != nullptr) config_.budget->give_back(buffer->bytes());
  buffers_.erase(buffer);
}

/// The least recently used idle one; false: there is none.
bool PinCache::evict() {
  if (buffers_.size() <= (in_use_ ? 1U : 0U)) return false;
  remove(std::prev(buffers_.end()));
  ++statistics_.evictions;
  return true;
}

bool PinCache::reuse(const BufferKey& key, std::uint64_t now) {
  const auto buffer = std::find_if(buffers_.begin(), buffers_.end(),
                                   [&](const Buffer& pinned) { return pinned.key.covers(key); });
  if (buffer == buffers_.end()) return false;
  use(buffer, now);
  ++statistics_.hits;
  return true;
}

bool PinCache::make_room(std::uint64_t bytes) {
  if (bytes > config_.most_bytes) return false;
  while (buffers_.size() >= config_.buffers || bytes_ > config_.most_bytes - bytes) evict();
  while (config_.budget != nullptr && !config_.budget->take(bytes)) {
    if (!evict()) return false;
  }
  bytes_ += bytes;
  return true;
}

ErrnoResult<void> PinCache::pin(const BufferKey& key, std::span<const GuestPhysical> pages,
                                std::uint64_t now) {
  in_use_ = false;
  const auto old = std::find_if(buffers_.begin(), buffers_.end(),
                                [&](const Buffer& pinned) { return pinned.key.same_place(key); });
  if (old != buffers_.end()) {
    if (std::equal(pages.begin(), pages.end(), old->pages.begin(), old->pages.end())) {
      old->key = key;
      use(old, now);
      ++statistics_.rewalks;
      return {};
    }
    remove(old);
  }
  Buffer buffer{.key = key, .pages = {pages.begin(), pages.end()}, .locks = {}, .used = now};
  if (!make_room(buffer.bytes()))
    return refuse(EFBIG, "profiling buffer of " + std::to_string(buffer.bytes()) +
                             " bytes: more than may be pinned for it; make it smaller");
  buffers_.push_front(std::move(buffer));
  in_use_ = true;
  auto locked = lock_pages(buffers_.front());
  if (locked)
    ++statistics_.pins;
  else
    remove(buffers_.begin());
  return locked;
}

/// Pages that follow one another are locked together, as far as their slot goes.
ErrnoResult<void> PinCache::lock_pages(Buffer& buffer) {
  for (auto at = buffer.pages.begin(); at != buffer.pages.end();) {
    const auto slot = space_.slot_at(*at);
    if (!slot)
      return refuse(EFAULT, "profiling buffer: guest address " + std::to_string(raw(*at)) +
                                " is no memory; have the guest take another");
    const std::uint64_t slot_end = raw(slot->begin) + slot->bytes;
    const GuestPhysical begin = *at;
    std::uint64_t end = raw(begin);
    while (at != buffer.pages.end() && raw(*at) == end && end < slot_end) {
      end += kPageBytes;
      ++at;
    }
    auto lock = lock_run(begin, end - raw(begin));
    if (!lock) return tl::unexpected(lock.error());
    buffer.locks.push_back(std::move(*lock));
  }
  return {};
}

/// Idle buffers are worth less than this one.
ErrnoResult<RangeLock> PinCache::lock_run(GuestPhysical begin, std::uint64_t bytes) {
  constexpr unsigned kTries = 8;  // of those that others' changes of the memory spoil
  for (unsigned tries = 1;;) {
    auto lock = space_.lock_range(begin, bytes, LockAccess::kReadWrite);
    if (lock) return lock;
    const int error = lock.error().number;
    const bool again = error == EAGAIN ? ++tries <= kTries : error == ENOMEM && evict();
    if (!again) return lock;
  }
}

void PinCache::release(std::uint64_t now) {
  if (in_use_) buffers_.front().used = now;
  in_use_ = false;
}

std::uint64_t PinCache::drop(std::uint64_t bytes) {
  const std::uint64_t before = bytes_;
  while (before - bytes_ < bytes && evict()) continue;
  return before - bytes_;
}

void PinCache::drop_older(std::uint64_t time) {
  for (auto at = buffers_.begin(); at != buffers_.end();) {
    const auto buffer = at++;
    const bool idle = !in_use_ || buffer != buffers_.begin();
    if (idle && buffer->used < time) remove(buffer);
  }
}

void PinCache::drop_all() {
  while (!buffers_.empty()) remove(buffers_.begin());
}

// ---- State --------------------------------------------------------------------------------------

namespace {

std::vector<PinCacheState::Run> runs_of(std::span<const GuestPhysical> pages) {
  std::vector<PinCacheState::Run> runs;
  for (const GuestPhysical page : pages) {
    const bool follows =
        !runs.empty() && runs.back().begin + runs.back().pages * kPageBytes == raw(page);
    if (!follows) runs.push_back({raw(page), 0});
    ++runs.back().pages;
  }
  return runs;
}

/// None: more than `most`.
std::optional<std::vector<GuestPhysical>> pages_of(std::span<const PinCacheState::Run> runs,
                                                   std::uint64_t most) {
  std::vector<GuestPhysical> pages;
  for (const PinCacheState::Run& run : runs) {
    if (run.pages > most - pages.size()) return std::nullopt;
    for (std::uint64_t n = 0; n < run.pages; ++n)
      pages.push_back(GuestPhysical{run.begin + n * kPageBytes});
  }
  return pages;
}

}  // namespace

PinCacheState PinCache::save() const {
  PinCacheState state{.buffers = {}, .in_use = in_use_, .statistics = statistics_};
  for (const Buffer& buffer : buffers_)
    state.buffers.push_back({buffer.key, buffer.used, runs_of(buffer.pages)});
  return state;
}

ErrnoResult<void> PinCache::restore(const PinCacheState& state) {
  const bool in_use = state.in_use && !state.buffers.empty();
  if (state.buffers.size() > config_.buffers || in_use != state.in_use)
    return refuse(EINVAL, "profiling buffers: not as many as may be kept pinned");
  for (auto buffer = state.buffers.rbegin(); buffer != state.buffers.rend(); ++buffer) {
    const auto pages = pages_of(buffer->runs, config_.most_bytes / kPageBytes);
    auto pinned = pages ? pin(buffer->key, *pages, buffer->used)
                        : refuse(EFBIG, "profiling buffer: more pages than may be pinned for it");
    if (pinned) continue;
    drop_all();
    return pinned;
  }
  in_use_ = in_use;
  statistics_ = state.statistics;
  return {};
}

}  // namespace vpmu::virt::memory
