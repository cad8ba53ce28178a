// SPDX-License-Identifier: MIT
#include "machine/snapshot/arm64_messages.hpp"

#include <cstddef>
#include <utility>

#include "machine/snapshot/fields.hpp"
#include "machine/snapshot/shared_fields.hpp"
#include "machine/snapshot/spe_memory_messages.hpp"

namespace vpmu::machine::snapshot {

namespace {
/// Of a filter in a file of 1 MiB.
constexpr std::size_t kMostFilterRanges = (std::size_t{1} << 20) / 8;
}  // namespace

// ---- Field by field -----------------------------------------------------------------------------

template <>
struct Fields<GicBank> {
  using S = GicBank;
  using M = proto::GicBank;
  static constexpr auto list = std::tuple{number(&S::group1, &M::group1, &M::set_group1),
                                          number(&S::enabled, &M::enabled, &M::set_enabled),
                                          number(&S::latched, &M::latched, &M::set_latched),
                                          number(&S::active, &M::active, &M::set_active),
                                          number(&S::edge, &M::edge, &M::set_edge),
                                          number(&S::high, &M::high, &M::set_high),
                                          bytes(&S::priority, &M::priority, &M::mutable_priority)};
};

template <>
struct Fields<GicDistributor::State> {
  using S = GicDistributor::State;
  using M = proto::GicDistributor;
  static constexpr auto list = std::tuple{number(&S::control, &M::control, &M::set_control),
                                          parts(&S::banks, &M::banks, &M::mutable_banks),
                                          numbers(&S::route, &M::route, &M::mutable_route)};
};

template <>
struct Fields<Pl011::State> {
  using S = Pl011::State;
  using M = proto::Pl011;
  static constexpr auto list =
      std::tuple{number(&S::integer_divisor, &M::integer_divisor, &M::set_integer_divisor),
                 number(&S::fraction, &M::fraction, &M::set_fraction),
                 number(&S::line_control, &M::line_control, &M::set_line_control),
                 number(&S::control, &M::control, &M::set_control),
                 number(&S::fifo_levels, &M::fifo_levels, &M::set_fifo_levels),
                 number(&S::interrupt_mask, &M::interrupt_mask, &M::set_interrupt_mask),
                 number(&S::interrupt_status, &M::interrupt_status, &M::set_interrupt_status),
                 number(&S::low_power_divisor, &M::low_power_divisor, &M::set_low_power_divisor),
                 number(&S::dma_control, &M::dma_control, &M::set_dma_control),
                 number(&S::overrun_status, &M::overrun_status, &M::set_overrun_status),
                 number(&S::overrun_data, &M::overrun_data, &M::set_overrun_data),
                 bytes(&S::fifo, &M::fifo, &M::mutable_fifo),
                 number(&S::first, &M::first, &M::set_first),
                 number(&S::received, &M::received, &M::set_received)};
};

template <>
struct Fields<arm64::BoardState> {
  using S = arm64::BoardState;
  using M = proto::Arm64Board;
  static constexpr auto list = std::tuple{
      number(&S::now, &M::now, &M::set_now),
      part(&S::distributor, &M::has_distributor, &M::distributor, &M::mutable_distributor),
      part(&S::pl011, &M::has_pl011, &M::pl011, &M::mutable_pl011)};
};

template <>
struct Fields<arm64::CacheSize> {
  using S = arm64::CacheSize;
  using M = proto::CacheSize;
  static constexpr auto list = std::tuple{number(&S::sets, &M::sets, &M::set_sets),
                                          number(&S::ways, &M::ways, &M::set_ways)};
};

template <>
struct Fields<arm64::Identity> {
  using S = arm64::Identity;
  using M = proto::Arm64Identity;
  static constexpr auto list =
      std::tuple{number(&S::midr, &M::midr, &M::set_midr),
                 number(&S::revidr, &M::revidr, &M::set_revidr),
                 number(&S::index, &M::index, &M::set_index),
                 number(&S::pmu_version, &M::pmu_version, &M::set_pmu_version),
                 number(&S::spe_version, &M::spe_version, &M::set_spe_version),
                 part(&S::l1, &M::has_l1, &M::l1, &M::mutable_l1),
                 part(&S::l2, &M::has_l2, &M::l2, &M::mutable_l2)};
};

template <>
struct Fields<arm64::DebugPair> {
  using S = arm64::DebugPair;
  using M = proto::DebugPair;
  static constexpr auto list = std::tuple{number(&S::value, &M::value, &M::set_value),
                                          number(&S::control, &M::control, &M::set_control)};
};

template <>
struct Fields<arm64::Core> {
  using S = arm64::Core;
  using M = proto::Arm64Core;
  static constexpr auto list =
      std::tuple{number(&S::el, &M::el, &M::set_el),
                 number(&S::sp_select, &M::sp_select, &M::set_sp_select),
                 number(&S::daif, &M::daif, &M::set_daif),
                 number(&S::pan, &M::pan, &M::set_pan),
                 number(&S::ss, &M::ss, &M::set_ss),
                 number(&S::il, &M::il, &M::set_il),
                 numbers(&S::sp_el, &M::sp_el, &M::mutable_sp_el),
                 number(&S::sctlr, &M::sctlr, &M::set_sctlr),
                 number(&S::cpacr, &M::cpacr, &M::set_cpacr),
                 number(&S::ttbr0, &M::ttbr0, &M::set_ttbr0),
                 number(&S::ttbr1, &M::ttbr1, &M::set_ttbr1),
                 number(&S::tcr, &M::tcr, &M::set_tcr),
                 number(&S::mair, &M::mair, &M::set_mair),
                 number(&S::contextidr, &M::contextidr, &M::set_contextidr),
                 number(&S::vbar, &M::vbar, &M::set_vbar),
                 number(&S::elr, &M::elr, &M::set_elr),
                 number(&S::spsr, &M::spsr, &M::set_spsr),
                 number(&S::esr, &M::esr, &M::set_esr),
                 number(&S::far, &M::far, &M::set_far),
                 number(&S::par, &M::par, &M::set_par),
                 number(&S::tpidr_el0, &M::tpidr_el0, &M::set_tpidr_el0),
                 number(&S::tpidrro_el0, &M::tpidrro_el0, &M::set_tpidrro_el0),
                 number(&S::tpidr_el1, &M::tpidr_el1, &M::set_tpidr_el1),
                 number(&S::csselr, &M::csselr, &M::set_csselr),
                 number(&S::mdscr, &M::mdscr, &M::set_mdscr),
                 number(&S::mdccint, &M::mdccint, &M::set_mdccint),
                 number(&S::osdtrrx, &M::osdtrrx, &M::set_osdtrrx),
                 number(&S::osdtrtx, &M::osdtrtx, &M::set_osdtrtx),
                 number(&S::oseccr, &M::oseccr, &M::set_oseccr),
                 number(&S::dbgclaim, &M::dbgclaim, &M::set_dbgclaim),
                 number(&S::os_lock, &M::os_lock, &M::set_os_lock),
                 parts(&S::breakpoints, &M::breakpoints, &M::mutable_breakpoints),
                 parts(&S::watchpoints, &M::watchpoints, &M::mutable_watchpoints),
                 number(&S::stepped, &M::stepped, &M::set_stepped),
                 number(&S::stepped_exclusive, &M::stepped_exclusive, &M::set_stepped_exclusive),
                 part(&S::identity, &M::has_identity, &M::identity, &M::mutable_identity)};
};

template <>
struct Fields<arm64::RegisterState> {
  using S = arm64::RegisterState;
  using M = proto::Arm64Registers;
  static constexpr auto list =
      std::tuple{numbers(&S::x, &M::x, &M::mutable_x),     number(&S::sp, &M::sp, &M::set_sp),
                 number(&S::pc, &M::pc, &M::set_pc),       number(&S::nzcv, &M::nzcv, &M::set_nzcv),
                 number(&S::fpcr, &M::fpcr, &M::set_fpcr), number(&S::fpsr, &M::fpsr, &M::set_fpsr),
                 bytes(&S::v, &M::v, &M::mutable_v)};
};

template <>
struct Fields<arm64::ExclusiveState> {
  using S = arm64::ExclusiveState;
  using M = proto::Exclusive;
  static constexpr auto list = std::tuple{number(&S::held, &M::held, &M::set_held),
                                          number(&S::address, &M::address, &M::set_address),
                                          numbers(&S::loaded, &M::loaded, &M::mutable_loaded)};
};

template <>
struct Fields<arm64::Watched> {
  using S = arm64::Watched;
  using M = proto::Watched;
  static constexpr auto list = std::tuple{number(&S::watching, &M::watching, &M::set_watching),
                                          number(&S::physical, &M::physical, &M::set_physical),
                                          numbers(&S::held, &M::held, &M::mutable_held)};
};

template <>
struct Fields<arm64::CpuState> {
  using S = arm64::CpuState;
  using M = proto::Arm64Cpu;
  static constexpr auto list =
      std::tuple{part(&S::core, &M::has_core, &M::core, &M::mutable_core),
                 part(&S::registers, &M::has_registers, &M::registers, &M::mutable_registers),
                 number(&S::powered, &M::powered, &M::set_powered),
                 number(&S::sleep, &M::sleep, &M::set_sleep),
                 number(&S::event, &M::event, &M::set_event),
                 number(&S::delivered, &M::delivered, &M::set_delivered),
                 part(&S::exclusive, &M::has_exclusive, &M::exclusive, &M::mutable_exclusive),
                 part(&S::watched, &M::has_watched, &M::watched, &M::mutable_watched),
                 own<S, M>(encode_predictor<S, M>, decode_predictor<S, M>)};
};

template <>
struct Fields<GicRedistributor::State> {
  using S = GicRedistributor::State;
  using M = proto::GicRedistributor;
  static constexpr auto list = std::tuple{number(&S::asleep, &M::asleep, &M::set_asleep),
                                          part(&S::bank, &M::has_bank, &M::bank, &M::mutable_bank)};
};

template <>
struct Fields<GicCpuInterface::State> {
  using S = GicCpuInterface::State;
  using M = proto::GicCpuInterface;
  static constexpr auto list = std::tuple{
      number(&S::control, &M::control, &M::set_control),
      number(&S::priority_mask, &M::priority_mask, &M::set_priority_mask),
      number(&S::binary_point0, &M::binary_point0, &M::set_binary_point0),
      number(&S::binary_point1, &M::binary_point1, &M::set_binary_point1),
      number(&S::enabled_groups, &M::enabled_groups, &M::set_enabled_groups),
      numbers(&S::active_priorities, &M::active_priorities, &M::mutable_active_priorities)};
};

template <>
struct Fields<GenericTimerChannel::State> {
  using S = GenericTimerChannel::State;
  using M = proto::GenericTimerChannel;
  static constexpr auto list = std::tuple{number(&S::control, &M::control, &M::set_control),
                                          number(&S::compare, &M::compare, &M::set_compare),
                                          number(&S::met, &M::met, &M::set_met)};
};

template <>
struct Fields<GenericTimer::State> {
  using S = GenericTimer::State;
  using M = proto::GenericTimer;
  static constexpr auto list =
      std::tuple{number(&S::frequency, &M::frequency, &M::set_frequency),
                 number(&S::virtual_offset, &M::virtual_offset, &M::set_virtual_offset),
                 number(&S::kernel_control, &M::kernel_control, &M::set_kernel_control),
                 part(&S::physical, &M::has_physical, &M::physical, &M::mutable_physical),
                 part(&S::virtual_, &M::has_virtual_channel, &M::virtual_channel,
                      &M::mutable_virtual_channel)};
};

template <>
struct Fields<virt::arm64::PmuConfig> {
  using S = virt::arm64::PmuConfig;
  using M = proto::Arm64PmuConfig;
  static constexpr auto list =
      std::tuple{number(&S::version, &M::version, &M::set_version),
                 number(&S::event_counters, &M::event_counters, &M::set_event_counters),
                 number(&S::aarch32, &M::aarch32, &M::set_aarch32),
                 number(&S::slots, &M::slots, &M::set_slots),
                 numbers(&S::common_events, &M::common_events, &M::mutable_common_events)};
};

template <>
struct Fields<virt::arm64::PmuState::Counter> {
  using S = virt::arm64::PmuState::Counter;
  using M = proto::Arm64PmuCounter;
  static constexpr auto list = std::tuple{
      number(&S::value, &M::value, &M::set_value), number(&S::type, &M::type, &M::set_type),
      number(&S::status, &M::status, &M::set_status), number(&S::event, &M::event, &M::set_event),
      number(&S::touched, &M::touched, &M::set_touched)};
};

template <>
struct Fields<virt::arm64::PmuStatistics> {
  using S = virt::arm64::PmuStatistics;
  using M = proto::Arm64PmuStatistics;
  static constexpr auto list =
      std::tuple{number(&S::overflows, &M::overflows, &M::set_overflows),
                 number(&S::interrupts, &M::interrupts, &M::set_interrupts)};
};

template <>
struct Fields<virt::arm64::PmuState> {
  using S = virt::arm64::PmuState;
  using M = proto::Arm64Pmu;
  static constexpr auto list =
      std::tuple{part(&S::config, &M::has_config, &M::config, &M::mutable_config),
                 parts(&S::counters, &M::counters, &M::mutable_counters),
                 number(&S::control, &M::control, &M::set_control),
                 number(&S::enabled, &M::enabled, &M::set_enabled),
                 number(&S::overflowed, &M::overflowed, &M::set_overflowed),
                 number(&S::interrupting, &M::interrupting, &M::set_interrupting),
                 number(&S::selected, &M::selected, &M::set_selected),
                 number(&S::user_enable, &M::user_enable, &M::set_user_enable),
                 number(&S::undivided, &M::undivided, &M::set_undivided),
                 number(&S::asserted, &M::asserted, &M::set_asserted),
                 number(&S::new_time_slice, &M::new_time_slice, &M::set_new_time_slice),
                 part(&S::statistics, &M::has_statistics, &M::statistics, &M::mutable_statistics)};
};

template <>
struct Fields<arm64::CounterLog::Trouble> {
  using S = arm64::CounterLog::Trouble;
  using M = proto::Arm64CounterTrouble;
  static constexpr auto list = std::tuple{
      number(&S::counter, &M::counter, &M::set_counter),
      number(&S::status, &M::status, &M::set_status), number(&S::event, &M::event, &M::set_event),
      number(&S::count, &M::count, &M::set_count), number(&S::filter, &M::filter, &M::set_filter)};
};

template <>
struct Fields<virt::arm64::FilterRange> {
  using S = virt::arm64::FilterRange;
  using M = proto::FilterRange;
  static constexpr auto list =
      std::tuple{number(&S::base_event, &M::base_event, &M::set_base_event),
                 number(&S::nevents, &M::nevents, &M::set_nevents),
                 number(&S::action, &M::action, &M::set_action)};
};

template <>
struct Fields<silicon::arm64::SpeModel> {
  using S = silicon::arm64::SpeModel;
  using M = proto::SpeModel;
  static constexpr auto list = std::tuple{number(&S::version, &M::version, &M::set_version),
                                          number(&S::pmsidr, &M::pmsidr, &M::set_pmsidr),
                                          number(&S::pmbidr, &M::pmbidr, &M::set_pmbidr)};
};

template <>
struct Fields<silicon::arm64::SpeStatistics> {
  using S = silicon::arm64::SpeStatistics;
  using M = proto::SpeStatistics;
  static constexpr auto list =
      std::tuple{number(&S::population, &M::population, &M::set_population),
                 number(&S::feed, &M::feed, &M::set_feed),
                 number(&S::filtrate, &M::filtrate, &M::set_filtrate),
                 number(&S::collisions, &M::collisions, &M::set_collisions),
                 number(&S::records, &M::records, &M::set_records),
                 number(&S::bytes, &M::bytes, &M::set_bytes),
                 number(&S::misprogrammed, &M::misprogrammed, &M::set_misprogrammed),
                 number(&S::lost, &M::lost, &M::set_lost)};
};

template <>
struct Fields<silicon::arm64::SpeUnitState> {
  using S = silicon::arm64::SpeUnitState;
  using M = proto::SpeUnit;
  static constexpr auto list =
      std::tuple{number(&S::pmscr, &M::pmscr, &M::set_pmscr),
                 number(&S::pmsnevfr, &M::pmsnevfr, &M::set_pmsnevfr),
                 number(&S::pmsicr, &M::pmsicr, &M::set_pmsicr),
                 number(&S::pmsirr, &M::pmsirr, &M::set_pmsirr),
                 number(&S::pmsfcr, &M::pmsfcr, &M::set_pmsfcr),
                 number(&S::pmsevfr, &M::pmsevfr, &M::set_pmsevfr),
                 number(&S::pmslatfr, &M::pmslatfr, &M::set_pmslatfr),
                 number(&S::pmblimitr, &M::pmblimitr, &M::set_pmblimitr),
                 number(&S::pmbptr, &M::pmbptr, &M::set_pmbptr),
                 number(&S::pmbsr, &M::pmbsr, &M::set_pmbsr),
                 number(&S::random, &M::random, &M::set_random),
                 number(&S::in_flight, &M::in_flight, &M::set_in_flight),
                 part(&S::statistics, &M::has_statistics, &M::statistics, &M::mutable_statistics)};
};

template <>
struct Fields<virt::arm64::SpeWorldSwitch::Place> {
  using S = virt::arm64::SpeWorldSwitch::Place;
  using M = proto::SpePlace;
  static constexpr auto list =
      std::tuple{number(&S::controls, &M::controls, &M::set_controls),
                 number(&S::inverted_filter, &M::inverted_filter, &M::set_inverted_filter),
                 number(&S::buffer, &M::buffer, &M::set_buffer),
                 number(&S::host_stopped, &M::host_stopped, &M::set_host_stopped)};
};

template <>
struct Fields<virt::arm64::SpeSwitchStatistics> {
  using S = virt::arm64::SpeSwitchStatistics;
  using M = proto::SpeSwitchStatistics;
  static constexpr auto list =
      std::tuple{number(&S::entries, &M::entries, &M::set_entries),
                 number(&S::exits, &M::exits, &M::set_exits),
                 number(&S::host_saved, &M::host_saved, &M::set_host_saved),
                 number(&S::host_loaded, &M::host_loaded, &M::set_host_loaded),
                 number(&S::guest_saved, &M::guest_saved, &M::set_guest_saved),
                 number(&S::guest_loaded, &M::guest_loaded, &M::set_guest_loaded),
                 number(&S::host_drains, &M::host_drains, &M::set_host_drains),
                 number(&S::guest_drains, &M::guest_drains, &M::set_guest_drains)};
};

template <>
struct Fields<virt::arm64::SpeExitStatistics> {
  using S = virt::arm64::SpeExitStatistics;
  using M = proto::SpeExitStatistics;
  static constexpr auto list = std::tuple{
      number(&S::control_traps, &M::control_traps, &M::set_control_traps),
      number(&S::buffer_traps, &M::buffer_traps, &M::set_buffer_traps),
      number(&S::identification_traps, &M::identification_traps, &M::set_identification_traps),
      number(&S::direct, &M::direct, &M::set_direct),
      number(&S::events, &M::events, &M::set_events),
      number(&S::full, &M::full, &M::set_full),
      number(&S::misprogrammed, &M::misprogrammed, &M::set_misprogrammed),
      number(&S::stage1_faults, &M::stage1_faults, &M::set_stage1_faults),
      number(&S::external_aborts, &M::external_aborts, &M::set_external_aborts),
      number(&S::replaced, &M::replaced, &M::set_replaced),
      number(&S::too_large, &M::too_large, &M::set_too_large),
      number(&S::unavailable, &M::unavailable, &M::set_unavailable),
      number(&S::interrupts, &M::interrupts, &M::set_interrupts),
      number(&S::refused, &M::refused, &M::set_refused)};
};

template <>
struct Fields<virt::arm64::SpeState> {
  using S = virt::arm64::SpeState;
  using M = proto::Spe;
  static constexpr auto list =
      std::tuple{part(&S::model, &M::has_model, &M::model, &M::mutable_model),
                 number(&S::pmbidr, &M::pmbidr, &M::set_pmbidr),
                 number(&S::has_feature, &M::has_feature, &M::set_has_feature),
                 number(&S::initialised, &M::initialised, &M::set_initialised),
                 number(&S::irq, &M::irq, &M::set_irq),
                 number(&S::stop, &M::stop, &M::set_stop),
                 number(&S::host_has_unit, &M::host_has_unit, &M::set_host_has_unit),
                 number(&S::has_run, &M::has_run, &M::set_has_run),
                 number(&S::entered, &M::entered, &M::set_entered),
                 number(&S::asserted, &M::asserted, &M::set_asserted),
                 part(&S::guest, &M::has_guest, &M::guest, &M::mutable_guest),
                 part(&S::unit, &M::has_unit, &M::unit, &M::mutable_unit),
                 part(&S::place, &M::has_place, &M::place, &M::mutable_place),
                 part(&S::switches, &M::has_switches, &M::switches, &M::mutable_switches),
                 part(&S::exits, &M::has_exits, &M::exits, &M::mutable_exits)};
};

// ---- What has a form of its own -----------------------------------------------------------------

namespace {
using arm64::CounterLog;
using arm64::GuestFilterState;

void encode_counter_log(const arm64::VcpuState& state, proto::Arm64Vcpu& message) {
  const CounterLog::State& log = state.counter_log;
  proto::Arm64CounterLog& to = *message.mutable_counter_log();
  for (std::uint32_t n = 0; n < log.trouble_count; ++n) {
    encode(log.troubles[n], *to.add_troubles());
  }
}

Result<void> decode_counter_log(const proto::Arm64Vcpu& message, arm64::VcpuState& state) {
  CounterLog::State& log = state.counter_log;
  log = {};
  for (const proto::Arm64CounterTrouble& from : message.counter_log().troubles()) {
    if (log.trouble_count == CounterLog::kMaxTroubles) return fail("a list has another length");
    if (auto done = decode(from, log.troubles[log.trouble_count++]); !done) return done;
  }
  return {};
}

void encode_spe(const arm64::VcpuState& state, proto::Arm64Vcpu& message) {
  if (state.spe) encode(*state.spe, *message.mutable_spe());
}

Result<void> decode_spe(const proto::Arm64Vcpu& message, arm64::VcpuState& state) {
  if (!message.has_spe()) return {};
  return decode(message.spe(), state.spe.emplace());
}

void encode_filter(const GuestFilterState& state, proto::Arm64EventFilter& to) {
  to.set_name(state.name);
  to.set_since(state.since);
  to.set_everything(!state.ranges);
  if (!state.ranges) return;
  for (const virt::arm64::FilterRange& range : *state.ranges) encode(range, *to.add_ranges());
}

Result<void> decode_filter(const proto::Arm64EventFilter& from, GuestFilterState& state) {
  state.name = from.name();
  state.since = from.since();
  if (from.everything()) return {};
  if (static_cast<std::size_t>(from.ranges_size()) > kMostFilterRanges) {
    return fail("an event filter has more ranges than there can be");
  }
  auto& ranges = state.ranges.emplace();
  for (const proto::FilterRange& range : from.ranges()) {
    if (auto done = decode(range, ranges.emplace_back()); !done) return done;
  }
  return {};
}

void encode_filters(const arm64::MachineState& state, proto::Arm64Machine& message) {
  for (const GuestFilterState& past : state.past_filters) {
    encode_filter(past, *message.add_event_filters());
  }
  if (state.filter) encode_filter(*state.filter, *message.add_event_filters());
}

Result<void> decode_filters(const proto::Arm64Machine& message, arm64::MachineState& state) {
  if (message.event_filters().empty()) return {};
  if (static_cast<std::size_t>(message.event_filters_size()) >
      arm64::Machine::kMostPastFilters + 1) {
    return fail("there are more event filters than are remembered");
  }
  for (const proto::Arm64EventFilter& from : message.event_filters()) {
    auto done = decode_filter(from, state.past_filters.emplace_back());
    if (!done) return done;
  }
  state.filter = std::move(state.past_filters.back());
  state.past_filters.pop_back();
  return {};
}
}  // namespace

template <>
struct Fields<arm64::VcpuState> {
  using S = arm64::VcpuState;
  using M = proto::Arm64Vcpu;
  static constexpr auto list = std::tuple{
      numbers(&S::exits, &M::exits, &M::mutable_exits),
      part(&S::cpu, &M::has_cpu, &M::cpu, &M::mutable_cpu),
      part(&S::redistributor, &M::has_redistributor, &M::redistributor, &M::mutable_redistributor),
      part(&S::gic, &M::has_gic, &M::gic, &M::mutable_gic),
      part(&S::timer, &M::has_timer, &M::timer, &M::mutable_timer),
      part(&S::pmu, &M::has_pmu, &M::pmu, &M::mutable_pmu),
      own<S, M>(encode_retired<S, M>, decode_retired<S, M>),
      own<S, M>(encode_counter_log, decode_counter_log),
      own<S, M>(encode_spe, decode_spe)};
};

// ---- Messages -----------------------------------------------------------------------------------

void encode(const arm64::MachineState& state, proto::Arm64Machine& message) {
  message.set_protocol(to_number(state.protocol));
  encode(state.schedule, *message.mutable_schedule());
  encode(state.board, *message.mutable_board());
  encode_host(state.host, message);
  encode_caches(state, message);
  encode_filters(state, message);
  encode_spe_memory(state, message);
}

void encode(const arm64::VcpuState& state, proto::Arm64Vcpu& message) {
  encode<arm64::VcpuState, proto::Arm64Vcpu>(state, message);
}

void encode(const virt::arm64::PmuConfig& config, proto::Arm64PmuConfig& message) {
  encode<virt::arm64::PmuConfig, proto::Arm64PmuConfig>(config, message);
}

void encode(const arm64::SpeOffer& offer, proto::SpeOffer& message) {
  message.set_flavour(to_number(offer.flavour));
  message.set_physical_time(offer.physical_time);
  message.set_exclusive(offer.exclusive);
  message.set_max_buffer_bytes(offer.max_buffer_bytes);
  if (offer.host_cpus) message.set_host_cpus(*offer.host_cpus);
  message.set_supported_cpus(offer.supported_cpus);
  message.set_lock(to_number(offer.memory.lock));
  message.set_mlock(offer.memory.mlock);
}

Result<void> decode(const proto::Arm64Machine& message, arm64::MachineState& state) {
  if (!message.has_schedule() || !message.has_board()) return fail("a part is missing");
  if (auto protocol = from_number(message.protocol(), state.protocol); !protocol) return protocol;
  if (auto schedule = decode(message.schedule(), state.schedule); !schedule) return schedule;
  if (auto host = decode_host(message, state.host); !host) return host;
  decode_caches(message, state);
  if (auto filters = decode_filters(message, state); !filters) return filters;
  if (auto memory = decode_spe_memory(message, state); !memory) return memory;
  return decode(message.board(), state.board);
}

Result<void> decode(const proto::Arm64Vcpu& message, arm64::VcpuState& state) {
  return decode<arm64::VcpuState, proto::Arm64Vcpu>(message, state);
}

Result<void> decode(const proto::Arm64PmuConfig& message, virt::arm64::PmuConfig& config) {
  return decode<virt::arm64::PmuConfig, proto::Arm64PmuConfig>(message, config);
}

Result<void> decode(const proto::SpeOffer& message, arm64::SpeOffer& offer) {
  offer = {};
  if (auto flavour = from_number(message.flavour(), offer.flavour); !flavour) return flavour;
  if (offer.flavour > virt::arm64::SpeFlavour::kProtected) {
    return fail("its SPE is of a flavour that there is not");
  }
  offer.physical_time = message.physical_time();
  offer.exclusive = message.exclusive();
  offer.max_buffer_bytes = message.max_buffer_bytes();
  if (message.has_host_cpus()) offer.host_cpus = message.host_cpus();
  offer.supported_cpus = message.supported_cpus();
  if (auto lock = from_number(message.lock(), offer.memory.lock); !lock) return lock;
  if (offer.memory.lock > arm64::SpeLock::kNone) {
    return fail("its memory is locked in a way that there is not");
  }
  offer.memory.mlock = message.mlock();
  return {};
}

}  // namespace vpmu::machine::snapshot
