// SPDX-License-Identifier: MIT
//
// Virtual PMU: what moves with the guest.
#include "vpmu/virt/x86/pmu_state.hpp"

#include <string>

#include "virt/pmu_state_check.hpp"
#include "virt/x86/counter_sets.hpp"
#include "vpmu/virt/x86/pmu.hpp"

namespace vpmu::virt::x86 {

namespace {

Result<void> same_config(const PmuConfig& saved, const PmuConfig& here) {
  if (saved.vendor != here.vendor) {
    const char* vendor = name(saved.vendor);
    return fail(std::string{"PMU state: saved on an "} + vendor +
                " CPU, this one is of another vendor");
  }
  const ConfigField fields[] = {
      {"version", saved.version, here.version},
      {"general-purpose counters:", saved.gp_counters, here.gp_counters},
      {"counter width", saved.gp_width, here.gp_width},
      {"fixed counters:", saved.fixed_counters, here.fixed_counters},
      {"fixed counter width", saved.fixed_width, here.fixed_width},
      {"length of the event vector", saved.arch_event_length, here.arch_event_length},
      {"unavailable events", saved.arch_events_unavailable, here.arch_events_unavailable},
      {"capabilities", saved.perf_capabilities, here.perf_capabilities},
      {"IA32_PERF_CAPABILITIES:", saved.has_perf_capabilities, here.has_perf_capabilities},
      {"core extension:", saved.core_extension, here.core_extension},
      {"AnyThread deprecated:", saved.any_thread_deprecated, here.any_thread_deprecated},
      {"freeze on PMI:", saved.freeze_on_pmi, here.freeze_on_pmi},
      {"TSX:", saved.tsx, here.tsx},
      {"Host-Only and Guest-Only:", saved.host_guest_only, here.host_guest_only},
  };
  return same_fields(fields);
}

template <class State>
auto& counter_of(State& state, CounterIndex index) {
  return is_fixed(index) ? state.fixed[place(index)] : state.gp[place(index)];
}

}  // namespace

PmuState Pmu::save() {
  PmuState state;
  state.config = config_;
  for_each(all_counters(), [&](CounterIndex index) {
    Counter& saved = counter(index);
    if (saved.event != hostperf::kNoEvent && (reprogram_ & bit(index)) == 0 && period(index) != 0) {
      // Host perf has counted the last one of a turn and is yet to say so. Where this is restored,
      // its event is another, so it is said here; saying it again changes nothing.
      const auto count = perf_.read(saved.event);
      const bool owed = count && saved.value + (count->value - saved.folded) > mask(index);
      if (owed) on_overflow(saved.event, static_cast<std::uint64_t>(index));
    }
    fold(index);
    counter_of(state, index) = {
        .value = saved.value,
        .status = saved.status,
        .config = saved.status_config,
        .touched = saved.touched,
    };
  });
  state.event_select = event_select_;
  state.fixed_control = fixed_control_;
  state.global_control = global_control_;
  state.global_status = global_status_;
  state.misc_enable = misc_enable_;
  state.debug_control = debug_control_;
  state.perf_capabilities = perf_capabilities_;
  state.ran = ran_;
  state.svme = svme_;
  state.guest_mode = guest_mode_;
  state.pmi_pending = pmi_pending_;
  state.new_time_slice = new_time_slice_;
  state.statistics = statistics();
  return state;
}

Result<void> Pmu::check(const PmuState& state) const {
  if (auto same = same_config(state.config, config_); !same) return same;
  if (!can_be_perf_capabilities(state.perf_capabilities)) {
    return fail("PMU state: IA32_PERF_CAPABILITIES is " + hex(state.perf_capabilities) +
                ", of which this PMU has only " + hex(config_.perf_capabilities));
  }
  for (unsigned i = 0; i < kMaxGp; ++i) {
    const bool exists = i < config_.gp_counters;
    const std::uint64_t values = exists ? mask(gp_counter(i)) : 0;
    const std::uint64_t selects = exists ? writable_event_select(i) : 0;
    if (auto ok = only(values, state.gp[i].value, "a counter"); !ok) return ok;
    if (auto ok = only(selects, state.event_select[i], "an event select"); !ok) return ok;
    if (!is_status(state.gp[i].status)) return fail("PMU state: a counter has no valid status");
  }
  for (unsigned k = 0; k < kMaxFixed; ++k) {
    const std::uint64_t values = k < config_.fixed_counters ? mask(fixed_counter(k)) : 0;
    if (auto ok = only(values, state.fixed[k].value, "a fixed counter"); !ok) return ok;
    if (!is_status(state.fixed[k].status)) return fail("PMU state: a counter has no valid status");
  }
  struct Register {
    std::uint64_t writable, value;
    const char* name;
  };
  const std::uint64_t enables = config_.version > 1 ? global_control_writable_ : 0;
  const std::uint64_t statuses = config_.version > 1 ? global_status_valid_ : 0;
  for (const Register& each : {
           Register{fixed_control_writable_, state.fixed_control, "fixed counter control"},
           Register{enables, state.global_control, "global control"},
           Register{statuses, state.global_status, "global status"},
           Register{writable_debug_control(state.perf_capabilities), state.debug_control,
                    "IA32_DEBUGCTL"},
       }) {
    if (auto ok = only(each.writable, each.value, each.name); !ok) return ok;
  }
  return {};
}

Result<void> Pmu::restore(const PmuState& state) {
  if (auto fits = check(state); !fits) return fits;
  reset();
  event_select_ = state.event_select;
  fixed_control_ = state.fixed_control;
  global_control_ = state.global_control;
  global_status_ = state.global_status;
  // Bits that say what there is stay what this PMU says.
  (void)write_misc_enable(state.misc_enable, Initiator::kHost);
  set_perf_capabilities(state.perf_capabilities);
  debug_control_ = state.debug_control;
  ran_ = state.ran;
  svme_ = state.svme;
  guest_mode_ = state.guest_mode;
  for_each(all_counters(), [&](CounterIndex index) {
    const PmuState::Counter& saved = counter_of(state, index);
    Counter& restored = counter(index);
    restored.value = saved.value;
    restored.touched = saved.touched;
    set_status(index, saved.status, saved.config);
    note_creditable(index);
  });
  // Counters that were waiting for the host are among those that are programmed anew.
  if (all_counters() != 0) request_reprogram(all_counters());
  pmi_pending_ = state.pmi_pending;
  new_time_slice_ = state.new_time_slice;
  statistics_ = state.statistics;
  overflows_ = state.statistics.overflows;
  return {};
}

}  // namespace vpmu::virt::x86
