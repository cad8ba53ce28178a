// SPDX-License-Identifier: MIT
#include "property/pv_perf_world.hpp"

#include <algorithm>

#include "property/choices.hpp"
#include "property/pv_perf_setups.hpp"

namespace vpmu::property {

using virt::x86::LvtpcAfterPmi;
using virt::x86::PmiOutcome;

namespace {
/// No field has it: neither half of it is a count, a time, an address or a flag that occurs.
constexpr std::uint64_t kRubbish = 0xb1d5'07a9'b1d5'07a9;

constexpr std::uint64_t half(std::uint64_t word, unsigned n) {
  return word >> (32 * n) & 0xffffffff;
}
}  // namespace

std::uint64_t PvPerfWorld::machine_time() const {
  return kPvPerfCyclesPerNs * now;
}

bool PvPerfWorld::read_ram(GuestPhysical address, std::span<std::uint64_t> words) {
  if (kind(raw(address)) == Kind::kNothing) return false;
  std::uint64_t at = raw(address);
  for (std::uint64_t& word : words) {
    word = this->word(at);
    reads_.push_back({at, word});
    if (scribbles != 0) {
      RandomChoices random{scribbles += at};
      set_word(at,
               random.chance(128) ? word ^ std::uint64_t{1} << random.below(64) : random.draw(64));
    }
    at += 8;
  }
  return true;
}

std::uint8_t* PvPerfWorld::writable_ram(GuestPhysical address, std::size_t bytes) {
  if (kind(raw(address)) != Kind::kRam) return nullptr;
  const std::uint64_t first = raw(address) / 8;
  for (std::uint64_t n = first; n < first + bytes / 8; ++n) rubbish_[n] = kRubbish;
  return static_cast<std::uint8_t*>(static_cast<void*>(&rubbish_[first]));
}

void PvPerfWorld::ram_written(GuestPhysical address, std::size_t bytes) {
  if (kind(raw(address)) != Kind::kRam || raw(address) % kPageBytes + bytes > kPageBytes) {
    written_outside_ram = true;
    return;
  }
  Write write{raw(address), bytes, {}};
  for (std::uint64_t at = raw(address); at < raw(address) + bytes; at += 8) {
    for (unsigned n = 0; n < 2; ++n) {
      if (half(rubbish_[at / 8], n) == half(kRubbish, n)) continue;
      write.changed.push_back(at + std::uint64_t{4} * n);
      const std::uint64_t mask = std::uint64_t{0xffffffff} << (32 * n);
      set_word(at, (word(at) & ~mask) | (rubbish_[at / 8] & mask));
    }
    rubbish_[at / 8] = kRubbish;
  }
  writes.push_back(std::move(write));
}

PmiOutcome PvPerfWorld::raise_pmi(LvtpcAfterPmi then) {
  ++raised;
  after = then;
  outcome = lvtpc;
  if (lvtpc == PmiOutcome::kDelivered && then == LvtpcAfterPmi::kMask) lvtpc = PmiOutcome::kMasked;
  return outcome;
}

std::uint64_t PvPerfWorld::read_again(std::uint64_t address) {
  const auto found = std::ranges::find_if(
      reads_, [&](const Read& read) { return read.address == address && !read.seen; });
  if (found == reads_.end()) return word(address);
  found->seen = true;
  return found->value;
}

std::optional<std::uint64_t> PvPerfWorld::read_twice() const {
  for (std::size_t n = 0; n < reads_.size(); ++n) {
    if (reads_[n].seen) continue;
    for (std::size_t other = 0; other < reads_.size(); ++other) {
      if (other != n && reads_[other].address == reads_[n].address) return reads_[n].address;
    }
  }
  return {};
}

void PvPerfWorld::forget() {
  reads_.clear();
  writes.clear();
}

// ---- The host's perf ----------------------------------------------------------------------------

tl::expected<hostperf::EventId, hostperf::OpenError> FickleHostPerf::open(
    const hostperf::EventAttr& attr, hostperf::Target target, hostperf::OverflowHandler& handler) {
  wanted_.at(attr.cookie) = {attr, target};
  auto opened = tl::expected<hostperf::EventId, hostperf::OpenError>{};
  if (refuse) {
    opened = tl::make_unexpected(*refuse);
  } else {
    opened = perf_->open(attr, target, handler);
  }
  auto& failure = failures_.at(attr.cookie);
  failure.reset();
  if (opened) {
    open_.insert_or_assign(static_cast<std::uint32_t>(*opened), Open{attr.cookie});
  } else {
    failure = opened.error();
  }
  return opened;
}

void FickleHostPerf::close(hostperf::EventId event) {
  open_.erase(static_cast<std::uint32_t>(event));
  perf_->close(event);
}

std::optional<hostperf::EventCount> FickleHostPerf::read(hostperf::EventId event) {
  if (silent_errors_ && perf_->state(event) == hostperf::EventState::kError) return std::nullopt;
  auto count = perf_->read(event);
  if (count) count->time_running_ns = open_.at(static_cast<std::uint32_t>(event)).running_ns;
  return count;
}

void FickleHostPerf::pass(std::uint64_t ns) {
  for (auto& [event, open] : open_) {
    if (perf_->state(hostperf::EventId{event}) == hostperf::EventState::kActive) {
      open.running_ns += ns;
    }
  }
}

bool FickleHostPerf::has_room_for(std::uint64_t cookie, hostperf::OverflowHandler& handler) {
  const auto& [attr, target] = wanted_.at(cookie);
  const auto opened = perf_->open(attr, target, handler);
  if (!opened) return false;
  perf_->enable(*opened);
  const bool fits = perf_->state(*opened) == hostperf::EventState::kActive;
  perf_->close(*opened);
  return fits;
}

bool FickleHostPerf::counts(std::uint64_t cookie) const {
  return std::ranges::any_of(open_, [&](const auto& each) {
    const hostperf::EventState state = perf_->state(hostperf::EventId{each.first});
    return each.second.cookie == cookie &&
           (state == hostperf::EventState::kActive || state == hostperf::EventState::kInactive);
  });
}

}  // namespace vpmu::property
