// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/lbr.hpp"

#include <string>

#include "vpmu/base/ensure.hpp"
#include "vpmu/silicon/x86/lbr_registers.hpp"
#include "vpmu/silicon/x86/msrs.hpp"
#include "vpmu/virt/x86/lbr_offer.hpp"

namespace vpmu::virt::x86 {

using hostperf::EventState;
using silicon::x86::DebugCtl;
using silicon::x86::GlobalStatus;
using silicon::x86::LbrCtl;
using silicon::x86::LbrModel;
using silicon::x86::LbrStack;
using silicon::x86::LbrState;
namespace msr = silicon::x86::msr;

namespace {

LbrModel model_of(hostperf::HostPerf& perf) {
  const hostperf::LbrHost* lbr = perf.lbr();
  return lbr == nullptr ? LbrModel{} : lbr->lbr_model();
}

LbrState after_reset(const LbrModel& model) {
  return model.exists() ? LbrStack{model}.save() : LbrState{};
}

constexpr hostperf::EventAttr kAttr{.config = hostperf::kGuestLbrEvent,
                                    .pinned = true,
                                    .exclude_host = true,
                                    .branch_type = hostperf::kGuestLbrBranchType};

/// The registers that the guest gets, all of them.
template <class Visit>
void for_each_register(const LbrModel& model, Visit visit) {
  visit(filter_register(model));
  visit(model.architectural() ? msr::IA32_LBR_DEPTH : msr::MSR_LASTBRANCH_TOS);
  for (unsigned i = 0; i < model.depth; ++i) {
    visit(static_cast<MsrIndex>(raw(model.from) + i));
    visit(static_cast<MsrIndex>(raw(model.to) + i));
    if (model.has_info()) visit(static_cast<MsrIndex>(raw(model.info) + i));
  }
}

}  // namespace

Lbr::Lbr(Pmu& pmu, hostperf::HostPerf& perf, hostperf::VcpuIndex vcpu)
    : pmu_{pmu}, perf_{perf}, vcpu_{vcpu}, model_{model_of(perf)}, kept_{after_reset(model_)} {}

Lbr::~Lbr() {
  if (event_ != hostperf::kNoEvent) perf_.close(event_);
}

// ---- What the registers say ---------------------------------------------------------------------

bool Lbr::offered() const {
  const PmuConfig& config = pmu_.config();
  return lbr_refusal({.host = model_,
                      .vendor = config.vendor,
                      .version = config.version,
                      .pdcm = config.has_perf_capabilities,
                      .format = lbr_format(pmu_.perf_capabilities())}) == LbrRefusal::kNone;
}

/// What IA32_DEBUGCTL says; architectural LBRs are switched by a register of their own.
bool Lbr::switched_on() const {
  return (pmu_.debug_control() & mask_of(DebugCtl::kLbr)) != 0;
}

bool Lbr::wants_to_record() const {
  if (!model_.architectural()) return switched_on();
  return (control(msr::IA32_LBR_CTL) & mask_of(LbrCtl::kEn)) != 0;
}

/// IA32_LBR_CTL or IA32_LBR_DEPTH, without a look at the records, which may cost the CPU something.
std::uint64_t Lbr::control(MsrIndex msr) const {
  if (is_active()) {
    if (const auto access = perf_.lbr()->read_lbr(event_, msr)) return access->value();
  }
  const LbrState state = registers();
  return msr == msr::IA32_LBR_DEPTH ? state.depth : state.select;
}

bool Lbr::exists(MsrIndex msr) const {
  if (!LbrStack::has(model_, msr)) return false;
  if (!model_.architectural()) return true;
  const std::uint64_t depth = control(msr::IA32_LBR_DEPTH);
  for (const MsrIndex first : {model_.from, model_.to, model_.info}) {
    const std::uint32_t i = raw(msr) - raw(first);
    if (i < model_.depth) return i < depth;
  }
  return true;
}

LbrState Lbr::registers() const {
  return event_ == hostperf::kNoEvent ? kept_ : perf_.lbr()->lbr_state(event_);
}

// ---- Accesses -----------------------------------------------------------------------------------

Access Lbr::read_msr(MsrIndex msr, Initiator initiator) {
  if (!offered() || !exists(msr)) return Access::not_mine();
  if (initiator == Initiator::kHost) return access_by_host(msr, nullptr);
  ++statistics_.intercepted_reads;
  touched_ = true;
  look_ = true;
  want_event(false);
  if (event_ != hostperf::kNoEvent) {
    if (const auto access = perf_.lbr()->read_lbr(event_, msr)) return *access;
  }
  ++statistics_.dummy_accesses;
  return Access::done(0);
}

Access Lbr::write_msr(MsrIndex msr, std::uint64_t value, Initiator initiator) {
  if (!offered() || !exists(msr)) return Access::not_mine();
  if (initiator == Initiator::kHost) return access_by_host(msr, &value);
  ++statistics_.intercepted_writes;
  touched_ = true;
  look_ = true;
  want_event(msr == msr::IA32_LBR_CTL && (value & mask_of(LbrCtl::kEn)) != 0);
  if (event_ != hostperf::kNoEvent) {
    if (const auto access = perf_.lbr()->write_lbr(event_, msr, value)) return *access;
  }
  ++statistics_.dummy_accesses;
  return Access::done();
}

/// On the guest's registers wherever they are. Writes `value`, or reads if there is none.
Access Lbr::access_by_host(MsrIndex msr, const std::uint64_t* value) {
  LbrStack stack{model_};
  ensure(stack.restore(registers()).has_value());
  if (value == nullptr) {
    const auto read = stack.read(msr);
    return read ? Access::done(*read) : Access::fault();
  }
  if (!stack.write(msr, *value)) return Access::fault();
  look_ = true;
  if (event_ == hostperf::kNoEvent) {
    kept_ = stack.save();
  } else {
    ensure(perf_.lbr()->set_lbr_state(event_, stack.save()));
  }
  return Access::done();
}

// ---- The event ----------------------------------------------------------------------------------

void Lbr::want_event(bool again) {
  if (event_ != hostperf::kNoEvent || (lost_ && !again)) return;
  lost_ = !open_event();
  if (lost_) {
    ++statistics_.creation_failures;
    return;
  }
  ++statistics_.events_created;
  perf_.enable(event_);
}

/// Off yet: the guest's registers are to be there before it is active.
bool Lbr::open_event() {
  const auto opened = perf_.open(kAttr, hostperf::Target::of(vcpu_), *this);
  if (!opened) return false;
  event_ = *opened;
  ensure(perf_.lbr()->set_lbr_state(event_, kept_));
  return true;
}

void Lbr::close_event() {
  if (event_ == hostperf::kNoEvent) return;
  kept_ = perf_.lbr()->lbr_state(event_);
  perf_.close(event_);
  event_ = hostperf::kNoEvent;
  lost_ = false;
  idle_slices_ = 0;
}

void Lbr::follow_event() {
  if (event_ == hostperf::kNoEvent) return;
  const bool lost = !is_active();
  if (lost == lost_) return;
  lost_ = lost;
  ++(lost ? statistics_.reclaims : statistics_.regains);
}

// ---- Entry --------------------------------------------------------------------------------------

void Lbr::scheduled_in() {
  new_time_slice_ = true;
  look_ = true;
}

void Lbr::decide(bool is_entry) {
  const std::uint64_t controls = this->controls();
  const bool was_on = (entered_with_ & mask_of(DebugCtl::kLbr)) != 0;
  entered_with_ = controls;
  look_ = false;
  if (!offered()) {
    if (event_ != hostperf::kNoEvent) reset();
    return;
  }
  follow_event();
  if (new_time_slice_) begin_time_slice();
  const bool wanted = wants_to_record();
  if (wanted) {
    touched_ = true;
    want_event(switched_on() && !was_on);
  }
  follow_event();
  const bool active = is_active();
  pass_through(active);
  recording_ = active && (model_.architectural() || switched_on()) &&
               (controls & mask_of(GlobalStatus::kLbrFrz)) == 0;
  unwell_ = !active && (event_ != hostperf::kNoEvent || touched_);
  if (!is_entry) return;
  if (active) ++statistics_.entries_passed_through;
  if (unwell_) warn();
}

/// An event that was not used in the last time slices goes; one that was not to be had is tried
/// again.
void Lbr::begin_time_slice() {
  new_time_slice_ = false;
  if (++warning_slices_ == kWarningSlices) {
    warning_slices_ = 0;
    warned_ = 0;
  }
  bool used = true;
  if (!wants_to_record()) {
    // Architectural ones are switched on and off without exits: what was recorded tells. While they
    // are on, nobody needs to look, and the CPU may hold branches back.
    const std::uint64_t recorded_until = registers().cycle;
    used = touched_ || recorded_until != recorded_until_;
    recorded_until_ = recorded_until;
  }
  touched_ = false;
  if (event_ == hostperf::kNoEvent) {
    lost_ = false;
    return;
  }
  idle_slices_ = used ? 0 : static_cast<std::uint8_t>(idle_slices_ + 1);
  if (idle_slices_ >= kIdleSlices) {
    close_event();
    ++statistics_.events_released;
  } else if (lost_) {
    perf_.enable(event_);
  }
}

void Lbr::pass_through(bool through) {
  if (through == passed_through_) return;
  passed_through_ = through;
  for_each_register(model_, [&](MsrIndex msr) { bitmap_.intercept(msr, !through); });
}

void Lbr::warn() {
  if (warned_ == kWarnings) {
    ++statistics_.warnings_suppressed;
    return;
  }
  ++warned_;
  ++statistics_.warnings;
  if (observer_ != nullptr) observer_->lbr_lost(vcpu_);
}

void Lbr::reset() {
  close_event();
  kept_ = after_reset(model_);
  pass_through(false);
  recording_ = false;
  look_ = true;
  unwell_ = false;
  entered_with_ = 0;
  lost_ = false;
  touched_ = false;
  new_time_slice_ = false;
  idle_slices_ = 0;
  recorded_until_ = 0;
}

// ---- What moves with the guest ------------------------------------------------------------------

VirtualLbrState Lbr::save() const {
  if (!offered()) return {.statistics = statistics_};
  VirtualLbrState state{.model = model_,
                        .registers = registers(),
                        .has_event = event_ != hostperf::kNoEvent,
                        .lost = lost_,
                        .touched = touched_,
                        .new_time_slice = new_time_slice_,
                        .was_on = (entered_with_ & mask_of(DebugCtl::kLbr)) != 0,
                        .idle_slices = idle_slices_,
                        .recorded_until = recorded_until_,
                        .warned = warned_,
                        .warning_slices = warning_slices_,
                        .statistics = statistics_};
  // What the next look at the event would note.
  if (event_ == hostperf::kNoEvent || perf_.state(event_) == EventState::kInactive) return state;
  state.lost = !is_active();
  if (state.lost && !lost_) ++state.statistics.reclaims;
  if (!state.lost && lost_) ++state.statistics.regains;
  return state;
}

Result<void> Lbr::restore(const VirtualLbrState& state) {
  if (auto fits = check(state); !fits) return fits;
  reset();
  statistics_ = state.statistics;
  if (!offered()) return {};
  kept_ = state.registers;
  lost_ = state.lost;
  touched_ = state.touched;
  new_time_slice_ = state.new_time_slice;
  recorded_until_ = state.recorded_until;
  entered_with_ = state.was_on ? mask_of(DebugCtl::kLbr) : 0;
  warned_ = state.warned;
  warning_slices_ = state.warning_slices;
  if (!state.has_event) return {};
  if (!open_event()) {
    ++statistics_.creation_failures;
    lost_ = true;
    return {};
  }
  idle_slices_ = state.idle_slices;
  // A lost one waits for the next time slice, as it did.
  if (!lost_) perf_.enable(event_);
  return {};
}

Result<void> Lbr::check(const VirtualLbrState& state) const {
  const LbrModel here = offered() ? model_ : LbrModel{};
  if (!(state.model == here)) {
    const auto text = [](const LbrModel& model) {
      if (!model.exists()) return std::string{"none"};
      return std::to_string(model.depth) + " of format " +
             std::to_string(static_cast<unsigned>(model.format));
    };
    return fail("LBR state: saved with other last branch records (" + text(state.model) +
                ") than this guest has (" + text(here) + "); restore it where they are the same");
  }
  if (!here.exists()) {
    if (state == VirtualLbrState{.statistics = state.statistics}) return {};
    return fail("LBR state: the guest has no last branch records, and the state has some");
  }
  if (state.idle_slices >= kIdleSlices || state.warned > kWarnings ||
      state.warning_slices >= kWarningSlices || (state.idle_slices != 0 && !state.has_event)) {
    return fail("LBR state: counts of time slices or warnings that cannot be");
  }
  return LbrStack{model_}.restore(state.registers);
}

}  // namespace vpmu::virt::x86
