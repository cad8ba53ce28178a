// SPDX-License-Identifier: MIT
#include "hostperf/programme.hpp"

#include "hostperf/branch_filter.hpp"
#include "vpmu/hostperf/lbr_host.hpp"
#include "vpmu/silicon/x86/amd_pmu_registers.hpp"
#include "vpmu/silicon/x86/event_selector.hpp"
#include "vpmu/silicon/x86/pmu_registers.hpp"

namespace vpmu::hostperf {
namespace {

using silicon::x86::AmdEventSelect;
using silicon::x86::CpuModel;
using silicon::x86::EventSelect;

/// The fields that both vendors have at the same places are read as Intel's.
static_assert(AmdEventSelect::kEvent.kMask == EventSelect::kEvent.kMask &&
              AmdEventSelect::kUnitMask.kMask == EventSelect::kUnitMask.kMask &&
              AmdEventSelect::kEdge.kMask == EventSelect::kEdge.kMask &&
              AmdEventSelect::kInv.kMask == EventSelect::kInv.kMask &&
              AmdEventSelect::kCmask.kMask == EventSelect::kCmask.kMask);

/// The bits that mean something on this model.
std::uint64_t known_bits(const CpuModel& model) {
  if (model.vendor == silicon::x86::Vendor::kAmd) return AmdEventSelect::kCounted;
  constexpr std::uint64_t kPlain =
      mask_of(EventSelect::kEvent, EventSelect::kUnitMask, EventSelect::kEdge, EventSelect::kInv,
              EventSelect::kCmask);
  return model.tsx ? kPlain | mask_of(EventSelect::kInTx, EventSelect::kInTxcp) : kPlain;
}

/// All that a modelled host CPU retires is a guest's.
constexpr silicon::PrivilegeSet counted_privileges(const EventAttr& attr) {
  return {.user = !attr.exclude_guest && !attr.exclude_user,
          .kernel = !attr.exclude_guest && !attr.exclude_kernel};
}

/// Where there are no such records, kGuestLbrEvent is an event like any other.
constexpr bool is_guest_lbr_event(const EventAttr& attr, const CpuModel& model) {
  return attr.config == kGuestLbrEvent && model.lbr.exists() && model.lbr.call_stack;
}

/// Counts nothing, on no counter.
std::optional<Programme> guest_lbr_programme(const EventAttr& attr) {
  if (attr.branch_type != kGuestLbrBranchType || attr.period != 0) return std::nullopt;
  return Programme{.counters = kGuestLbrCounter, .lbr = {.kind = LbrUse::Kind::kGuest}};
}

std::optional<Programme> programme_x86(const EventAttr& attr, const CpuModel& model) {
  if (is_guest_lbr_event(attr, model)) return guest_lbr_programme(attr);
  if ((attr.config & ~known_bits(model)) != 0) return std::nullopt;
  const auto* row =
      silicon::x86::find_event(model.events, silicon::x86::selector_of(model.vendor, attr.config));
  if (row == nullptr) return std::nullopt;

  const EventSelect select{{attr.config}};
  const bool intel = model.vendor == silicon::x86::Vendor::kIntel;
  const bool in_transaction = intel && select.get(EventSelect::kInTx) != 0;
  const bool transactional = in_transaction || (intel && select.get(EventSelect::kInTxcp) != 0);
  const auto cmask = static_cast<std::uint8_t>(select.get(EventSelect::kCmask));
  const bool edge = select.get(EventSelect::kEdge) != 0;
  const bool conditional = cmask != 0 || edge;

  Programme found;
  found.raw = row->raw;
  found.counters = counters_for(*row, model.pmu, conditional || transactional);
  if (found.counters == 0) return std::nullopt;
  if (attr.branch_type != 0) {
    const auto filter = branch_filter(attr.branch_type, model.lbr);
    if (!filter) return std::nullopt;
    found.lbr = {.kind = LbrUse::Kind::kHost,
                 .call_stack = (attr.branch_type & kBranchCallStack) != 0,
                 .filter = *filter};
  }
  if (!in_transaction) found.privileges = counted_privileges(attr);
  if (conditional) {
    found.condition =
        silicon::CycleCondition{.event = row->raw,
                                .threshold = cmask == 0 ? std::uint8_t{1} : cmask,
                                .inverted = cmask != 0 && select.get(EventSelect::kInv) != 0,
                                .edge = edge,
                                .privileges = found.privileges};
  }
  return found;
}

/// The cycle counter is a fixed one.
std::optional<Programme> programme_arm64(const EventAttr& attr,
                                         const silicon::arm64::CpuModel& model) {
  constexpr std::uint64_t kLast = 0xffff;
  if (attr.config > kLast || attr.branch_type != 0) return std::nullopt;
  const auto number = static_cast<std::uint16_t>(attr.config);
  const auto* row = silicon::arm64::find_event(model.events, number);
  if (row == nullptr) return std::nullopt;
  unsigned counters = (1u << model.pmu.event_counters) - 1;
  if (number == silicon::arm64::kCpuCycles) counters |= 1u << kFirstFixed;
  return Programme{.raw = row->raw,
                   .privileges = counted_privileges(attr),
                   .counters = static_cast<CounterSet>(counters)};
}

}  // namespace

std::optional<Programme> programme(const EventAttr& attr, const HostCpuModel& model) {
  return model.x86() != nullptr ? programme_x86(attr, *model.x86())
                                : programme_arm64(attr, *model.arm64());
}

}  // namespace vpmu::hostperf
