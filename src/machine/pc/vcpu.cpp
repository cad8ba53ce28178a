// SPDX-License-Identifier: MIT
#include "machine/pc/vcpu.hpp"

#include <cassert>
#include <utility>

#include "machine/cannot_hold.hpp"
#include "machine/pc/guest_stack.hpp"
#include "machine/pc/lvtpc.hpp"

namespace vpmu::machine {

using virt::ExitReason;

namespace {
LocalApic::Config apic_config(const Vcpu::Config& config) {
  LocalApic::Config apic;
  apic.id = config.topology.apic_id;
  apic.bootstrap = config.topology.apic_id == 0;
  apic.timer_hz = config.model->crystal_hz;
  return apic;
}

bool is_x2apic_register(MsrIndex msr) {
  return raw(msr) >= apic::kMsrX2ApicFirst && raw(msr) <= apic::kMsrX2ApicLast;
}
}  // namespace

Vcpu::Vcpu(const Config& config, Board& board)
    : config_{config},
      board_{board},
      memory_model_{config.model->memory, board.last_level_cache, totals_},
      plain_msrs_{config.model->vendor, config.model->hz},
      cpu_{board.memory,
           *this,
           board.code_pages,
           totals_,
           deadlines_,
           {.slots_per_cycle = config.model->slots_per_cycle,
            .identity = x86::identity_of(*config.model),
            .conditions = &conditions_,
            .memory = &memory_model_}},
      counter_log_{board.clock, config.topology.apic_id, config.filters},
      apic_{apic_config(config), board.clock, board.apic_bus, *this,
            config.topology.apic_id == 0 ? &board.pic : nullptr} {
  if (apic_.is_bootstrap()) board.router.connect_lint0(&apic_);
}

void Vcpu::attach_pmu(const virt::x86::PmuConfig& config, hostperf::ModelledHostPerf& perf) {
  assert(!pmu_);
  const auto vcpu = static_cast<hostperf::VcpuIndex>(index());
  virt::x86::PmiSink& sink = *this;
  perf_ = &perf;
  pmu_.emplace(config, perf, vcpu, sink);
  pmu_->set_observer(&counter_log_);
  lbr_.emplace(*pmu_, perf, vcpu);
  lbr_->set_observer(config_.lbr_observer);
  cpu_.reset();
  if (!apic_.is_bootstrap()) cpu_.init();
}

void Vcpu::attach_pv_perf(const virt::x86::PvPerfConfig& config, virt::x86::PvPerfAreas& areas,
                          const silicon::x86::CpuModel& host,
                          const virt::x86::EventGate* raw_events) {
  assert(pmu_ && !pv_perf_);
  pv_perf_.emplace(config, VcpuPvPerf::Around{.board = &board_,
                                              .cpu = &cpu_,
                                              .apic = &apic_,
                                              .perf = perf_,
                                              .areas = &areas,
                                              .host = &host,
                                              .guest_vendor = config_.model->vendor,
                                              .guest_has_pmu = pmu_->config().version != 0,
                                              .vcpu = index(),
                                              .raw_events = raw_events,
                                              .filters = config_.filters});
}

void Vcpu::attach_filter(virt::x86::EventFilterSlot& slot) {
  slot.attach(*pmu_);
  if (pv_perf_) pv_perf_->attach(slot);
}

void Vcpu::note_denied() const {
  counter_log_.note_denied();
  if (pv_perf_) pv_perf_->log().note_denied();
}

void Vcpu::detach_pmu() {
  cpu_.record_branches(nullptr);
  pv_perf_.reset();
  lbr_.reset();
  pmu_.reset();
}

void Vcpu::scheduled_in(hostperf::HostCpu cpu) {
  host_cpu_ = cpu;
  pmu_->scheduled_in();
  lbr_->scheduled_in();
  if (pv_perf_) pv_perf_->turn_begins();
}

void Vcpu::scheduled_out() {
  if (pv_perf_) pv_perf_->scheduled_out();
}

/// What the PMU and PV perf have put off until the guest goes on: before a run, and right behind an
/// overflow.
void Vcpu::enter_pmu() {
  if (pmu_->has_entry_work()) pmu_->before_entry();
  if (pv_perf_ && pv_perf_->enter()) after_device_access();
}

/// The guest goes on, behind an exit or behind a pause.
void Vcpu::enter(bool resumes) {
  enter_pmu();
  if (resumes) {
    lbr_->resume();
  } else {
    lbr_->before_entry();
  }
  // The guest's event may just have taken the unit from the host's, or given it back.
  const bool recorded = lbr_->recording() || perf_->records_for_host(host_cpu_);
  cpu_.record_branches(recorded ? lbr_unit() : nullptr);
}

class Vcpu::Exit {
 public:
  Exit(Vcpu& vcpu, ExitReason reason) : vcpu_{vcpu} { vcpu_.record(reason); }
  ~Exit() { vcpu_.enter(false); }
  Exit(const Exit&) = delete;
  Exit& operator=(const Exit&) = delete;

