// SPDX-License-Identifier: MIT
//
// Virtual PMUv3: what moves with the guest.
#include "vpmu/virt/arm64/pmu_state.hpp"

#include "virt/counter_sets.hpp"
#include "virt/pmu_state_check.hpp"
#include "vpmu/virt/arm64/pmu.hpp"

namespace vpmu::virt::arm64 {

using silicon::arm64::PmSelr;
using silicon::arm64::PmUserEnr;

namespace {

Result<void> same_config(const PmuConfig& saved, const PmuConfig& here) {
  const ConfigField fields[] = {
      {"PMUVer", saved.version, here.version},
      {"event counters:", saved.event_counters, here.event_counters},
      {"AArch32:", saved.aarch32, here.aarch32},
      {"slots:", saved.slots, here.slots},
      {"PMCEID0_EL0", saved.common_events[0], here.common_events[0]},
      {"PMCEID1_EL0", saved.common_events[1], here.common_events[1]},
  };
  return same_fields(fields);
}

}  // namespace

PmuState Pmu::save() {
  for_each(all_counters_ & ~reprogram_, [this](CounterIndex index) {
    // Host perf has counted the last one of a turn and is yet to say so. Where this is restored,
    // its event is another, so it is said here.
    const std::uint64_t left = period(index);
    const std::uint64_t counted = counter(index).host.counted(perf_);
    if (left != 0 && counted >= left) {
      on_overflow(hostperf::kNoEvent, static_cast<std::uint64_t>(index));
    }
  });
  settle_overflows();
  PmuState state;
  state.config = config_;
  for_each(all_counters_, [&](CounterIndex index) {
    fold(index);
    const Counter& saved = counter(index);
    state.counters[static_cast<std::size_t>(index)] = {.value = saved.value,
                                                       .type = saved.type,
                                                       .status = saved.status,
                                                       .event = saved.status_event,
                                                       .touched = saved.touched};
  });
  state.control = control_;
  state.enabled = enabled_;
  state.overflowed = overflowed_;
  state.interrupting = interrupting_;
  state.selected = selected_;
  state.user_enable = user_enable_;
  state.undivided = undivided_;
  state.asserted = asserted_;
  state.new_time_slice = new_time_slice_;
  state.statistics = statistics_;
  return state;
}

Result<void> Pmu::check(const PmuState& state) const {
  if (auto same = same_config(state.config, config_); !same) return same;
  struct Value {
    std::uint64_t writable, value;
    const char* name;
  };
  for (const Value& each : {
           Value{control_writable_, state.control, "PMCR_EL0"},
           Value{all_counters_, state.enabled, "PMCNTENSET_EL0"},
           Value{all_counters_, state.overflowed, "PMOVSSET_EL0"},
           Value{all_counters_, state.interrupting, "PMINTENSET_EL1"},
           Value{mask_of(PmSelr::kSel), state.selected, "PMSELR_EL0"},
           Value{PmUserEnr::kWritable, state.user_enable, "PMUSERENR_EL0"},
           Value{63, state.undivided, "the cycles of the divider"},
       }) {
    if (auto ok = only(each.writable, each.value, each.name); !ok) return ok;
  }
  for (std::size_t i = 0; i < state.counters.size(); ++i) {
    const auto index = static_cast<CounterIndex>(i);
    const PmuState::Counter& saved = state.counters[i];
    const bool exists = (all_counters_ & bit(index)) != 0;
    if (auto ok = only(exists ? mask(index) : 0, saved.value, "a counter"); !ok) return ok;
    if (auto ok = only(exists ? writable_type(index) : 0, saved.type, "an event type"); !ok) {
      return ok;
    }
    if (!is_status(saved.status)) return fail("PMU state: a counter has no valid status");
  }
  return {};
}

Result<void> Pmu::restore(const PmuState& state) {
  if (auto fits = check(state); !fits) return fits;
  reset();
  control_ = state.control;
  enabled_ = state.enabled;
  overflowed_ = state.overflowed;
  interrupting_ = state.interrupting;
  selected_ = state.selected;
  user_enable_ = state.user_enable;
  undivided_ = state.undivided;
  for_each(all_counters_, [&](CounterIndex index) {
    const PmuState::Counter& saved = state.counters[static_cast<std::size_t>(index)];
    Counter& restored = counter(index);
    restored.value = saved.value;
    restored.type = saved.type;
    restored.touched = saved.touched;
    set_status(index, saved.status, saved.event);
  });
  // Counters that were waiting for the host are among those that are programmed anew.
  if (all_counters_ != 0) request_reprogram(all_counters_);
  new_time_slice_ = state.new_time_slice;
  statistics_ = state.statistics;
  // The line is where it was; what has changed since is found before the next entry.
  asserted_ = state.asserted;
  if (asserted_) sink_.set_overflow_line(true);
  return {};
}

}  // namespace vpmu::virt::arm64
