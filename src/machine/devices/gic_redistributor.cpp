// SPDX-License-Identifier: MIT
#include "machine/devices/gic_redistributor.hpp"

#include "machine/cannot_hold.hpp"
#include "machine/devices/gic_distributor.hpp"

namespace vpmu::machine {

namespace {
// RD_base.
constexpr std::uint64_t kImplementerOffset = 0x4, kTypeOffset = 0x8, kWakerOffset = 0x14;
constexpr std::uint8_t kPart = 0x93;
constexpr std::uint32_t kProcessorSleep = 2, kChildrenAsleep = 4;
constexpr std::uint64_t kLast = 0x10;
// SGI_base.
constexpr std::uint64_t kSgiFrame = 0x1'0000;
constexpr std::uint32_t kSgiBits = (1U << gic::kSgis) - 1;

/// What of the SGI frame's banked registers is there: that of the first 32 interrupts.
GicBankAccess decode_private(std::uint64_t offset, unsigned bytes) {
  if (offset < kSgiFrame) return {};
  const GicBankAccess access = GicBankAccess::decode(offset - kSgiFrame, bytes);
  return access.intid < gic::kFirstSpi ? access : GicBankAccess{};
}
}  // namespace

GicRedistributor::GicRedistributor(const Config& config, GicDistributor& distributor)
    : config_{config}, distributor_{distributor} {
  distributor.add(*this);
  reset();
}

void GicRedistributor::reset() {
  const std::uint32_t lines = state_.bank.high;
  state_ = State{};
  state_.bank.high = lines;
  state_.bank.edge = kSgiBits;
  changed();
}

void GicRedistributor::set_line(unsigned intid, bool high) {
  if (intid < gic::kSgis || intid >= gic::kFirstSpi) return;
  state_.bank.set_line(intid, high);
  changed();
}

GicPending GicRedistributor::highest_pending(unsigned groups) const {
  if (state_.asleep) return {};
  const unsigned enabled = groups & distributor_.enabled_groups();
  const GicPending own = state_.bank.highest(enabled, 0, [](unsigned) { return true; });
  const GicPending shared = distributor_.highest_pending(config_.index, enabled);
  return own.is_before(shared) ? own : shared;
}

void GicRedistributor::acknowledge(unsigned intid) {
  if (intid >= gic::kFirstSpi) return distributor_.acknowledge(intid);
  state_.bank.acknowledge(intid);
  changed();
}

void GicRedistributor::deactivate(unsigned intid) {
  if (intid >= gic::kFirstSpi) return distributor_.deactivate(intid);
  state_.bank.deactivate(intid);
  changed();
}

void GicRedistributor::send(const GicSgi& sgi) {
  distributor_.send(sgi, *this);
}

void GicRedistributor::receive(const GicSgi& sgi) {
  const std::uint32_t bit = 1U << sgi.intid;
  if (sgi.group0_only && (state_.bank.group1 & bit) != 0) return;
  state_.bank.latched |= bit;
  changed();
}

void GicRedistributor::changed() {
  if (listener_ != nullptr) listener_->on_pending_changed();
}

std::uint64_t GicRedistributor::type() const {
  const std::uint64_t index = config_.index;
  return index << 32 | index << 8 | (config_.last ? kLast : 0);
}

std::uint32_t GicRedistributor::read_register(std::uint64_t offset) const {
  if (offset >= gic::kIdentification && offset < kSgiFrame) {
    return gic::identification(offset, kPart);
  }
  switch (offset) {
    case kImplementerOffset: return gic::kImplementer;
    case kTypeOffset: return static_cast<std::uint32_t>(type());
    case kTypeOffset + 4: return static_cast<std::uint32_t>(type() >> 32);
    case kWakerOffset: return state_.asleep ? kProcessorSleep | kChildrenAsleep : 0;
    default: return 0;
  }
}

std::uint64_t GicRedistributor::read_mmio(std::uint64_t offset, unsigned bytes) {
  if (offset >= kLength || offset % bytes != 0) return 0;
  const GicBankAccess access = decode_private(offset, bytes);
  if (access.kind != GicBankAccess::Kind::kNone) return state_.bank.read(access);
  if (bytes == 8) return offset == kTypeOffset ? type() : 0;
  return bytes == 4 ? read_register(offset) : 0;
}

void GicRedistributor::write_mmio(std::uint64_t offset, unsigned bytes, std::uint64_t value) {
  if (offset >= kLength || offset % bytes != 0) return;
  const GicBankAccess access = decode_private(offset, bytes);
  if (access.kind != GicBankAccess::Kind::kNone) {
    state_.bank.write(access, static_cast<std::uint32_t>(value));
    state_.bank.edge |= kSgiBits;
  } else if (offset == kWakerOffset && bytes == 4) {
    state_.asleep = (value & kProcessorSleep) != 0;
  } else {
    return;
  }
  changed();
}

Result<void> GicRedistributor::restore(const State& state) {
  if (auto checked = state.bank.check(kSgiBits); !checked) return checked;
  state_ = state;
  changed();
  return {};
}

}  // namespace vpmu::machine