 private:
  const virt::PhaseScope phase_{virt::Phase::kEmulating};
  Vcpu& vcpu_;
};

bool Vcpu::runnable() {
  enter_pmu();
  return cpu_.runnable();
}

x86::Cpu::Exit Vcpu::run_cpu(std::uint64_t instructions, std::uint64_t until) {
  const virt::RunningVcpu running{*this};
  const virt::PhaseScope guest{virt::Phase::kInGuest};
  return cpu_.run(instructions, until);
}

CpuExit Vcpu::run(std::uint64_t instructions, std::uint64_t until, bool resumes) {
  enter(resumes);
  time_.begin(until);
  if (pv_perf_) time_.look_at_timers();  // entering may have armed one
  const x86::Cpu::Exit exit = run_cpu(instructions, until);
  time_.end();
  if (exit == x86::Cpu::Exit::kHalted) record(ExitReason::kHlt);
  if (exit == x86::Cpu::Exit::kShutdown) record(ExitReason::kException);
  apply_signals();
  const bool sleeps = exit == x86::Cpu::Exit::kHalted || exit == x86::Cpu::Exit::kWaiting;
  if (pv_perf_ && sleeps) pv_perf_->sleeps();
  return exit;
}

// ---- Seen from outside --------------------------------------------------------------------------

ObservedVcpu::Place Vcpu::last_retired() const {
  const x86::CodePlace place = cpu_.last_retired().place;
  return {place.linear, place.user};
}

std::size_t Vcpu::call_chain(std::span<std::uint64_t> chain) const {
  return machine::call_chain(cpu_, chain);
}

std::size_t Vcpu::call_chain_of_last(std::span<std::uint64_t> chain) const {
  return machine::call_chain(cpu_, cpu_.last_retired(), chain);
}

// ---- Accesses -----------------------------------------------------------------------------------

x86::CpuidResult Vcpu::cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  const Exit exit{*this, ExitReason::kCpuid};
  silicon::x86::CpuidResult result =
      silicon::x86::cpuid(*config_.model, config_.topology, leaf, subleaf);
  pmu_->adjust_cpuid(leaf, result);
  if (pv_perf_) pv_perf_->adjust_cpuid(leaf, result);
  constexpr std::uint32_t kApic = 1u << 9;
  if (leaf == 1 && !apic_.enabled()) result.edx &= ~kApic;
  return result;
}

Access Vcpu::dispatch_read_msr(MsrIndex msr) {
  if (pv_perf_ && pv_perf_->has(msr)) return pv_perf_->read_msr(msr);
  if (const Access access = apic_.read_msr(msr); !access.is_not_mine()) return access;
  if (const Access access = pmu_->read_msr(msr, Initiator::kGuest); !access.is_not_mine()) {
    if (access.is_done()) pmu_->before_entry();
    return access;
  }
  if (const Access access = lbr_->read_msr(msr, Initiator::kGuest); !access.is_not_mine()) {
    return access;
  }
  return plain_msrs_.read(msr);
}

Access Vcpu::dispatch_write_msr(MsrIndex msr, std::uint64_t value) {
  if (pv_perf_ && pv_perf_->has(msr)) {
    const Access access = pv_perf_->write_msr(msr, value);
    after_device_access();
    return access;
  }
  if (const Access access = apic_.write_msr(msr, value); !access.is_not_mine()) {
    after_device_access();
    return access;
  }
  if (const Access access = pmu_->write_msr(msr, value, Initiator::kGuest); !access.is_not_mine()) {
    // Now, not before the next instruction: the write that starts a counter is itself counted, by
    // the interpreter, which retires it. So Pmu::instruction_emulated() is never called here: it is
    // for hypervisors that complete instructions which their hardware did not retire.
    if (access.is_done()) pmu_->before_entry();
    return access;
  }
  if (const Access access = lbr_->write_msr(msr, value, Initiator::kGuest); !access.is_not_mine()) {
    return access;
  }
  return plain_msrs_.write(msr, value);
}

Access Vcpu::traced_read(MsrIndex msr, Access access) {
  if (config_.trace != nullptr) config_.trace->msr_read(where(), msr, access);
  return access;
}

Access Vcpu::traced_write(MsrIndex msr, std::uint64_t value, Access access) {
  if (config_.trace != nullptr) config_.trace->msr_write(where(), msr, value, access);
  return access;
}

/// A register of the last branch records, passed through: as the host CPU does it.
Access Vcpu::read_directly(MsrIndex msr) {
  ++direct_lbr_.reads;
  const auto value = lbr_unit()->read(msr);
  return value ? Access::done(*value) : Access::fault();
}

