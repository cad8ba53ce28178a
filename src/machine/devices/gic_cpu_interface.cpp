// SPDX-License-Identifier: MIT
#include "machine/devices/gic_cpu_interface.hpp"

#include <algorithm>
#include <bit>

#include "machine/cannot_hold.hpp"
#include "machine/devices/gic_distributor.hpp"

namespace vpmu::machine {

using silicon::arm64::system_register;
using silicon::arm64::SystemRegister;

namespace {
constexpr std::uint8_t kLowestPoint0 = 2, kLowestPoint1 = 3, kHighestPoint = 7;
constexpr std::uint64_t kSystemRegistersOnly = 7;  // ICC_SRE_EL1: SRE, DFB and DIB
constexpr std::uint64_t kIntidBits = 0xff'ffff;

/// ICC_SGI1R_EL1 and its relatives.
struct SgiRequest : Register<std::uint64_t> {
  static constexpr Field<15, 0> kTargetList{};
  static constexpr Field<23, 16> kAff1{};
  static constexpr Field<27, 24> kIntid{};
  static constexpr Field<39, 32> kAff2{};
  static constexpr Field<40> kIrm{};
  static constexpr Field<47, 44> kRs{};
  static constexpr Field<55, 48> kAff3{};
  /// All vCPUs have zeros there.
  static constexpr std::uint64_t kElsewhere = mask_of(kAff1, kAff2, kRs, kAff3);
};
}  // namespace

enum class GicCpuInterface::Name : std::uint8_t {
  kPmr,
  kIar0,
  kEoir0,
  kHppir0,
  kBpr0,
  kAp0r0,
  kAp1r0,
  kDir,
  kRpr,
  kSgi1r,
  kAsgi1r,
  kSgi0r,
  kIar1,
  kEoir1,
  kHppir1,
  kBpr1,
  kCtlr,
  kSre,
  kIgrpen0,
  kIgrpen1,
  kNone,
};

GicCpuInterface::Name GicCpuInterface::decode(SystemRegister which) {
  switch (which) {
    case system_register(3, 0, 4, 6, 0): return Name::kPmr;
    case system_register(3, 0, 12, 8, 0): return Name::kIar0;
    case system_register(3, 0, 12, 8, 1): return Name::kEoir0;
    case system_register(3, 0, 12, 8, 2): return Name::kHppir0;
    case system_register(3, 0, 12, 8, 3): return Name::kBpr0;
    case system_register(3, 0, 12, 8, 4): return Name::kAp0r0;
    case system_register(3, 0, 12, 9, 0): return Name::kAp1r0;
    case system_register(3, 0, 12, 11, 1): return Name::kDir;
    case system_register(3, 0, 12, 11, 3): return Name::kRpr;
    case system_register(3, 0, 12, 11, 5): return Name::kSgi1r;
    case system_register(3, 0, 12, 11, 6): return Name::kAsgi1r;
    case system_register(3, 0, 12, 11, 7): return Name::kSgi0r;
    case system_register(3, 0, 12, 12, 0): return Name::kIar1;
    case system_register(3, 0, 12, 12, 1): return Name::kEoir1;
    case system_register(3, 0, 12, 12, 2): return Name::kHppir1;
    case system_register(3, 0, 12, 12, 3): return Name::kBpr1;
    case system_register(3, 0, 12, 12, 4): return Name::kCtlr;
    case system_register(3, 0, 12, 12, 5): return Name::kSre;
    case system_register(3, 0, 12, 12, 6): return Name::kIgrpen0;
    case system_register(3, 0, 12, 12, 7): return Name::kIgrpen1;
    default: return Name::kNone;
  }
}

GicCpuInterface::GicCpuInterface(GicRedistributor& redistributor, GicCpuSignals& signals)
    : redistributor_{redistributor}, signals_{signals} {
  redistributor.connect(*this);
}

void GicCpuInterface::reset() {
  state_ = State{};
  update();
}

// ---- Priorities ---------------------------------------------------------------------------------

std::uint8_t GicCpuInterface::running_priority() const {
  const std::uint32_t active = state_.active_priorities[0] | state_.active_priorities[1];
  if (active == 0) return gic::kIdle;
  return static_cast<std::uint8_t>(std::countr_zero(active) << gic::kPriorityShift);
}

std::uint8_t GicCpuInterface::binary_point(unsigned group) const {
  if (group == 0) return state_.binary_point0;
  if (state_.control.get(Control::kCbpr) == 0) return state_.binary_point1;
  return std::min<std::uint8_t>(state_.binary_point0 + 1, kHighestPoint);
}

// A binary point of n keeps the bits from n + 1 on in group 0, from n on in group 1; with a common
// one, group 1 is split as group 0 is, also for 7 where ICC_BPR1 cannot show it.
std::uint8_t GicCpuInterface::group_priority(std::uint8_t priority, unsigned group) const {
  const bool as_group0 = group == 0 || state_.control.get(Control::kCbpr) != 0;
  const unsigned low = as_group0 ? state_.binary_point0 + 1U : state_.binary_point1;
  return static_cast<std::uint8_t>(priority & 0xff << low);
}

void GicCpuInterface::update() {
  const bool waited = waiting_;
  best_ = redistributor_.highest_pending(state_.enabled_groups);
  waiting_ = best_.exists() && best_.priority < state_.priority_mask &&
             group_priority(best_.priority, best_.group) < running_priority();
  if (waiting_ && !waited) signals_.wake();
}

// ---- Interrupts ---------------------------------------------------------------------------------

unsigned GicCpuInterface::acknowledge(unsigned group) {
  if (!waiting_ || best_.group != group) return gic::kSpurious;
  const unsigned intid = best_.intid;
  const unsigned level = group_priority(best_.priority, group) >> gic::kPriorityShift;
  state_.active_priorities[group] |= 1U << level;
  redistributor_.acknowledge(intid);
  return intid;
}

unsigned GicCpuInterface::highest_pending(unsigned group) const {
  return best_.group == group ? best_.intid : gic::kSpurious;
}

void GicCpuInterface::end_of_interrupt(unsigned group, unsigned intid) {
  if (intid >= gic::kFirstSpecial) return;
  // Equals among both groups, which only a guest that writes AP0R0 or AP1R0 can make, are group 0.
  const auto& active = state_.active_priorities;
  const unsigned running =
      active[0] != 0 && std::countr_zero(active[0]) <= std::countr_zero(active[1]) ? 0 : 1;
  if (active[running] == 0 || running != group) return;
  state_.active_priorities[group] &= state_.active_priorities[group] - 1;
  if (state_.control.get(Control::kEoimode) == 0) redistributor_.deactivate(intid);
  update();
}

void GicCpuInterface::deactivate(unsigned intid) {
  if (state_.control.get(Control::kEoimode) != 0) redistributor_.deactivate(intid);
}

void GicCpuInterface::send(std::uint64_t value, bool group0_only) {
  const SgiRequest request{value};
  const bool to_all_others = request.get(SgiRequest::kIrm) != 0;
  if (!to_all_others && (value & SgiRequest::kElsewhere) != 0) return;
  redistributor_.send({.intid = static_cast<unsigned>(request.get(SgiRequest::kIntid)),
                       .targets = static_cast<std::uint16_t>(request.get(SgiRequest::kTargetList)),
                       .to_all_others = to_all_others,
                       .group0_only = group0_only});
}

// ---- Registers ----------------------------------------------------------------------------------

Access GicCpuInterface::read(SystemRegister which, bool el0) {
  const Name name = decode(which);
  if (name == Name::kNone) return Access::not_mine();
  if (el0) return Access::fault();
  switch (name) {
    case Name::kPmr: return Access::done(state_.priority_mask);
    case Name::kIar0: return Access::done(acknowledge(0));
    case Name::kIar1: return Access::done(acknowledge(1));
    case Name::kHppir0: return Access::done(highest_pending(0));
    case Name::kHppir1: return Access::done(highest_pending(1));
    case Name::kBpr0: return Access::done(binary_point(0));
    case Name::kBpr1: return Access::done(binary_point(1));
    case Name::kAp0r0: return Access::done(state_.active_priorities[0]);
    case Name::kAp1r0: return Access::done(state_.active_priorities[1]);
    case Name::kRpr: return Access::done(running_priority());
    case Name::kCtlr: return Access::done(state_.control.raw);
    case Name::kSre: return Access::done(kSystemRegistersOnly);
    case Name::kIgrpen0: return Access::done(state_.enabled_groups & 1);
    case Name::kIgrpen1: return Access::done(state_.enabled_groups >> 1);
    default: return Access::fault();  // write-only
  }
}

Access GicCpuInterface::write(SystemRegister which, std::uint64_t value, bool el0) {
  const Name name = decode(which);
  if (name == Name::kNone) return Access::not_mine();
  if (el0) return Access::fault();
  const auto intid = static_cast<unsigned>(value & kIntidBits);
  switch (name) {
    case Name::kPmr: state_.priority_mask = value & gic::kPriorityBits; break;
    case Name::kEoir0: end_of_interrupt(0, intid); break;
    case Name::kEoir1: end_of_interrupt(1, intid); break;
    case Name::kBpr0: set_binary_point(0, value); break;
    case Name::kBpr1: set_binary_point(1, value); break;
    case Name::kAp0r0: state_.active_priorities[0] = static_cast<std::uint32_t>(value); break;
    case Name::kAp1r0: state_.active_priorities[1] = static_cast<std::uint32_t>(value); break;
    case Name::kDir: deactivate(intid); break;
    case Name::kSgi1r: send(value, false); break;
    case Name::kAsgi1r:
    case Name::kSgi0r: send(value, true); break;
    case Name::kCtlr:
      state_.control.raw = static_cast<std::uint32_t>(value & Control::kWritable) | Control::kFixed;
      break;
    case Name::kSre: break;
    case Name::kIgrpen0: set_group_enable(0, value); break;
    case Name::kIgrpen1: set_group_enable(1, value); break;
    default: return Access::fault();  // read-only
  }
  update();
  return Access::done();
}

void GicCpuInterface::set_binary_point(unsigned group, std::uint64_t value) {
  const auto point = static_cast<std::uint8_t>(value & kHighestPoint);
  if (group == 0) {
    state_.binary_point0 = std::max(point, kLowestPoint0);
  } else if (state_.control.get(Control::kCbpr) == 0) {
    state_.binary_point1 = std::max(point, kLowestPoint1);
  }
}

void GicCpuInterface::set_group_enable(unsigned group, std::uint64_t value) {
  const unsigned others = state_.enabled_groups & ~(1U << group);
  state_.enabled_groups = static_cast<std::uint8_t>(others | (value & 1) << group);
}

Result<void> GicCpuInterface::restore(const State& state) {
  if ((state.control.raw & ~Control::kWritable) != Control::kFixed) {
    return cannot_hold("ICC_CTLR", state.control.raw);
  }
  if ((state.priority_mask & ~gic::kPriorityBits) != 0) {
    return cannot_hold("ICC_PMR", state.priority_mask);
  }
  if (state.binary_point0 < kLowestPoint0 || state.binary_point0 > kHighestPoint) {
    return cannot_hold("ICC_BPR0", state.binary_point0);
  }
  if (state.binary_point1 < kLowestPoint1 || state.binary_point1 > kHighestPoint) {
    return cannot_hold("ICC_BPR1", state.binary_point1);
  }
  if (state.enabled_groups > gic::kGroups) return cannot_hold("ICC_IGRPEN", state.enabled_groups);
  state_ = state;
  update();
  return {};
}

}  // namespace vpmu::machine
