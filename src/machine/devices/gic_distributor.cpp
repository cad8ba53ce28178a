// SPDX-License-Identifier: MIT
#include "machine/devices/gic_distributor.hpp"

#include "machine/cannot_hold.hpp"
#include "machine/devices/gic_redistributor.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint64_t kControlOffset = 0x0, kTypeOffset = 0x4, kImplementerOffset = 0x8;
constexpr std::uint64_t kRouteOffset = 0x6000 + 8 * gic::kFirstSpi,
                        kRouteEnd = kRouteOffset + 8 * gic::kSpis;
constexpr std::uint8_t kPart = 0x92;
// GICD_TYPER: ITLinesNumber (4:0), IDbits (23:19) for 10-bit INTIDs, No1N (25).
constexpr std::uint32_t kType = (gic::kIntids / 32 - 1) | 9U << 19 | 1U << 25;
// Affinity level 3 is not there (TYPER.A3V is 0), nor is IRM.
constexpr std::uint32_t kRouteBits = 0x00ff'ffff;

constexpr bool is_route(std::uint64_t offset) {
  return offset >= kRouteOffset && offset < kRouteEnd;
}
}  // namespace

void GicDistributor::reset() {
  State state;
  for (unsigned i = 0; i < state.banks.size(); ++i) state.banks[i].high = state_.banks[i].high;
  state_ = state;
  changed();
}

GicBank* GicDistributor::bank_of(unsigned intid) {
  if (intid < gic::kFirstSpi || intid >= gic::kIntids) return nullptr;
  return &state_.banks[(intid - gic::kFirstSpi) / 32];
}

void GicDistributor::set_line(unsigned intid, bool high) {
  GicBank* bank = bank_of(intid);
  if (bank == nullptr) return;
  bank->set_line(intid % 32, high);
  changed();
}

unsigned GicDistributor::enabled_groups() const {
  return state_.control.raw & gic::kGroups;
}

GicPending GicDistributor::highest_pending(std::uint32_t affinity, unsigned groups) const {
  GicPending best;
  for (unsigned i = 0; i < state_.banks.size(); ++i) {
    const GicPending candidate = state_.banks[i].highest(
        groups, gic::kFirstSpi + i * 32,
        [&](unsigned number) { return state_.route[i * 32 + number] == affinity; });
    if (candidate.is_before(best)) best = candidate;
  }
  return best;
}

void GicDistributor::acknowledge(unsigned intid) {
  GicBank* bank = bank_of(intid);
  if (bank == nullptr) return;
  bank->acknowledge(intid % 32);
  changed();
}

void GicDistributor::deactivate(unsigned intid) {
  GicBank* bank = bank_of(intid);
  if (bank == nullptr) return;
  bank->deactivate(intid % 32);
  changed();
}

void GicDistributor::send(const GicSgi& sgi, const GicRedistributor& sender) {
  for (GicRedistributor* redistributor : redistributors_) {
    const unsigned index = redistributor->index();
    const bool is_target = sgi.to_all_others ? redistributor != &sender
                                             : index < 16 && (sgi.targets >> index & 1) != 0;
    if (is_target) redistributor->receive(sgi);
  }
}

std::uint32_t GicDistributor::read_register(std::uint64_t offset) const {
  if (offset >= gic::kIdentification) return gic::identification(offset, kPart);
  switch (offset) {
    case kControlOffset: return state_.control.raw;
    case kTypeOffset: return kType;
    case kImplementerOffset: return gic::kImplementer;
    default: return 0;
  }
}

std::uint64_t GicDistributor::read_route(std::uint64_t offset, unsigned bytes) const {
  const bool is_high_half = bytes == 4 && offset % 8 != 0;
  return bytes < 4 || is_high_half ? 0 : state_.route[(offset - kRouteOffset) / 8];
}

void GicDistributor::write_route(std::uint64_t offset, unsigned bytes, std::uint64_t value) {
  if (bytes < 4 || offset % 8 != 0) return;
  state_.route[(offset - kRouteOffset) / 8] = value & kRouteBits;
}

std::uint64_t GicDistributor::read_mmio(std::uint64_t offset, unsigned bytes) {
  if (offset >= kLength || offset % bytes != 0) return 0;
  if (is_route(offset)) return read_route(offset, bytes);
  const GicBankAccess access = GicBankAccess::decode(offset, bytes);
  if (access.kind != GicBankAccess::Kind::kNone) {
    const GicBank* bank = bank_of(access.intid);
    return bank != nullptr ? bank->read(access) : 0;
  }
  return bytes == 4 ? read_register(offset) : 0;
}

void GicDistributor::write_mmio(std::uint64_t offset, unsigned bytes, std::uint64_t value) {
  if (offset >= kLength || offset % bytes != 0) return;
  const GicBankAccess access = GicBankAccess::decode(offset, bytes);
  if (is_route(offset)) {
    write_route(offset, bytes, value);
  } else if (access.kind != GicBankAccess::Kind::kNone) {
    GicBank* bank = bank_of(access.intid);
    if (bank == nullptr) return;
    bank->write(access, static_cast<std::uint32_t>(value));
  } else if (offset == kControlOffset && bytes == 4) {
    state_.control.raw = static_cast<std::uint32_t>(value & Control::kWritable) | Control::kFixed;
  } else {
    return;
  }
  changed();
}

void GicDistributor::changed() {
  for (GicRedistributor* redistributor : redistributors_) redistributor->changed();
}

Result<void> GicDistributor::restore(const State& state) {
  if ((state.control.raw & ~Control::kWritable) != Control::kFixed) {
    return cannot_hold("GICD_CTLR", state.control.raw);
  }
  for (const GicBank& bank : state.banks) {
    if (auto checked = bank.check(0); !checked) return checked;
  }
  for (const std::uint32_t route : state.route) {
    if ((route & ~kRouteBits) != 0) return cannot_hold("IROUTER", route);
  }
  state_ = state;
  changed();
  return {};
}

}  // namespace vpmu::machine