Access Vcpu::write_directly(MsrIndex msr, std::uint64_t value) {
  ++direct_lbr_.writes;
  return lbr_unit()->write(msr, value) ? Access::done() : Access::fault();
}

Access Vcpu::read_msr(MsrIndex msr) {
  if (config_.pass_lbr_through && !lbr_->msr_bitmap().intercepts_read(msr))
    return traced_read(msr, read_directly(msr));
  const Exit exit{*this, is_x2apic_register(msr) ? ExitReason::kApicAccess : ExitReason::kMsrRead};
  return traced_read(msr, dispatch_read_msr(msr));
}

Access Vcpu::write_msr(MsrIndex msr, std::uint64_t value) {
  if (config_.pass_lbr_through && !lbr_->msr_bitmap().intercepts_write(msr))
    return traced_write(msr, value, write_directly(msr, value));
  const Exit exit{*this, is_x2apic_register(msr) ? ExitReason::kApicAccess : ExitReason::kMsrWrite};
  return traced_write(msr, value, dispatch_write_msr(msr, value));
}

Access Vcpu::rdpmc(std::uint32_t index, bool may_read) {
  const Exit exit{*this, ExitReason::kRdpmc};
  if (pv_perf_) {
    if (const Access access = pv_perf_->rdpmc(index, may_read); !access.is_not_mine()) {
      return access;
    }
  }
  return pmu_->rdpmc(index, may_read);
}

void Vcpu::control_register_write() {
  const Exit exit{*this, ExitReason::kCrAccess};
}

void Vcpu::debug_register_access() {
  const Exit exit{*this, ExitReason::kDrAccess};
}

std::uint32_t Vcpu::read_port(std::uint16_t port, unsigned bytes) {
  const Exit exit{*this, ExitReason::kPortIo};
  const std::uint32_t value = board_.bus.read_port(port, bytes);
  after_device_access();
  return value;
}

void Vcpu::write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) {
  const Exit exit{*this, ExitReason::kPortIo};
  board_.bus.write_port(port, bytes, value);
  after_device_access();
}

std::uint64_t Vcpu::read_mmio(std::uint64_t address, unsigned bytes) {
  const bool to_apic = apic_.decodes(address);
  const Exit exit{*this, to_apic ? ExitReason::kApicAccess : ExitReason::kMmio};
  if (to_apic) return apic_.read_mmio(address & 0xfff, bytes);
  const std::uint64_t value = board_.bus.read_mmio(address, bytes);
  after_device_access();
  return value;
}

void Vcpu::write_mmio(std::uint64_t address, unsigned bytes, std::uint64_t value) {
  const bool to_apic = apic_.decodes(address);
  const Exit exit{*this, to_apic ? ExitReason::kApicAccess : ExitReason::kMmio};
  if (to_apic) {
    apic_.write_mmio(address & 0xfff, bytes, value);
  } else {
    board_.bus.write_mmio(address, bytes, value);
  }
  after_device_access();
}

// Hypercalls are as KVM has them, with its numbers for errors.
std::int64_t Vcpu::dispatch_hypercall(const x86::Hypercall& call) {
  constexpr std::int64_t kPermission = -1;
  constexpr std::int64_t kNoSuchHypercall = -1000;
  if (pv_perf_) {
    const Access access = pv_perf_->hypercall({.number = call.number,
                                               .arguments = call.arguments,
                                               .long_mode = call.code64,
                                               .user = call.user});
    after_device_access();
    if (access.is_done()) return static_cast<std::int64_t>(access.value());
  }
  if (call.user) return kPermission;
  return kNoSuchHypercall;
}

Access Vcpu::hypercall(const x86::Hypercall& call) {
  // The other vendor's instruction does not exist on this CPU, so nobody leaves the guest for it.
  const auto own = config_.model->vendor == silicon::x86::Vendor::kIntel
                       ? x86::Hypercall::Instruction::kVmcall
                       : x86::Hypercall::Instruction::kVmmcall;
  if (call.instruction != own) return Access::not_mine();

  const Exit exit{*this, ExitReason::kHypercall};
  const std::uint64_t width = call.code64 ? ~std::uint64_t{0} : ~std::uint32_t{0};
  x86::Hypercall cut = call;
  cut.number &= width;
  for (std::uint64_t& argument : cut.arguments) argument &= width;
  return Access::done(static_cast<std::uint64_t>(dispatch_hypercall(cut)) & width);
}

bool Vcpu::interrupt_waiting() {
  return apic_.interrupt_waiting();
}

std::uint8_t Vcpu::acknowledge_interrupt() {
  const std::uint8_t vector = apic_.acknowledge();
  if (pv_perf_ && pv_perf_->interrupted()) after_device_access();
  if (config_.trace != nullptr) config_.trace->interrupt(where(), vector);
  return vector;
}

