// SPDX-License-Identifier: MIT
#include "property/lbr_guest.hpp"

#include <fmt/format.h>

#include <array>
#include <type_traits>
#include <utility>

#include "property/answers.hpp"
#include "property/lbr_drawing.hpp"
#include "vpmu/virt/x86/counter_status.hpp"

namespace vpmu::property {
namespace {

using hostperf::EventState;
using hostperf::HostCpu;
using silicon::Privilege;
using silicon::RawEvent;
using silicon::x86::LbrStack;
using silicon::x86::LbrState;
using silicon::x86::TakenBranch;
using virt::x86::Lbr;
using virt::x86::MsrBitmap;
using virt::x86::Pmu;
using virt::x86::VirtualLbrState;
using Difference = LbrGuest::Difference;

constexpr std::uint64_t kLbrFrozen = std::uint64_t{1} << 58;

bool is_of_pmu(std::uint32_t msr) {
  return msr == 0x1d9 || msr == 0x345 || (msr >= 0x38d && msr <= 0x392);
}

/// Whatever guests write, no address of theirs has the host's mark.
std::uint64_t without_host_mark(std::uint64_t value) {
  return mark_of(value) == kHostMark ? value ^ std::uint64_t{1} << 32 : value;
}

std::string describe_access(std::uint32_t msr, const std::uint64_t* value, const char* how) {
  if (value == nullptr) return fmt::format("rdmsr {:#x}, {}", msr, how);
  return fmt::format("wrmsr {:#x} = {:#x}, {}", msr, *value, how);
}

/// A call stack ends at the first FROM that is 0, the newest first; what is behind is nobody's.
LbrState without_rest_of_call_stack(const ReferenceLbr& lbr, bool architectural) {
  LbrState state = lbr.state();
  bool ended = false;
  for (unsigned age = 0; age < state.depth; ++age) {
    const unsigned number = architectural ? age : (state.tos + state.depth - age) % state.depth;
    ended = ended || state.records[number].from == 0;
    if (ended) state.records[number] = {};
  }
  return state;
}

/// One field, chosen by `field`.
void change(VirtualLbrState& state, std::uint32_t field, std::uint64_t by) {
  const auto change = [by](auto& value) {
    value = static_cast<std::remove_reference_t<decltype(value)>>(value ^ by);
  };
  LbrState::Record& record = state.registers.records[field / 16 % state.registers.records.size()];
  switch (field % 16) {
    case 0: change(state.registers.select); return;
    case 1: change(state.registers.tos); return;
    case 2: change(state.registers.depth); return;
    case 3: change(state.registers.cycle); return;
    case 4: change(state.model.depth); return;
    case 5: change(state.model.depths); return;
    case 6: state.has_event = !state.has_event; return;
    case 7: state.lost = !state.lost; return;
    case 8: change(state.idle_slices); return;
    case 9: change(state.warned); return;
    case 10: change(state.warning_slices); return;
    case 11: change(record.from); return;
    case 12: change(record.to); return;
    case 13: change(record.info); return;
    case 14: state.touched = !state.touched; return;
    default: state.new_time_slice = !state.new_time_slice; return;
  }
}

}  // namespace

LbrGuest::LbrGuest(const GuestLbrSetup& setup, unsigned number)
    : setup_{setup},
      number_{number},
      reference_pmu_{setup.config, *setup.silicon, false},
      own_{setup.silicon->lbr},
      registers_{own_.registers()} {
  for (const std::uint32_t msr : registers_) open_bitmap_.intercept(MsrIndex{msr}, false);
}

hostperf::ModelledVcpu LbrGuest::silicon() {
  return {&totals_, &deadlines_, nullptr};
}

// ---- Where it runs ------------------------------------------------------------------------------

void LbrGuest::attach(hostperf::ModelledHostPerf& perf, LbrHostEvents& host,
                      std::optional<unsigned> cpu) {
  modelled_ = &perf;
  host_ = &host;
  perf_ = std::make_unique<CountingHostPerf>(perf);
  opened_ = refusals_ = 0;
  pmu_ = std::make_unique<Pmu>(setup_.config, *perf_, hostperf::VcpuIndex{number_}, sink_);
  lbr_ = std::make_unique<Lbr>(*pmu_, *perf_, hostperf::VcpuIndex{number_});
  lbr_->set_observer(&observer_);
  cpu_ = cpu;
}

void LbrGuest::remove_devices() {
  source_.record_into(nullptr);
  lbr_.reset();
  pmu_.reset();
}

Difference LbrGuest::detach(State& state) {
  // An event that is off its CPU waits; that is no loss.
  if (has_event() && perf_->state(lbr_->event()) != EventState::kInactive) note_loss();
  state = {.pmu = pmu_->save(), .lbr = lbr_->save()};
  if (!offered()) {
    own_.reset();
    own_.set_cycle(0);
  }
  remove_devices();
  if (perf_->open_events() != 0)
    return fmt::format("{} of vCPU {}'s events are open without it", perf_->open_events(), number_);
  return {};
}

Difference LbrGuest::restore(const State& state) {
  if (auto restored = pmu_->restore(state.pmu); !restored)
    return "PMU not restored: " + restored.error().message;
  if (auto restored = lbr_->restore(state.lbr); !restored)
    return "LBRs not restored: " + restored.error().message;
  reference_pmu_.moved();
  if (has_event() != state.lbr.has_event) return "an event came or went with migration";
  opened_ = perf_->opened_lbr_events();
  return {};
}

void LbrGuest::scheduled_in(unsigned cpu) {
  cpu_ = cpu;
  pmu_->scheduled_in();
  reference_pmu_.scheduled_in();
  lbr_->scheduled_in();
  new_slice_ = true;
}

Difference LbrGuest::reset() {
  lbr_->reset();
  pmu_->reset();
  reference_pmu_.reset();
  own_.reset();
  own_.set_cycle(0);
  new_slice_ = used_ = refused_ = lost_ = false;
  switched_on_ = false;
  idle_slices_ = idle_slices_at_most_ = 0;
  if (has_event() || perf_->open_lbr_events() != 0) return "an event is open behind RESET";
  if (lbr_->passed_through() || lbr_->recording() || lbr_->msr_bitmap() != closed_bitmap_)
    return "registers are passed through behind RESET";
  return {};
}

Difference LbrGuest::restore_damaged(std::uint32_t field, std::uint64_t by) {
  if (!offered()) return {};
  VirtualLbrState state = lbr_->save();
  change(state, field, by);
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  const std::array vcpus = {hostperf::ModelledVcpu{&totals, &deadlines}};
  hostperf::ModelledHostPerf modelled{*setup_.silicon, vcpus};
  CountingHostPerf perf{modelled};
  CountingSink sink;
  Pmu pmu{setup_.config, perf, hostperf::VcpuIndex{0}, sink};
  Lbr lbr{pmu, perf, hostperf::VcpuIndex{0}};
  const VirtualLbrState fresh = lbr.save();
  const bool restored = lbr.restore(state).has_value();
  if (!restored)
    return lbr.save() == fresh ? Difference{} : "a refused state has changed something";
  if (lbr.save().registers != state.registers) return "other registers than were restored";
  if (lbr.save().has_event != state.has_event) return "an event came or went";
  lbr.before_entry();
  const bool active =
      lbr.event() != hostperf::kNoEvent && perf.state(lbr.event()) == EventState::kActive;
  if (lbr.passed_through() != active) return "the bitmap is not what the event's state says";
  lbr.reset();
  return perf.open_events() == 0 ? Difference{} : "an event is open behind RESET";
}

// ---- What there is ------------------------------------------------------------------------------

bool LbrGuest::offered() {
  constexpr std::uint64_t kFormat = 0x3f;
  return setup_.offered && (reference_pmu_.read_msr(0x345, Initiator::kHost).value & kFormat) != 0;
}

bool LbrGuest::exists(std::uint32_t msr) {
  return offered() && own_.read(msr).has_value();
}

bool LbrGuest::wants_to_record() {
  if (!offered()) return false;
  if (setup_.silicon->lbr.architectural()) return (own_.read(0x14ce).value_or(0) & 1) != 0;
  return (reference_pmu_.debug_control() & 1) != 0;
}

bool LbrGuest::has_event() const {
  return lbr_->event() != hostperf::kNoEvent;
}

bool LbrGuest::event_is_active() const {
  return has_event() && perf_->state(lbr_->event()) == EventState::kActive;
}

LbrStack* LbrGuest::unit() const {
  return modelled_->lbr_unit(HostCpu{static_cast<std::int32_t>(*cpu_)});
}

bool LbrGuest::host_records() const {
  return modelled_->records_for_host(HostCpu{static_cast<std::int32_t>(*cpu_)});
}

void LbrGuest::Source::record_into(LbrStack* unit) {
  // A unit that another vCPU recorded into meanwhile has another source.
  if (unit_ != nullptr && unit_ != unit && unit_->source() == this) unit_->set_source(nullptr);
  unit_ = unit;
  if (unit_ != nullptr && unit_->source() != this) unit_->set_source(this);
}

void LbrGuest::Source::hand_over_branches() {
  for (const TakenBranch& branch : std::exchange(held_, {})) unit_->record(branch);
}

// ---- Accesses -----------------------------------------------------------------------------------

Difference LbrGuest::read(std::uint32_t msr) {
  return access(msr, nullptr);
}

Difference LbrGuest::write(std::uint32_t msr, std::uint64_t value) {
  value = without_host_mark(value);
  return access(msr, &value);
}

Difference LbrGuest::access(std::uint32_t msr, const std::uint64_t* value) {
  if (Difference difference = enter()) return difference;
  if (is_of_pmu(msr)) {
    if (Difference difference = access_pmu(msr, value, Initiator::kGuest)) return difference;
    pmu_->before_entry();
    return enter();
  }
  const MsrBitmap& bitmap = lbr_->msr_bitmap();
  const bool exits = value == nullptr ? bitmap.intercepts_read(MsrIndex{msr})
                                      : bitmap.intercepts_write(MsrIndex{msr});
  if (!exits) return access_unit(msr, value);
  if (Difference difference = access_intercepted(msr, value)) return difference;
  return enter();
}

Difference LbrGuest::access_pmu(std::uint32_t msr, const std::uint64_t* value,
                                Initiator initiator) {
  if (value == nullptr)
    return compare(fmt::format("rdmsr {:#x}", msr), pmu_->read_msr(MsrIndex{msr}, initiator),
                   reference_pmu_.read_msr(msr, initiator));
  return compare(fmt::format("wrmsr {:#x} = {:#x}", msr, *value),
                 pmu_->write_msr(MsrIndex{msr}, *value, initiator),
                 reference_pmu_.write_msr(msr, *value, initiator));
}

/// On the guest's own history.
Access LbrGuest::own(std::uint32_t msr, const std::uint64_t* value) {
  if (value != nullptr) return own_.write(msr, *value) ? Access::done() : Access::fault();
  const auto read = own_.read(msr);
  return read ? Access::done(*read) : Access::fault();
}

Difference LbrGuest::access_unit(std::uint32_t msr, const std::uint64_t* value) {
  if (!own_.has(msr)) return fmt::format("MSR {:#x} is passed through", msr);
  Access access = Access::fault();
  if (value == nullptr) {
    if (const auto read = unit()->read(MsrIndex{msr})) access = Access::done(*read);
  } else if (unit()->write(MsrIndex{msr}, *value)) {
    access = Access::done();
  }
  return compare(describe_access(msr, value, "passed through"), access, own(msr, value));
}

Difference LbrGuest::access_intercepted(std::uint32_t msr, const std::uint64_t* value) {
  const bool mine = exists(msr);
  const Access access = value == nullptr
                            ? lbr_->read_msr(MsrIndex{msr}, Initiator::kGuest)
                            : lbr_->write_msr(MsrIndex{msr}, *value, Initiator::kGuest);
  note_refusals();
  if (!mine) return compare(describe_access(msr, value, "not there"), access, Access::not_mine());
  used_ = true;
  ++(value == nullptr ? expected_.intercepted_reads : expected_.intercepted_writes);
  if (!has_event() && !refused_) return "an access has made no event";
  if (event_is_active())
    return compare(describe_access(msr, value, "intercepted"), access, own(msr, value));
  ++expected_.dummy_accesses;
  return compare(describe_access(msr, value, "lost"), access, Access::done(0));
}

Difference LbrGuest::host_read(std::uint32_t msr) {
  return host_access(msr, nullptr);
}

Difference LbrGuest::host_write(std::uint32_t msr, std::uint64_t value) {
  value = without_host_mark(value);
  return host_access(msr, &value);
}

Difference LbrGuest::host_access(std::uint32_t msr, const std::uint64_t* value) {
  if (is_of_pmu(msr)) return access_pmu(msr, value, Initiator::kHost);
  const bool had_event = has_event();
  const Access expected = exists(msr) ? own(msr, value) : Access::not_mine();
  const Access access = value == nullptr ? lbr_->read_msr(MsrIndex{msr}, Initiator::kHost)
                                         : lbr_->write_msr(MsrIndex{msr}, *value, Initiator::kHost);
  if (has_event() != had_event) return "an event came or went with an access of the host";
  return compare(describe_access(msr, value, "by the host"), access, expected);
}

// ---- Running ------------------------------------------------------------------------------------

Difference LbrGuest::retire(std::uint32_t drawn, std::uint32_t place) {
  if (Difference difference = enter()) return difference;
  cycles_ += cycles_before(drawn);
  totals_.add(RawEvent::kCycles, Privilege::kUser, cycles_before(drawn));
  const TakenBranch branch =
      branch_of(drawn, static_cast<std::uint8_t>(kFirstGuestMark + number_), place, cycles_);
  if (lbr_->recording() && host_records()) return "both the guest and the host record";
  if (!source_.records()) return {};
  source_.hold(branch);
  if (!lbr_->recording()) {
    host_->recorded(*cpu_, number_, branch);
    return {};
  }
  const std::uint64_t recorded_until = own_.state().cycle;
  own_.retire(branch);
  used_ = used_ || own_.state().cycle != recorded_until;
  return {};
}

Difference LbrGuest::overflow() {
  if (setup_.config.version == 0) return {};
  constexpr std::uint32_t kSelect = 0x186, kCounter = 0xc1, kGlobalControl = 0x38f;
  // Instructions at all privileges, INT and EN, one before the overflow.
  const std::pair<std::uint32_t, std::uint64_t> program[] = {
      {kSelect, 0x5300c0}, {kCounter, ~std::uint64_t{0}}, {kGlobalControl, 1}};
  for (const auto& [msr, value] : program) {
    if (msr == kGlobalControl && setup_.config.version < 2) continue;
    if (Difference difference = access_pmu(msr, &value, Initiator::kHost)) return difference;
  }
  if (Difference difference = enter()) return difference;
  // Not if an exclusive event of the host's has all counters.
  if (pmu_->status(virt::x86::gp_counter(0)) == virt::x86::CounterStatus::kCounting) {
    Counts counts{};
    counts[static_cast<std::size_t>(RawEvent::kInstructions)] = 1;
    totals_.add(RawEvent::kInstructions, Privilege::kKernel, 1);
    deadlines_.fire_due();
    reference_pmu_.retire(Privilege::kKernel, counts);
    if (Difference difference = enter()) return difference;
  }
  const std::uint64_t off = 0;
  if (Difference difference = access_pmu(kSelect, &off, Initiator::kHost)) return difference;
  return enter();
}

// ---- Entry --------------------------------------------------------------------------------------

Difference LbrGuest::enter_pmu() {
  if (pmu_->has_entry_work()) pmu_->before_entry();
  if (reference_pmu_.enter()) ++pmis_;
  if (sink_.raised != pmis_) return fmt::format("{} PMIs, expected {}", sink_.raised, pmis_);
  if (pmu_->debug_control() != reference_pmu_.debug_control())
    return fmt::format("IA32_DEBUGCTL {:#x}, expected {:#x}", pmu_->debug_control(),
                       reference_pmu_.debug_control());
  if (pmu_->global_status() != reference_pmu_.global_status())
    return fmt::format("IA32_PERF_GLOBAL_STATUS {:#x}, expected {:#x}", pmu_->global_status(),
                       reference_pmu_.global_status());
  return {};
}

Difference LbrGuest::enter() {
  if (Difference difference = enter_pmu()) return difference;
  note_loss();
  due_ = Due::kNothing;
  const bool new_slice = std::exchange(new_slice_, false);
  if (new_slice) begin_time_slice();
  lbr_->before_entry();
  note_refusals();
  host_->follow();
  source_.record_into(lbr_->recording() || host_records() ? unit() : nullptr);
  if (new_slice) {
    settle();
    if (Difference difference = check_time_slice()) return difference;
    end_time_slice();
  }
  note_loss();
  // Switched by IA32_DEBUGCTL, it exits.
  switched_on_ = switched_on_ || wants_to_record();
  used_ = used_ || (wants_to_record() && !setup_.silicon->lbr.architectural());
  return check_entry();
}

/// What a time slice that has passed means for the event: it goes once two in a row were without
/// use.
void LbrGuest::begin_time_slice() {
  const bool used = std::exchange(used_, false) || wants_to_record();
  const bool perhaps = std::exchange(switched_on_, false) || used;
  refused_ = false;
  if (!has_event()) return;
  idle_slices_ = perhaps ? 0 : idle_slices_ + 1;
  idle_slices_at_most_ = used ? 0 : idle_slices_at_most_ + 1;
  due_ = idle_slices_ >= Lbr::kIdleSlices           ? Due::kRelease
         : idle_slices_at_most_ >= Lbr::kIdleSlices ? Due::kEither
                                                    : Due::kKeep;
}

/// What has become of the event.
void LbrGuest::end_time_slice() {
  if (due_ == Due::kNothing || due_ == Due::kKeep) return;
  if (has_event()) {
    idle_slices_at_most_ = Lbr::kIdleSlices - 1;
    return;
  }
  ++expected_.events_released;
  idle_slices_ = idle_slices_at_most_ = 0;
  lost_ = false;
}

Difference LbrGuest::check_time_slice() const {
  if (due_ == Due::kNothing) return {};
  if (due_ == Due::kRelease && has_event()) return "an event that nobody uses is kept";
  if (due_ == Due::kKeep && !has_event()) return "an event is gone that is in use";
  if (has_event() && !event_is_active() && !host_->claims(*cpu_))
    return "a lost event is not tried again";
  return {};
}

void LbrGuest::note_loss() {
  const bool lost = has_event() && !event_is_active();
  if (lost && !lost_) ++expected_.reclaims;
  if (!lost && lost_ && has_event()) ++expected_.regains;
  lost_ = lost;
}

void LbrGuest::note_refusals() {
  const std::uint64_t opened = perf_->opened_lbr_events() - opened_;
  const std::uint64_t refused = perf_->refused_lbr_events() - refusals_;
  opened_ += opened;
  refusals_ += refused;
  expected_.events_created += opened;
  expected_.creation_failures += refused;
  refused_ = refused_ || refused != 0;
  if (opened != 0) idle_slices_ = idle_slices_at_most_ = 0;
}

Difference LbrGuest::check_entry() {
  if (lbr_->offered() != offered()) return offered() ? "not offered" : "offered";
  const bool active = event_is_active();
  if (active && perf_->cpu(lbr_->event()) != HostCpu{static_cast<std::int32_t>(*cpu_)})
    return "the event is active on another CPU";
  if (active) ++expected_.entries_passed_through;
  // No sequence has as many time slices as warnings start anew after.
  const bool missed = offered() && !active && (has_event() || used_ || switched_on_);
  if (missed)
    ++(expected_.warnings < Lbr::kWarnings ? expected_.warnings : expected_.warnings_suppressed);
  if (lbr_->passed_through() != active)
    return active ? "active and not passed through" : "passed through and not active";
  if (lbr_->msr_bitmap() != (active ? open_bitmap_ : closed_bitmap_))
    return "the bitmap is not what the event's state says";
  if (!offered() && has_event()) return "an event for a guest without LBRs";
  if (wants_to_record() && !has_event() && !refused_) return "no event, and the guest records";
  const bool legacy_off =
      !setup_.silicon->lbr.architectural() && (reference_pmu_.debug_control() & 1) == 0;
  const bool recording =
      active && !legacy_off && (reference_pmu_.global_status() & kLbrFrozen) == 0;
  if (lbr_->recording() != recording) return recording ? "does not record" : "records";
  return {};
}

// ---- Comparing ----------------------------------------------------------------------------------

void LbrGuest::settle() {
  if (!offered() || !own_.call_stack_mode()) return;
  const LbrState rest = without_rest_of_call_stack(own_, setup_.silicon->lbr.architectural());
  if (lbr_->save().registers == rest) own_.set_state(rest);
}

Difference LbrGuest::compare_all() {
  if (Difference difference = compare_registers()) return difference;
  if (Difference difference = compare_statistics()) return difference;
  for (const std::uint32_t msr : {0x1d9u, 0x345u, 0x38eu}) {
    if (Difference difference = access_pmu(msr, nullptr, Initiator::kHost)) return difference;
  }
  if (perf_->open_lbr_events() != (has_event() ? 1 : 0))
    return fmt::format("{} events of vCPU {}", perf_->open_lbr_events(), number_);
  return {};
}

Difference LbrGuest::compare_registers() {
  for (const std::uint32_t msr : registers_) {
    if (Difference difference = host_access(msr, nullptr)) return difference;
    if (!exists(msr)) continue;
    if (mark_of(own_.read(msr).value_or(0)) == kHostMark)
      return fmt::format("MSR {:#x} of vCPU {} has an address of the host's", msr, number_);
  }
  const VirtualLbrState state = lbr_->save();
  if (state.has_event != has_event())
    return "the saved state does not say whether there is an event";
  if (!offered()) return {};
  if (state.registers != own_.state()) return "the saved registers are not those that can be read";
  if (event_is_active() && cpu_ && unit()->save() != own_.state())
    return "the unit does not hold what is the guest's";
  return {};
}

Difference LbrGuest::compare_statistics() const {
  const virt::x86::LbrStatistics& got = lbr_->statistics();
  const struct {
    const char* name;
    std::uint64_t got, expected;
  } rows[] = {
      {"entries passed through", got.entries_passed_through, expected_.entries_passed_through},
      {"intercepted reads", got.intercepted_reads, expected_.intercepted_reads},
      {"intercepted writes", got.intercepted_writes, expected_.intercepted_writes},
      {"dummy accesses", got.dummy_accesses, expected_.dummy_accesses},
      {"events created", got.events_created, expected_.events_created},
      {"creation failures", got.creation_failures, expected_.creation_failures},
      {"events released", got.events_released, expected_.events_released},
      {"reclaims", got.reclaims, expected_.reclaims},
      {"regains", got.regains, expected_.regains},
      {"warnings", got.warnings, expected_.warnings},
      {"calls of the observer", observer_.calls, expected_.warnings},
      {"warnings suppressed", got.warnings_suppressed, expected_.warnings_suppressed},
  };
  for (const auto& row : rows) {
    if (row.got != row.expected)
      return fmt::format("statistics of vCPU {}: {} {}, expected {}", number_, row.got, row.name,
                         row.expected);
  }
  return {};
}

}  // namespace vpmu::property
