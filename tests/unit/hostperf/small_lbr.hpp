// SPDX-License-Identifier: MIT
//
// What tests of last branch records on a small host share.
#pragma once

#include <algorithm>

#include "unit/hostperf/small_host.hpp"
#include "vpmu/silicon/x86/msrs.hpp"

namespace vpmu::hostperf {

using silicon::Privilege;
using silicon::x86::BranchType;
using silicon::x86::LbrModel;
using silicon::x86::LbrSelect;
using silicon::x86::LbrStack;
using silicon::x86::LbrState;

inline constexpr EventAttr kGuestLbr{.config = kGuestLbrEvent,
                                     .pinned = true,
                                     .exclude_host = true,
                                     .branch_type = kGuestLbrBranchType};

/// A profiler's event that wants these branches.
constexpr EventAttr branch_stack(std::uint32_t branch_type, bool pinned = false) {
  return {.config = kBranches, .pinned = pinned, .branch_type = branch_type};
}

/// Architectural records: eight or sixteen of them.
inline constexpr LbrModel kArchitecturalRecords{.format = silicon::x86::LbrFormat::kArchitectural,
                                                .depth = 16,
                                                .depths = 0b11,
                                                .call_stack = true,
                                                .from = silicon::x86::msr::IA32_LBR_0_FROM_IP,
                                                .to = silicon::x86::msr::IA32_LBR_0_TO_IP,
                                                .info = silicon::x86::msr::IA32_LBR_0_INFO};

inline silicon::x86::CpuModel small_model(const LbrModel& lbr) {
  silicon::x86::CpuModel model = small_model();
  model.lbr = lbr;
  return model;
}

inline constexpr MsrIndex record_msr(MsrIndex first, unsigned number) {
  return MsrIndex{raw(first) + number};
}

class SmallLbrHost : public SmallHost {
 public:
  using SmallHost::SmallHost;

  [[nodiscard]] LbrStack& unit(unsigned cpu) { return *perf->lbr_unit(static_cast<HostCpu>(cpu)); }
  [[nodiscard]] const LbrSwitches& switches(unsigned cpu) {
    return perf->lbr_switches(static_cast<HostCpu>(cpu));
  }
  void on(unsigned vcpu, unsigned cpu) {
    perf->switch_in(static_cast<VcpuIndex>(vcpu), static_cast<HostCpu>(cpu));
  }
  void off(unsigned vcpu) { perf->switch_out(static_cast<VcpuIndex>(vcpu)); }

  /// What runs on the CPU takes a branch, or calls: from `from` to one byte further.
  void branch(unsigned cpu, std::uint64_t from, BranchType type = BranchType::kConditional,
              Privilege ends_in = Privilege::kUser) {
    unit(cpu).record(
        {.from = from, .to = from + 1, .next = from + 2, .type = type, .ends_in = ends_in});
  }
  void call(unsigned cpu, std::uint64_t from) { branch(cpu, from, BranchType::kDirectCall); }

  /// FROM of what an event of the host sees, the newest first.
  std::vector<std::uint64_t> seen(EventId event) {
    std::array<LbrStack::Decoded, LbrModel::kMaxDepth> into{};
    const std::size_t found = perf->branches(event, into);
    std::vector<std::uint64_t> from;
    for (std::size_t n = 0; n < found; ++n) from.push_back(into[n].from);
    return from;
  }
};

/// FROM of a guest's records that are not clear, the newest first.
inline std::vector<std::uint64_t> recorded(const LbrModel& model, const LbrState& state) {
  std::vector<std::uint64_t> from;
  for (unsigned age = 0; age < state.depth; ++age) {
    const unsigned index = model.architectural() ? age : (state.tos - age) & (state.depth - 1u);
    if (state.records[index].from != 0) from.push_back(state.records[index].from);
  }
  return from;
}

using Addresses = std::vector<std::uint64_t>;

}  // namespace vpmu::hostperf