void Vcpu::nmi_taken() {
  if (pv_perf_ && pv_perf_->interrupted()) after_device_access();
}

void Vcpu::set_task_priority(std::uint8_t priority_class) {
  apic_.set_task_priority(priority_class);
}

void Vcpu::record(ExitReason reason) {
  exits_.record(reason);
  if (pv_perf_) pv_perf_->exited();
  if (config_.trace != nullptr) config_.trace->exit(where(), reason);
}

TraceSink::Where Vcpu::where() {
  return {index(), now(), cpu_.core().rip};
}

// ---- State --------------------------------------------------------------------------------------

VcpuState Vcpu::save() {
  VcpuState state{.retired = totals_.save(),
                  .exits = exits_.save(),
                  .cpu = cpu_.save(),
                  .apic = apic_.save(),
                  .plain_msrs = plain_msrs_.save(),
                  .pmu = pmu_->save(),
                  .counter_log = counter_log_.save(),
                  .conditions = conditions_.save(),
                  .lbr = {},
                  .direct_lbr = direct_lbr_,
                  .pv_perf = {}};
  if (pv_perf_) state.pv_perf = pv_perf_->save();
  // What looks at the records looks later, there and here.
  cpu_.hold_branches(true);
  state.lbr = lbr_->save();
  cpu_.hold_branches(false);
  return state;
}

Result<void> Vcpu::restore(const VcpuState& state) {
  // First: everything else is as of these totals.
  totals_.restore(state.retired);
  exits_.restore(state.exits);
  if (auto cpu = in_part("CPU", cpu_.restore(state.cpu)); !cpu) return cpu;
  if (auto apic = in_part("local APIC", apic_.restore(state.apic)); !apic) return apic;
  if (auto msrs = in_part("MSRs", plain_msrs_.restore(state.plain_msrs)); !msrs) return msrs;
  if (auto pmu = pmu_->restore(state.pmu); !pmu) return pmu;
  if (auto lbr = lbr_->restore(state.lbr); !lbr) return lbr;
  if (state.pv_perf.has_value() != pv_perf_.has_value()) {
    return cannot_hold("PV perf", state.pv_perf.has_value() ? 1 : 0);
  }
  if (pv_perf_) {
    if (auto pv = in_part("PV perf", pv_perf_->restore(*state.pv_perf)); !pv) return pv;
  }
  direct_lbr_ = state.direct_lbr;
  return counter_log_.restore(state.counter_log);  // which restoring the PMU has written to
}

Result<void> Vcpu::restore_conditions(const silicon::CycleConditions::State& saved) {
  if (saved.taken == 0) return {};
  // Now, not at the next entry: counters find a condition again by what it is.
  enter_pmu();
  silicon::CycleConditions::State now = conditions_.save();
  for (std::size_t n = 0; n < now.slots.size(); ++n) {
    if ((now.taken >> n & 1) == 0) continue;
    for (std::size_t from = 0; from < saved.slots.size(); ++from) {
      if ((saved.taken >> from & 1) != 0 && saved.slots[from].condition == now.slots[n].condition) {
        now.slots[n].was_true = saved.slots[from].was_true;
      }
    }
  }
  return conditions_.restore(now);
}

// ---- Signals ------------------------------------------------------------------------------------

void Vcpu::nmi() {
  if (config_.trace != nullptr) config_.trace->nmi(where());
  cpu_.raise_nmi();
  if (pv_perf_) pv_perf_->may_wake();
}

/// Looked for at every boundary and at every turn.
void Vcpu::wake() {
  if (pv_perf_) pv_perf_->may_wake();
}

void Vcpu::init() {
  record(ExitReason::kInit);
  init_pending_ = true;
  sipi_pending_.reset();
  if (time_.running()) {
    cpu_.request_exit();
  } else {
    apply_signals();
  }
}

void Vcpu::sipi(std::uint8_t vector) {
  record(ExitReason::kSipi);
  sipi_pending_ = vector;
  if (time_.running()) {
    cpu_.request_exit();
  } else {
    apply_signals();
  }
}

void Vcpu::apply_signals() {
  if (std::exchange(init_pending_, false)) {
    cpu_.init();
    // The bootstrap CPU starts over at the reset vector; the others wait for a SIPI.
    if (apic_.is_bootstrap()) cpu_.core().waiting_for_sipi = false;
  }
  if (sipi_pending_) cpu_.sipi(*sipi_pending_);
  if (pv_perf_ && cpu_.core().waiting_for_sipi) pv_perf_->sleeps();
  sipi_pending_.reset();
}

virt::x86::PmiOutcome Vcpu::raise_pmi(virt::x86::LvtpcAfterPmi after) {
  return deliver_pmi(apic_, after, LocalApic::PmiModes::kAll);
}

}  // namespace vpmu::machine
