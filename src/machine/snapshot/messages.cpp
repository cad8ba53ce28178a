// SPDX-License-Identifier: MIT
#include "machine/snapshot/messages.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "machine/snapshot/fields.hpp"
#include "machine/snapshot/shared_fields.hpp"

namespace vpmu::machine::snapshot {

// ---- What has a form of its own -----------------------------------------------------------------

namespace {
template <class Repeated>
Result<void> decode_vectors(const Repeated& from, VectorSet& to) {
  if (static_cast<std::size_t>(from.size()) != to.words().size()) {
    return fail("a set of vectors has another length");
  }
  std::copy(from.begin(), from.end(), to.words().begin());
  return {};
}

void encode_branches(const MachineState& state, proto::Machine& message) {
  for (const x86::BranchLog::State& log : state.branches) {
    proto::BranchLog& to = *message.add_branches();
    to.set_in_current_half(log.in_current_half);
    for (const x86::HeldBranch& held : log.held) {
      proto::HeldBranch& branch = *to.add_held();
      branch.set_kind(to_number(held.branch.kind));
      branch.set_taken(held.branch.taken);
      branch.set_from(held.branch.from);
      branch.set_length(held.branch.next - held.branch.from);
      branch.set_to(held.branch.to);
      branch.set_cycle(held.cycle);
      branch.set_code_base(held.code_base);
      branch.set_begins_in(to_number(held.begins_in));
      branch.set_ends_in(to_number(held.ends_in));
      branch.set_aborted(held.aborted);
    }
  }
}

Result<void> decode_branch(const proto::HeldBranch& from, x86::HeldBranch& held) {
  if (auto done = from_number(from.kind(), held.branch.kind); !done) return done;
  if (auto done = from_number(from.begins_in(), held.begins_in); !done) return done;
  if (auto done = from_number(from.ends_in(), held.ends_in); !done) return done;
  held.branch.taken = from.taken();
  held.branch.from = from.from();
  held.branch.next = from.from() + from.length();
  held.branch.to = from.to();
  held.cycle = from.cycle();
  held.code_base = from.code_base();
  held.aborted = from.aborted();
  return {};
}

Result<void> decode_branches(const proto::Machine& message, MachineState& state) {
  for (const proto::BranchLog& from : message.branches()) {
    x86::BranchLog::State& log = state.branches.emplace_back();
    log.in_current_half = from.in_current_half();
    for (const proto::HeldBranch& branch : from.held()) {
      if (auto done = decode_branch(branch, log.held.emplace_back()); !done) return done;
    }
  }
  return {};
}

void encode_denial(const FilterLog::Denial& denial, proto::FilterDenial& to) {
  to.set_vcpu(denial.vcpu);
  to.set_counter(to_number(denial.counter));
  to.set_event(denial.event.event);
  to.set_unit_mask(denial.event.unit_mask);
  to.set_count(denial.count);
  if (denial.pv_event) to.set_pv_event(*denial.pv_event + 1U);
}

Result<void> decode_denial(const proto::FilterDenial& from, FilterLog::Denial& denial) {
  denial.vcpu = from.vcpu();
  denial.count = from.count();
  if (from.pv_event() != 0) {
    auto done = from_number(from.pv_event() - 1, denial.pv_event.emplace());
    if (!done) return done;
  }
  if (auto done = from_number(from.counter(), denial.counter); !done) return done;
  if (auto done = from_number(from.event(), denial.event.event); !done) return done;
  return from_number(from.unit_mask(), denial.event.unit_mask);
}

void encode_filters(const FilterLog::State& state, proto::Machine& message) {
  for (const FilterLog::Filter& filter : state) {
    proto::EventFilter& to = *message.add_event_filters();
    to.set_name(filter.name);
    to.set_since(filter.since);
    if (filter.image) encode_image(*filter.image, *to.mutable_image());
    to.mutable_by_entry()->Add(filter.by_entry.begin(), filter.by_entry.end());
    to.set_not_included(filter.not_included);
    to.mutable_by_fixed_bitmap()->Add(filter.by_fixed_bitmap.begin(), filter.by_fixed_bitmap.end());
    for (const FilterLog::Denial& denial : filter.denials) encode_denial(denial, *to.add_denials());
  }
}

Result<void> decode_filter(const proto::EventFilter& from, FilterLog::Filter& filter) {
  filter.name = from.name();
  filter.since = from.since();
  if (!from.image().empty()) {
    if (auto done = decode_image(from.image(), filter.image.emplace()); !done) return done;
  }
  if (static_cast<std::size_t>(from.by_fixed_bitmap_size()) != filter.by_fixed_bitmap.size()) {
    return fail("a list has another length");
  }
  filter.by_entry.assign(from.by_entry().begin(), from.by_entry().end());
  filter.not_included = from.not_included();
  std::copy(from.by_fixed_bitmap().begin(), from.by_fixed_bitmap().end(),
            filter.by_fixed_bitmap.begin());
  for (const proto::FilterDenial& denial : from.denials()) {
    if (auto done = decode_denial(denial, filter.denials.emplace_back()); !done) return done;
  }
  return {};
}

Result<void> decode_filters(const proto::Machine& message, FilterLog::State& state) {
  if (static_cast<std::size_t>(message.event_filters_size()) > FilterLog::kMaxFilters) {
    return fail("there are more event filters than are remembered");
  }
  for (const proto::EventFilter& from : message.event_filters()) {
    if (auto done = decode_filter(from, state.emplace_back()); !done) return done;
  }
  return {};
}

void encode_vectors(const LocalApic::State& state, proto::LocalApic& message) {
  for (const std::uint64_t word : state.in_service.words()) message.add_in_service(word);
  for (const std::uint64_t word : state.trigger_mode.words()) message.add_trigger_mode(word);
  for (const std::uint64_t word : state.request.words()) message.add_request(word);
}

Result<void> decode_vectors(const proto::LocalApic& message, LocalApic::State& state) {
  if (auto done = decode_vectors(message.in_service(), state.in_service); !done) return done;
  if (auto done = decode_vectors(message.trigger_mode(), state.trigger_mode); !done) return done;
  return decode_vectors(message.request(), state.request);
}
}  // namespace

// ---- Field by field -----------------------------------------------------------------------------

template <>
struct Fields<ApicBus::State> {
  using S = ApicBus::State;
  using M = proto::ApicBus;
  static constexpr auto list = std::tuple{number(&S::next, &M::next, &M::set_next)};
};

template <>
struct Fields<Pic8259::Chip> {
  using S = Pic8259::Chip;
  using M = proto::PicChip;
  static constexpr auto list = std::tuple{
      number(&S::lines, &M::lines, &M::set_lines),
      number(&S::request, &M::request, &M::set_request),
      number(&S::mask, &M::mask, &M::set_mask),
      number(&S::service, &M::service, &M::set_service),
      number(&S::level, &M::level, &M::set_level),
      number(&S::vector_base, &M::vector_base, &M::set_vector_base),
      number(&S::highest, &M::highest, &M::set_highest),
      number(&S::step, &M::step, &M::set_step),
      number(&S::wants_icw4, &M::wants_icw4, &M::set_wants_icw4),
      number(&S::single, &M::single, &M::set_single),
      number(&S::all_level, &M::all_level, &M::set_all_level),
      number(&S::read_service, &M::read_service, &M::set_read_service),
      number(&S::poll, &M::poll, &M::set_poll),
      number(&S::special_mask, &M::special_mask, &M::set_special_mask),
      number(&S::special_nested, &M::special_nested, &M::set_special_nested),
      number(&S::auto_eoi, &M::auto_eoi, &M::set_auto_eoi),
      number(&S::rotate_on_auto_eoi, &M::rotate_on_auto_eoi, &M::set_rotate_on_auto_eoi)};
};

template <>
struct Fields<Pic8259::State> {
  using S = Pic8259::State;
  using M = proto::Pic;
  static constexpr auto list = std::tuple{parts(&S::chip, &M::chip, &M::mutable_chip),
                                          number(&S::output, &M::output, &M::set_output)};
};

template <>
struct Fields<IoApic::State> {
  using S = IoApic::State;
  using M = proto::IoApic;
  static constexpr auto list = std::tuple{
      number(&S::index, &M::index, &M::set_index), number(&S::id, &M::id, &M::set_id),
      number(&S::high, &M::high, &M::set_high), numbers(&S::entry, &M::entry, &M::mutable_entry)};
};

template <>
struct Fields<Pit8254::Channel> {
  using S = Pit8254::Channel;
  using M = proto::PitChannel;
  static constexpr auto list = std::tuple{
      number(&S::mode, &M::mode, &M::set_mode),
      number(&S::bcd, &M::bcd, &M::set_bcd),
      number(&S::bytes, &M::bytes, &M::set_bytes),
      number(&S::loaded, &M::loaded, &M::set_loaded),
      number(&S::running, &M::running, &M::set_running),
      number(&S::triggered, &M::triggered, &M::set_triggered),
      number(&S::gate, &M::gate, &M::set_gate),
      number(&S::count, &M::count, &M::set_count),
      number(&S::start, &M::start, &M::set_start),
      number(&S::held, &M::held, &M::set_held),
      number(&S::high_byte_next_write, &M::high_byte_next_write, &M::set_high_byte_next_write),
      number(&S::high_byte_next_read, &M::high_byte_next_read, &M::set_high_byte_next_read),
      number(&S::low_byte, &M::low_byte, &M::set_low_byte),
      number(&S::count_latched, &M::count_latched, &M::set_count_latched),
      number(&S::latched_count, &M::latched_count, &M::set_latched_count),
      number(&S::status_latched, &M::status_latched, &M::set_status_latched),
      number(&S::latched_status, &M::latched_status, &M::set_latched_status)};
};

template <>
struct Fields<Pit8254::State> {
  using S = Pit8254::State;
  using M = proto::Pit;
  static constexpr auto list = std::tuple{parts(&S::channel, &M::channel, &M::mutable_channel),
                                          number(&S::control, &M::control, &M::set_control),
                                          number(&S::due, &M::due, &M::set_due)};
};

template <>
struct Fields<Rtc::State> {
  using S = Rtc::State;
  using M = proto::Rtc;
  static constexpr auto list =
      std::tuple{number(&S::index, &M::index, &M::set_index),
                 bytes(&S::cells, &M::cells, &M::mutable_cells),
                 number(&S::flags, &M::flags, &M::set_flags),
                 number(&S::base_second, &M::base_second, &M::set_base_second),
                 number(&S::base_tick, &M::base_tick, &M::set_base_tick),
                 number(&S::seen_tick, &M::seen_tick, &M::set_seen_tick),
                 number(&S::due, &M::due, &M::set_due)};
};

template <>
struct Fields<Uart16550::State> {
  using S = Uart16550::State;
  using M = proto::Uart;
  static constexpr auto list =
      std::tuple{number(&S::interrupt_enable, &M::interrupt_enable, &M::set_interrupt_enable),
                 number(&S::fifo_control, &M::fifo_control, &M::set_fifo_control),
                 number(&S::line_control, &M::line_control, &M::set_line_control),
                 number(&S::modem_control, &M::modem_control, &M::set_modem_control),
                 number(&S::modem_delta, &M::modem_delta, &M::set_modem_delta),
                 number(&S::scratch, &M::scratch, &M::set_scratch),
                 number(&S::divisor, &M::divisor, &M::set_divisor),
                 number(&S::overrun, &M::overrun, &M::set_overrun),
                 number(&S::transmit_interrupt, &M::transmit_interrupt, &M::set_transmit_interrupt),
                 bytes(&S::fifo, &M::fifo, &M::mutable_fifo),
                 number(&S::first, &M::first, &M::set_first),
                 number(&S::received, &M::received, &M::set_received)};
};

template <>
struct Fields<FwCfg::State> {
  using S = FwCfg::State;
  using M = proto::FwCfg;
  static constexpr auto list = std::tuple{number(&S::key, &M::key, &M::set_key),
                                          number(&S::offset, &M::offset, &M::set_offset)};
};

template <>
struct Fields<PowerPorts::State> {
  using S = PowerPorts::State;
  using M = proto::PowerPorts;
  static constexpr auto list =
      std::tuple{number(&S::matched, &M::matched, &M::set_matched),
                 number(&S::reset_control, &M::reset_control, &M::set_reset_control)};
};

template <>
struct Fields<KeyboardController::State> {
  using S = KeyboardController::State;
  using M = proto::KeyboardController;
  static constexpr auto list =
      std::tuple{number(&S::command_byte, &M::command_byte, &M::set_command_byte),
                 number(&S::output_port, &M::output_port, &M::set_output_port),
                 number(&S::output, &M::output, &M::set_output),
                 number(&S::output_full, &M::output_full, &M::set_output_full),
                 number(&S::awaits_data_of, &M::awaits_data_of, &M::set_awaits_data_of)};
};

template <>
struct Fields<BoardState> {
  using S = BoardState;
  using M = proto::Board;
  static constexpr auto list = std::tuple{
      number(&S::now, &M::now, &M::set_now),
      part(&S::apic_bus, &M::has_apic_bus, &M::apic_bus, &M::mutable_apic_bus),
      part(&S::pic, &M::has_pic, &M::pic, &M::mutable_pic),
      part(&S::io_apic, &M::has_io_apic, &M::io_apic, &M::mutable_io_apic),
      part(&S::pit, &M::has_pit, &M::pit, &M::mutable_pit),
      part(&S::rtc, &M::has_rtc, &M::rtc, &M::mutable_rtc),
      part(&S::com1, &M::has_com1, &M::com1, &M::mutable_com1),
      part(&S::fw_cfg, &M::has_fw_cfg, &M::fw_cfg, &M::mutable_fw_cfg),
      part(&S::power_ports, &M::has_power_ports, &M::power_ports, &M::mutable_power_ports),
      part(&S::keyboard, &M::has_keyboard, &M::keyboard, &M::mutable_keyboard)};
};

template <>
struct Fields<x86::Segment> {
  using S = x86::Segment;
  using M = proto::Segment;
  static constexpr auto list = std::tuple{number(&S::selector, &M::selector, &M::set_selector),
                                          number(&S::type, &M::type, &M::set_type),
                                          number(&S::dpl, &M::dpl, &M::set_dpl),
                                          number(&S::present, &M::present, &M::set_present),
                                          number(&S::system, &M::system, &M::set_system),
                                          number(&S::long_code, &M::long_code, &M::set_long_code),
                                          number(&S::big, &M::big, &M::set_big),
                                          number(&S::limit, &M::limit, &M::set_limit),
                                          number(&S::base, &M::base, &M::set_base)};
};

template <>
struct Fields<x86::DescriptorTable> {
  using S = x86::DescriptorTable;
  using M = proto::DescriptorTable;
  static constexpr auto list = std::tuple{number(&S::base, &M::base, &M::set_base),
                                          number(&S::limit, &M::limit, &M::set_limit)};
};

template <>
struct Fields<x86::X87State> {
  using S = x86::X87State;
  using M = proto::X87;
  static constexpr auto list =
      std::tuple{bytes(&S::r, &M::r, &M::mutable_r),
                 number(&S::control, &M::control, &M::set_control),
                 number(&S::status, &M::status, &M::set_status),
                 number(&S::valid, &M::valid, &M::set_valid),
                 number(&S::last_opcode, &M::last_opcode, &M::set_last_opcode),
                 number(&S::last_instruction, &M::last_instruction, &M::set_last_instruction),
                 number(&S::last_data, &M::last_data, &M::set_last_data)};
};

template <>
struct Fields<x86::CpuState> {
  using S = x86::CpuState;
  using M = proto::Cpu;
  static constexpr auto list = std::tuple{
      numbers(&S::gpr, &M::gpr, &M::mutable_gpr),
      number(&S::rip, &M::rip, &M::set_rip),
      number(&S::rflags, &M::rflags, &M::set_rflags),
      number(&S::cpl, &M::cpl, &M::set_cpl),
      parts(&S::segment, &M::segment, &M::mutable_segment),
      part(&S::ldtr, &M::has_ldtr, &M::ldtr, &M::mutable_ldtr),
      part(&S::tr, &M::has_tr, &M::tr, &M::mutable_tr),
      part(&S::gdtr, &M::has_gdtr, &M::gdtr, &M::mutable_gdtr),
      part(&S::idtr, &M::has_idtr, &M::idtr, &M::mutable_idtr),
      number(&S::cr0, &M::cr0, &M::set_cr0),
      number(&S::cr2, &M::cr2, &M::set_cr2),
      number(&S::cr3, &M::cr3, &M::set_cr3),
      number(&S::cr4, &M::cr4, &M::set_cr4),
      number(&S::efer, &M::efer, &M::set_efer),
      number(&S::xcr0, &M::xcr0, &M::set_xcr0),
      numbers(&S::dr, &M::dr, &M::mutable_dr),
      number(&S::dr6, &M::dr6, &M::set_dr6),
      number(&S::dr7, &M::dr7, &M::set_dr7),
      bytes(&S::xmm, &M::xmm, &M::mutable_xmm),
      number(&S::mxcsr, &M::mxcsr, &M::set_mxcsr),
      part(&S::x87, &M::has_x87, &M::x87, &M::mutable_x87),
      number(&S::star, &M::star, &M::set_star),
      number(&S::lstar, &M::lstar, &M::set_lstar),
      number(&S::cstar, &M::cstar, &M::set_cstar),
      number(&S::sfmask, &M::sfmask, &M::set_sfmask),
      number(&S::kernel_gs_base, &M::kernel_gs_base, &M::set_kernel_gs_base),
      number(&S::sysenter_cs, &M::sysenter_cs, &M::set_sysenter_cs),
      number(&S::sysenter_esp, &M::sysenter_esp, &M::set_sysenter_esp),
      number(&S::sysenter_eip, &M::sysenter_eip, &M::set_sysenter_eip),
      number(&S::tsc_offset, &M::tsc_offset, &M::set_tsc_offset),
      number(&S::tsc_adjust, &M::tsc_adjust, &M::set_tsc_adjust),
      number(&S::tsc_aux, &M::tsc_aux, &M::set_tsc_aux),
      number(&S::halted, &M::halted, &M::set_halted),
      number(&S::waiting_for_sipi, &M::waiting_for_sipi, &M::set_waiting_for_sipi),
      number(&S::nmi_pending, &M::nmi_pending, &M::set_nmi_pending),
      number(&S::nmi_blocked, &M::nmi_blocked, &M::set_nmi_blocked),
      number(&S::interrupt_shadow, &M::interrupt_shadow, &M::set_interrupt_shadow),
      number(&S::stack_switch_shadow, &M::stack_switch_shadow, &M::set_stack_switch_shadow),
      number(&S::debug_trap, &M::debug_trap, &M::set_debug_trap),
      number(&S::shut_down, &M::shut_down, &M::set_shut_down),
      own<S, M>(encode_predictor<S, M>, decode_predictor<S, M>)};
};

template <>
struct Fields<ApicTimer::State> {
  using S = ApicTimer::State;
  using M = proto::ApicTimer;
  static constexpr auto list =
      std::tuple{number(&S::mode, &M::mode, &M::set_mode),
                 number(&S::masked, &M::masked, &M::set_masked),
                 number(&S::running, &M::running, &M::set_running),
                 number(&S::divide, &M::divide, &M::set_divide),
                 number(&S::initial, &M::initial, &M::set_initial),
                 number(&S::loaded, &M::loaded, &M::set_loaded),
                 number(&S::origin, &M::origin, &M::set_origin),
                 number(&S::deadline, &M::deadline, &M::set_deadline),
                 number(&S::tsc_offset, &M::tsc_offset, &M::set_tsc_offset),
                 number(&S::due, &M::due, &M::set_due)};
};

template <>
struct Fields<LocalApic::State> {
  using S = LocalApic::State;
  using M = proto::LocalApic;
  static constexpr auto list =
      std::tuple{number(&S::base, &M::base, &M::set_base),
                 number(&S::task_priority, &M::task_priority, &M::set_task_priority),
                 number(&S::logical_id, &M::logical_id, &M::set_logical_id),
                 number(&S::destination_format, &M::destination_format, &M::set_destination_format),
                 number(&S::spurious, &M::spurious, &M::set_spurious),
                 number(&S::errors_shown, &M::errors_shown, &M::set_errors_shown),
                 number(&S::errors_pending, &M::errors_pending, &M::set_errors_pending),
                 number(&S::command, &M::command, &M::set_command),
                 numbers(&S::lvt, &M::lvt, &M::mutable_lvt),
                 numbers(&S::lint_high, &M::lint_high, &M::mutable_lint_high),
                 number(&S::ext_int_pending, &M::ext_int_pending, &M::set_ext_int_pending),
                 part(&S::timer, &M::has_timer, &M::timer, &M::mutable_timer),
                 own<S, M>(encode_vectors, decode_vectors)};
};

template <>
struct Fields<PlainMsrs::State> {
  using S = PlainMsrs::State;
  using M = proto::PlainMsrs;
  static constexpr auto list =
      std::tuple{number(&S::pat, &M::pat, &M::set_pat),
                 number(&S::mtrr_default_type, &M::mtrr_default_type, &M::set_mtrr_default_type),
                 numbers(&S::mtrr_variable, &M::mtrr_variable, &M::mutable_mtrr_variable),
                 numbers(&S::mtrr_fixed, &M::mtrr_fixed, &M::mutable_mtrr_fixed),
                 number(&S::mcg_status, &M::mcg_status, &M::set_mcg_status),
                 number(&S::hwcr, &M::hwcr, &M::set_hwcr),
                 number(&S::syscfg, &M::syscfg, &M::set_syscfg),
                 number(&S::nb_cfg, &M::nb_cfg, &M::set_nb_cfg),
                 number(&S::de_cfg, &M::de_cfg, &M::set_de_cfg)};
};

template <>
struct Fields<virt::x86::PmuConfig> {
  using S = virt::x86::PmuConfig;
  using M = proto::PmuConfig;
  static constexpr auto list = std::tuple{
      number(&S::vendor, &M::vendor, &M::set_vendor),
      number(&S::version, &M::version, &M::set_version),
      number(&S::gp_counters, &M::gp_counters, &M::set_gp_counters),
      number(&S::gp_width, &M::gp_width, &M::set_gp_width),
      number(&S::fixed_counters, &M::fixed_counters, &M::set_fixed_counters),
      number(&S::fixed_width, &M::fixed_width, &M::set_fixed_width),
      number(&S::arch_event_length, &M::arch_event_length, &M::set_arch_event_length),
      number(&S::arch_events_unavailable, &M::arch_events_unavailable,
             &M::set_arch_events_unavailable),
      number(&S::perf_capabilities, &M::perf_capabilities, &M::set_perf_capabilities),
      number(&S::has_perf_capabilities, &M::has_perf_capabilities, &M::set_has_perf_capabilities),
      number(&S::core_extension, &M::core_extension, &M::set_core_extension),
      number(&S::any_thread_deprecated, &M::any_thread_deprecated, &M::set_any_thread_deprecated),
      number(&S::freeze_on_pmi, &M::freeze_on_pmi, &M::set_freeze_on_pmi),
      number(&S::tsx, &M::tsx, &M::set_tsx),
      number(&S::host_guest_only, &M::host_guest_only, &M::set_host_guest_only)};
};

template <>
struct Fields<virt::x86::PmuStatistics> {
  using S = virt::x86::PmuStatistics;
  using M = proto::PmuStatistics;
  static constexpr auto list =
      std::tuple{number(&S::overflows, &M::overflows, &M::set_overflows),
                 number(&S::pmis_raised, &M::pmis_raised, &M::set_pmis_raised),
                 number(&S::pmis_delivered, &M::pmis_delivered, &M::set_pmis_delivered),
                 number(&S::pmis_masked, &M::pmis_masked, &M::set_pmis_masked),
                 number(&S::pmis_rejected, &M::pmis_rejected, &M::set_pmis_rejected)};
};

template <>
struct Fields<virt::x86::PmuState::Counter> {
  using S = virt::x86::PmuState::Counter;
  using M = proto::PmuCounter;
  static constexpr auto list = std::tuple{number(&S::value, &M::value, &M::set_value),
                                          number(&S::status, &M::status, &M::set_status),
                                          number(&S::config, &M::config, &M::set_config),
                                          number(&S::touched, &M::touched, &M::set_touched)};
};

template <>
struct Fields<virt::x86::PmuState> {
  using S = virt::x86::PmuState;
  using M = proto::Pmu;
  static constexpr auto list =
      std::tuple{part(&S::config, &M::has_config, &M::config, &M::mutable_config),
                 numbers(&S::event_select, &M::event_select, &M::mutable_event_select),
                 parts(&S::gp, &M::gp, &M::mutable_gp),
                 parts(&S::fixed, &M::fixed, &M::mutable_fixed),
                 number(&S::fixed_control, &M::fixed_control, &M::set_fixed_control),
                 number(&S::global_control, &M::global_control, &M::set_global_control),
                 number(&S::global_status, &M::global_status, &M::set_global_status),
                 number(&S::misc_enable, &M::misc_enable, &M::set_misc_enable),
                 number(&S::debug_control, &M::debug_control, &M::set_debug_control),
                 number(&S::perf_capabilities, &M::perf_capabilities, &M::set_perf_capabilities),
                 number(&S::ran, &M::ran, &M::set_ran),
                 number(&S::svme, &M::svme, &M::set_svme),
                 number(&S::guest_mode, &M::guest_mode, &M::set_guest_mode),
                 number(&S::pmi_pending, &M::pmi_pending, &M::set_pmi_pending),
                 number(&S::new_time_slice, &M::new_time_slice, &M::set_new_time_slice),
                 part(&S::statistics, &M::has_statistics, &M::statistics, &M::mutable_statistics)};
};

template <>
struct Fields<CounterLog::Entry> {
  using S = CounterLog::Entry;
  using M = proto::CounterEntry;
  static constexpr auto list = std::tuple{
      number(&S::status, &M::status, &M::set_status), number(&S::since, &M::since, &M::set_since),
      number(&S::config, &M::config, &M::set_config), number(&S::used, &M::used, &M::set_used)};
};

template <>
struct Fields<CounterLog::Trouble> {
  using S = CounterLog::Trouble;
  using M = proto::CounterTrouble;
  static constexpr auto list = std::tuple{number(&S::counter, &M::counter, &M::set_counter),
                                          number(&S::status, &M::status, &M::set_status),
                                          number(&S::config, &M::config, &M::set_config),
                                          number(&S::first, &M::first, &M::set_first)};
};

template <>
struct Fields<CounterLog::State> {
  using S = CounterLog::State;
  using M = proto::CounterLog;
  static constexpr auto list = std::tuple{
      parts(&S::gp, &M::gp, &M::mutable_gp), parts(&S::fixed, &M::fixed, &M::mutable_fixed),
      parts(&S::troubles, &M::troubles, &M::mutable_troubles),
      number(&S::trouble_count, &M::trouble_count, &M::set_trouble_count)};
};

template <>
struct Fields<silicon::PrivilegeSet> {
  using S = silicon::PrivilegeSet;
  using M = proto::PrivilegeSet;
  static constexpr auto list = std::tuple{number(&S::user, &M::user, &M::set_user),
                                          number(&S::kernel, &M::kernel, &M::set_kernel)};
};

template <>
struct Fields<silicon::CycleCondition> {
  using S = silicon::CycleCondition;
  using M = proto::CycleCondition;
  static constexpr auto list =
      std::tuple{number(&S::event, &M::event, &M::set_event),
                 number(&S::threshold, &M::threshold, &M::set_threshold),
                 number(&S::inverted, &M::inverted, &M::set_inverted),
                 number(&S::edge, &M::edge, &M::set_edge),
                 part(&S::privileges, &M::has_privileges, &M::privileges, &M::mutable_privileges)};
};

template <>
struct Fields<silicon::CycleConditions::Slot> {
  using S = silicon::CycleConditions::Slot;
  using M = proto::ConditionSlot;
  static constexpr auto list =
      std::tuple{part(&S::condition, &M::has_condition, &M::condition, &M::mutable_condition),
                 number(&S::was_true, &M::was_true, &M::set_was_true),
                 numbers(&S::seen, &M::seen, &M::mutable_seen)};
};

template <>
struct Fields<silicon::CycleConditions::State> {
  using S = silicon::CycleConditions::State;
  using M = proto::CycleConditions;
  static constexpr auto list = std::tuple{
      number(&S::taken, &M::taken, &M::set_taken), parts(&S::slots, &M::slots, &M::mutable_slots),
      numbers(&S::cycles_seen, &M::cycles_seen, &M::mutable_cycles_seen)};
};

template <>
struct Fields<silicon::x86::LbrModel> {
  using S = silicon::x86::LbrModel;
  using M = proto::LbrModel;
  static constexpr auto list =
      std::tuple{number(&S::format, &M::format, &M::set_format),
                 number(&S::depth, &M::depth, &M::set_depth),
                 number(&S::depths, &M::depths, &M::set_depths),
                 number(&S::call_stack, &M::call_stack, &M::set_call_stack),
                 number(&S::tsx, &M::tsx, &M::set_tsx),
                 number(&S::from, &M::from, &M::set_from),
                 number(&S::to, &M::to, &M::set_to),
                 number(&S::info, &M::info, &M::set_info)};
};

template <>
struct Fields<virt::x86::LbrStatistics> {
  using S = virt::x86::LbrStatistics;
  using M = proto::LbrStatistics;
  static constexpr auto list = std::tuple{
      number(&S::entries_passed_through, &M::entries_passed_through,
             &M::set_entries_passed_through),
      number(&S::intercepted_reads, &M::intercepted_reads, &M::set_intercepted_reads),
      number(&S::intercepted_writes, &M::intercepted_writes, &M::set_intercepted_writes),
      number(&S::dummy_accesses, &M::dummy_accesses, &M::set_dummy_accesses),
      number(&S::events_created, &M::events_created, &M::set_events_created),
      number(&S::creation_failures, &M::creation_failures, &M::set_creation_failures),
      number(&S::events_released, &M::events_released, &M::set_events_released),
      number(&S::reclaims, &M::reclaims, &M::set_reclaims),
      number(&S::regains, &M::regains, &M::set_regains),
      number(&S::warnings, &M::warnings, &M::set_warnings),
      number(&S::warnings_suppressed, &M::warnings_suppressed, &M::set_warnings_suppressed)};
};

template <>
struct Fields<virt::x86::VirtualLbrState> {
  using S = virt::x86::VirtualLbrState;
  using M = proto::Lbr;
  static constexpr auto list =
      std::tuple{part(&S::model, &M::has_model, &M::model, &M::mutable_model),
                 part(&S::registers, &M::has_registers, &M::registers, &M::mutable_registers),
                 number(&S::has_event, &M::has_event, &M::set_has_event),
                 number(&S::lost, &M::lost, &M::set_lost),
                 number(&S::touched, &M::touched, &M::set_touched),
                 number(&S::new_time_slice, &M::new_time_slice, &M::set_new_time_slice),
                 number(&S::was_on, &M::was_on, &M::set_was_on),
                 number(&S::idle_slices, &M::idle_slices, &M::set_idle_slices),
                 number(&S::warned, &M::warned, &M::set_warned),
                 number(&S::warning_slices, &M::warning_slices, &M::set_warning_slices),
                 number(&S::recorded_until, &M::recorded_until, &M::set_recorded_until),
                 part(&S::statistics, &M::has_statistics, &M::statistics, &M::mutable_statistics)};
};

template <>
struct Fields<DirectLbrAccesses> {
  using S = DirectLbrAccesses;
  using M = proto::DirectLbrAccesses;
  static constexpr auto list = std::tuple{number(&S::reads, &M::reads, &M::set_reads),
                                          number(&S::writes, &M::writes, &M::set_writes)};
};

template <>
struct Fields<virt::x86::PvPerfConfig> {
  using S = virt::x86::PvPerfConfig;
  using M = proto::PvPerfConfig;
  static constexpr auto list =
      std::tuple{number(&S::features, &M::features, &M::set_features),
                 number(&S::cpuid_base, &M::cpuid_base, &M::set_cpuid_base),
                 number(&S::msr_base, &M::msr_base, &M::set_msr_base),
                 number(&S::events, &M::events, &M::set_events),
                 number(&S::width, &M::width, &M::set_width),
                 number(&S::at_once, &M::at_once, &M::set_at_once),
                 number(&S::physical_bits, &M::physical_bits, &M::set_physical_bits),
                 number(&S::publish_period_us, &M::publish_period_us, &M::set_publish_period_us),
                 number(&S::minimum_period, &M::minimum_period, &M::set_minimum_period),
                 number(&S::generic_events, &M::generic_events, &M::set_generic_events),
                 number(&S::software_events, &M::software_events, &M::set_software_events),
                 number(&S::interrupts_per_ms, &M::interrupts_per_ms, &M::set_interrupts_per_ms)};
};

template <>
struct Fields<virt::x86::PvPerfStatistics> {
  using S = virt::x86::PvPerfStatistics;
  using M = proto::PvPerfStatistics;
  static constexpr auto list =
      std::tuple{number(&S::overflows, &M::overflows, &M::set_overflows),
                 number(&S::pmis_raised, &M::pmis_raised, &M::set_pmis_raised),
                 number(&S::pmis_delivered, &M::pmis_delivered, &M::set_pmis_delivered),
                 number(&S::pmis_masked, &M::pmis_masked, &M::set_pmis_masked),
                 number(&S::pmis_rejected, &M::pmis_rejected, &M::set_pmis_rejected),
                 number(&S::pmis_throttled, &M::pmis_throttled, &M::set_pmis_throttled),
                 number(&S::publications, &M::publications, &M::set_publications),
                 number(&S::batches, &M::batches, &M::set_batches),
                 number(&S::batches_refused, &M::batches_refused, &M::set_batches_refused),
                 number(&S::hypercalls, &M::hypercalls, &M::set_hypercalls),
                 number(&S::host_events_opened, &M::host_events_opened, &M::set_host_events_opened),
                 number(&S::starvations, &M::starvations, &M::set_starvations)};
};

template <>
struct Fields<virt::x86::PvPerfState::Event> {
  using S = virt::x86::PvPerfState::Event;
  using M = proto::PvPerfEvent;
  static constexpr auto list =
      std::tuple{number(&S::evtsel, &M::evtsel, &M::set_evtsel),
                 number(&S::count, &M::count, &M::set_count),
                 number(&S::period, &M::period, &M::set_period),
                 number(&S::time_enabled_ns, &M::time_enabled_ns, &M::set_time_enabled_ns),
                 number(&S::time_running_ns, &M::time_running_ns, &M::set_time_running_ns),
                 number(&S::state, &M::state, &M::set_state),
                 number(&S::countable, &M::countable, &M::set_countable),
                 number(&S::unheeded, &M::unheeded, &M::set_unheeded),
                 number(&S::called, &M::called, &M::set_called),
                 number(&S::call_event, &M::call_event, &M::set_call_event),
                 number(&S::call_read_format, &M::call_read_format, &M::set_call_read_format),
                 number(&S::call_event_due, &M::call_event_due, &M::set_call_event_due)};
};

template <>
struct Fields<virt::x86::PvPerfState> {
  using S = virt::x86::PvPerfState;
  using M = proto::PvPerf;
  static constexpr auto list = std::tuple{
      number(&S::version, &M::version, &M::set_version),
      number(&S::host_vendor, &M::host_vendor, &M::set_host_vendor),
      number(&S::host_family, &M::host_family, &M::set_host_family),
      number(&S::global_ctrl, &M::global_ctrl, &M::set_global_ctrl),
      number(&S::global_status, &M::global_status, &M::set_global_status),
      number(&S::error, &M::error, &M::set_error),
      number(&S::area, &M::area, &M::set_area),
      number(&S::seq, &M::seq, &M::set_seq),
      number(&S::batch_seq, &M::batch_seq, &M::set_batch_seq),
      number(&S::batch_code, &M::batch_code, &M::set_batch_code),
      number(&S::batch_id, &M::batch_id, &M::set_batch_id),
      number(&S::publish_requested, &M::publish_requested, &M::set_publish_requested),
      number(&S::publish_due_ns, &M::publish_due_ns, &M::set_publish_due_ns),
      number(&S::tick_ns, &M::tick_ns, &M::set_tick_ns),
      number(&S::interrupts_in_tick, &M::interrupts_in_tick, &M::set_interrupts_in_tick),
      number(&S::interrupt_pending, &M::interrupt_pending, &M::set_interrupt_pending),
      number(&S::interrupt_held_back, &M::interrupt_held_back, &M::set_interrupt_held_back),
      part(&S::config, &M::has_config, &M::config, &M::mutable_config),
      parts(&S::events, &M::events, &M::mutable_events),
      part(&S::statistics, &M::has_statistics, &M::statistics, &M::mutable_statistics)};
};

template <>
struct Fields<PvPerfLog::Entry> {
  using S = PvPerfLog::Entry;
  using M = proto::PvPerfEntry;
  static constexpr auto list = std::tuple{
      number(&S::status, &M::status, &M::set_status), number(&S::since, &M::since, &M::set_since),
      number(&S::evtsel, &M::evtsel, &M::set_evtsel), number(&S::used, &M::used, &M::set_used)};
};

template <>
struct Fields<PvPerfLog::Trouble> {
  using S = PvPerfLog::Trouble;
  using M = proto::PvPerfTrouble;
  static constexpr auto list = std::tuple{
      number(&S::event, &M::event, &M::set_event), number(&S::status, &M::status, &M::set_status),
      number(&S::evtsel, &M::evtsel, &M::set_evtsel), number(&S::first, &M::first, &M::set_first)};
};

template <>
struct Fields<PvPerfLog::State> {
  using S = PvPerfLog::State;
  using M = proto::PvPerfLog;
  static constexpr auto list =
      std::tuple{number(&S::trouble_count, &M::trouble_count, &M::set_trouble_count),
                 parts(&S::events, &M::events, &M::mutable_events),
                 parts(&S::troubles, &M::troubles, &M::mutable_troubles)};
};

template <>
struct Fields<VcpuPvPerf::State> {
  using S = VcpuPvPerf::State;
  using M = proto::VcpuPvPerf;
  static constexpr auto list =
      std::tuple{number(&S::stolen_since, &M::stolen_since, &M::set_stolen_since),
                 part(&S::unit, &M::has_unit, &M::unit, &M::mutable_unit),
                 part(&S::log, &M::has_log, &M::log, &M::mutable_log)};
};

namespace {
void encode_pv_perf(const VcpuState& state, proto::Vcpu& message) {
  if (state.pv_perf) encode(*state.pv_perf, *message.mutable_pv_perf());
}

Result<void> decode_pv_perf(const proto::Vcpu& message, VcpuState& state) {
  if (!message.has_pv_perf()) return {};
  return decode(message.pv_perf(), state.pv_perf.emplace());
}
}  // namespace

template <>
struct Fields<VcpuState> {
  using S = VcpuState;
  using M = proto::Vcpu;
  static constexpr auto list = std::tuple{
      own<S, M>(encode_retired<S, M>, decode_retired<S, M>),
      numbers(&S::exits, &M::exits, &M::mutable_exits),
      part(&S::cpu, &M::has_cpu, &M::cpu, &M::mutable_cpu),
      part(&S::apic, &M::has_apic, &M::apic, &M::mutable_apic),
      part(&S::plain_msrs, &M::has_plain_msrs, &M::plain_msrs, &M::mutable_plain_msrs),
      part(&S::pmu, &M::has_pmu, &M::pmu, &M::mutable_pmu),
      part(&S::counter_log, &M::has_counter_log, &M::counter_log, &M::mutable_counter_log),
      part(&S::conditions, &M::has_conditions, &M::conditions, &M::mutable_conditions),
      part(&S::lbr, &M::has_lbr, &M::lbr, &M::mutable_lbr),
      part(&S::direct_lbr, &M::has_direct_lbr, &M::direct_lbr, &M::mutable_direct_lbr),
      own<S, M>(encode_pv_perf, decode_pv_perf)};
};

// ---- Messages -----------------------------------------------------------------------------------

void encode_image(const virt::x86::FilterImage& image, std::string& to) {
  using virt::x86::FilterImage;
  FilterImage::Bytes bytes;
  const std::size_t length = virt::x86::write_filter_image(image, bytes);
  to.assign(reinterpret_cast<const char*>(bytes.data()), length);
}

Result<void> decode_image(const std::string& from, virt::x86::FilterImage& image) {
  const auto read =
      virt::x86::read_filter_image(std::as_bytes(std::span{from}), silicon::x86::Vendor::kAmd);
  if (!read || from.size() != virt::x86::FilterImage::kHeaderBytes + 8 * read->used().size()) {
    return fail("an event filter is not one");
  }
  image = *read;
  return {};
}

void encode(const MachineState& state, proto::Machine& message) {
  message.set_protocol(static_cast<std::uint32_t>(state.protocol));
  encode(state.schedule, *message.mutable_schedule());
  encode(state.board, *message.mutable_board());
  encode_host(state.host, message);
  encode_caches(state, message);
  encode_branches(state, message);
  encode_filters(state.filters, message);
}

void encode(const VcpuState& state, proto::Vcpu& message) {
  encode<VcpuState, proto::Vcpu>(state, message);
}

void encode(const virt::x86::PvPerfConfig& config, proto::PvPerfConfig& message) {
  encode<virt::x86::PvPerfConfig, proto::PvPerfConfig>(config, message);
}

Result<void> decode(const proto::PvPerfConfig& message, virt::x86::PvPerfConfig& config) {
  return decode<virt::x86::PvPerfConfig, proto::PvPerfConfig>(message, config);
}

void encode(const HostEvent& event, proto::HostEvent& message) {
  message.set_name(event.name);
  message.set_config(event.attr.config);
  message.set_period(event.attr.period);
  message.set_pinned(event.attr.pinned);
  message.set_exclusive(event.attr.exclusive);
  message.set_exclude_user(event.attr.exclude_user);
  message.set_exclude_kernel(event.attr.exclude_kernel);
  message.set_exclude_host(event.attr.exclude_host);
  message.set_exclude_guest(event.attr.exclude_guest);
  message.set_branch_type(event.attr.branch_type);
  message.set_trace(event.trace);
  message.set_cpus(event.cpus);
  message.set_at(event.at);
  message.set_until(event.until);
  message.set_every(event.every);
  message.set_branches(event.branches.count);
  message.set_branches_from(event.branches.from);
  message.set_branches_to(event.branches.to);
}

HostEvent decode(const proto::HostEvent& message) {
  return {.name = message.name(),
          .attr = {.config = message.config(),
                   .period = message.period(),
                   .pinned = message.pinned(),
                   .exclusive = message.exclusive(),
                   .exclude_user = message.exclude_user(),
                   .exclude_kernel = message.exclude_kernel(),
                   .exclude_host = message.exclude_host(),
                   .exclude_guest = message.exclude_guest(),
                   .branch_type = message.branch_type()},
          .trace = message.trace(),
          .cpus = message.cpus(),
          .at = message.at(),
          .until = message.until(),
          .every = message.every(),
          .branches = {message.branches(), message.branches_from(), message.branches_to()}};
}

void encode(const virt::x86::PmuConfig& config, proto::PmuConfig& message) {
  encode<virt::x86::PmuConfig, proto::PmuConfig>(config, message);
}

Result<void> decode(const proto::Machine& message, MachineState& state) {
  if (!message.has_schedule() || !message.has_board()) return fail("a part is missing");
  if (auto protocol = from_number(message.protocol(), state.protocol); !protocol) return protocol;
  if (auto schedule = decode(message.schedule(), state.schedule); !schedule) return schedule;
  if (auto host = decode_host(message, state.host); !host) return host;
  decode_caches(message, state);
  if (auto branches = decode_branches(message, state); !branches) return branches;
  if (auto filters = decode_filters(message, state.filters); !filters) return filters;
  return decode(message.board(), state.board);
}

Result<void> decode(const proto::Vcpu& message, VcpuState& state) {
  return decode<VcpuState, proto::Vcpu>(message, state);
}

Result<void> decode(const proto::PmuConfig& message, virt::x86::PmuConfig& config) {
  return decode<virt::x86::PmuConfig, proto::PmuConfig>(message, config);
}

}  // namespace vpmu::machine::snapshot
