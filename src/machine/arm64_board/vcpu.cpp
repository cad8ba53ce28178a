// SPDX-License-Identifier: MIT
#include "machine/arm64_board/vcpu.hpp"

#include <algorithm>
#include <cassert>

#include "machine/arm64/cpu_stack.hpp"
#include "machine/cannot_hold.hpp"

namespace vpmu::machine::arm64 {

using virt::ExitReason;

namespace {
/// ICC_IAR0_EL1 and ICC_IAR1_EL1, which acknowledge an interrupt, and the first INTID that is none.
constexpr SystemRegister kIccIar0 = silicon::arm64::system_register(3, 0, 12, 8, 0);
constexpr SystemRegister kIccIar1 = silicon::arm64::system_register(3, 0, 12, 12, 0);
constexpr std::uint64_t kSpecialIntids = 1020;

/// What a hypervisor with a GICv3 and its virtual CPU interface has to do with these registers
/// itself: ICC_SGI1R, ICC_ASGI1R and ICC_SGI0R, CNTP_*, and all of the PMU's.
bool intercepted(SystemRegister which) {
  using namespace silicon::arm64;
  const unsigned n = crn(which), m = crm(which);
  const bool sgi = op1(which) == 0 && n == 12 && m == 11 && op2(which) >= 5;
  const bool physical_timer = op1(which) == 3 && n == 14 && m == 2;
  const bool pmu = n == 9 || (op1(which) == 3 && n == 14 && m >= 8);
  return sgi || physical_timer || pmu;
}

/// PMS* and PMB*, which have a column of their own.
bool is_spe(SystemRegister which) {
  return op0(which) == 3 && crn(which) == 9 && (crm(which) == 9 || crm(which) == 10);
}

silicon::Privilege privilege(bool el0) {
  return el0 ? silicon::Privilege::kUser : silicon::Privilege::kKernel;
}
}  // namespace

Vcpu::Vcpu(const Config& config, Board& board)
    : config_{config},
      board_{board},
      memory_model_{config.model->memory, board.last_level_cache, totals_},
      cpu_{board.memory,
           *this,
           board.cluster,
           totals_,
           deadlines_,
           {.model = config.model,
            .index = config.index,
            .memory = &memory_model_,
            .samples = &samples_}},
      redistributor_{{.index = config.index, .last = config.index + 1 == config.vcpus},
                     board.distributor},
      gic_{redistributor_, *this},
      timer_{board.clock, config.model->counter_hz, redistributor_} {
  redistributor_.add_to(board.bus);
  timer_.connect(*this);
  cpu_.reset();
}

void Vcpu::attach_pmu(const virt::arm64::PmuConfig& config, hostperf::ModelledHostPerf& perf) {
  assert(!pmu_);
  virt::arm64::OverflowSink& sink = *this;
  pmu_.emplace(config, perf, static_cast<hostperf::VcpuIndex>(index()), sink);
  pmu_->set_observer(&counter_log_);
  cpu_.core().identity.pmu_version = config.version;
}

void Vcpu::set_event_gate(const virt::arm64::EventGate* gate, std::uint32_t number) {
  counter_log_.filter_changed(number);
  pmu_->set_event_gate(gate);
  if (gate == nullptr) return;
  // What it denies still: nothing changes for the PMU.
  for (unsigned n = 0; n < virt::arm64::PmuState::kCounters; ++n) {
    const auto counter = static_cast<virt::CounterIndex>(n);
    if (pmu_->status(counter) != virt::CounterStatus::kDenied) continue;
    const std::uint16_t event = pmu_->event(counter);
    if (!gate->admits(event)) {
      counter_log_.counter_changed(counter, virt::CounterStatus::kDenied, event);
    }
  }
}

Result<void> Vcpu::attach_spe(virt::arm64::SpeVm& vm, SpeMemory& memory, const char* cpus) {
  assert(!spe_);
  spe_.emplace(GuestSpe::Around{vm, index(), cpu_, totals_, samples_, redistributor_, memory});
  auto set_up = spe_->set_up(cpus);
  cpu_.core().identity.spe_version = spe_->version();
  return set_up;
}

void Vcpu::detach_pmu() {
  pmu_.reset();
}

void Vcpu::power_on(std::uint64_t entry, std::uint64_t context) {
  gic_.reset();
  timer_.reset();
  pmu_->reset();
  if (spe_) spe_->reset();
  cpu_.power_on(entry, context);
}

void Vcpu::scheduled_in(hostperf::HostCpu cpu) {
  pmu_->scheduled_in();
  host_cpu_ = cpu;
}

void Vcpu::scheduled_out() {
  if (spe_) spe_->scheduled_out();
}

/// What the PMU has put off until the guest goes on: before a run, and right behind an overflow.
void Vcpu::enter() {
  if (pmu_->has_entry_work()) pmu_->before_entry();
}

class Vcpu::Exit {
 public:
  Exit(Vcpu& vcpu, ExitReason reason) : vcpu_{vcpu} {
    vcpu_.record(reason);
    vcpu_.leave_spe();
  }
  /// What a CPU with virtualization would do by itself.
  explicit Exit(Vcpu& vcpu) : vcpu_{vcpu} {}
  ~Exit() {
    vcpu_.enter();
    vcpu_.enter_spe(true);
    vcpu_.after_device_access();
  }
  Exit(const Exit&) = delete;
  Exit& operator=(const Exit&) = delete;

 private:
  const virt::PhaseScope phase_{virt::Phase::kEmulating};
  Vcpu& vcpu_;
};

bool Vcpu::runnable() {
  enter();
  return cpu_.runnable();
}

CpuExit Vcpu::run(std::uint64_t instructions, std::uint64_t until, bool /*resumes*/) {
  enter();
  enter_spe(false);
  if (refused_ != virt::arm64::SpeEntry::kDone) return CpuExit::kRefused;
  time_.begin(until);
  const CpuExit exit = [&] {
    const virt::RunningVcpu running{*this};
    const virt::PhaseScope guest{virt::Phase::kInGuest};
    return cpu_.run(instructions, until);
  }();
  time_.end();
  if (exit == CpuExit::kRequested && refused_ != virt::arm64::SpeEntry::kDone) {
    return CpuExit::kRefused;
  }
  if (exit == CpuExit::kHalted) {
    record(ExitReason::kWait);
    leave_spe();
  }
  if (cpu_.waits_for_event()) timer_.wait_for_event();
  if (exit == CpuExit::kShutdown) record(ExitReason::kException);
  return exit;
}

// ---- Accesses -----------------------------------------------------------------------------------

Access Vcpu::dispatch_read(SystemRegister reg, bool el0) {
  if (const Access access = gic_.read(reg, el0); !access.is_not_mine()) return access;
  if (const Access access = timer_.read(reg, el0); !access.is_not_mine()) return access;
  const Access access = pmu_->read_register(reg, privilege(el0), Initiator::kGuest);
  if (access.is_done()) pmu_->before_entry();
  return access;
}

Access Vcpu::dispatch_write(SystemRegister reg, std::uint64_t value, bool el0) {
  if (const Access access = gic_.write(reg, value, el0); !access.is_not_mine()) return access;
  if (const Access access = timer_.write(reg, value, el0); !access.is_not_mine()) return access;
  // Now, not before the next instruction: the MSR that starts a counter is itself counted.
  const Access access = pmu_->write_register(reg, value, privilege(el0), Initiator::kGuest);
  if (access.is_done()) pmu_->before_entry();
  return access;
}

void Vcpu::record(ExitReason reason) {
  exits_.record(reason);
  if (trace_ != nullptr) trace_->exit(where(), reason);
}

TraceSink::Where Vcpu::where() {
  return {index(), Vcpu::now(), cpu_.place().linear};
}

Access Vcpu::traced_read(SystemRegister reg, const Access& access) {
  if (trace_ == nullptr) return access;
  trace_->register_read(where(), reg, access);
  const bool acknowledges = reg == kIccIar0 || reg == kIccIar1;
  if (acknowledges && access.is_done() && access.value() < kSpecialIntids) {
    trace_->interrupt(where(), static_cast<std::uint32_t>(access.value()));
  }
  return access;
}

Access Vcpu::traced_write(SystemRegister reg, std::uint64_t value, const Access& access) {
  if (trace_ != nullptr) trace_->register_write(where(), reg, value, access);
  return access;
}

template <class Dispatch>
Access Vcpu::access_spe(ExitReason reason, Dispatch dispatch) {
  if (!spe_) return Access::not_mine();
  const virt::PhaseScope emulating{virt::Phase::kEmulating};
  const Access access = dispatch(*spe_);
  if (spe_->spe().is_entered()) return access;
  record(reason);
  enter_spe(true);
  return access;
}

void Vcpu::leave_spe() {
  if (spe_) spe_->exit();
}

void Vcpu::enter_spe(bool retires) {
  if (!spe_) return;
  refused_ = spe_->enter(host_cpu_, retires);
  if (refused_ != virt::arm64::SpeEntry::kDone) cpu_.request_exit();
}

void Vcpu::profile(const SpeProfile& profile, SpeRecordSink& sink) {
  if (spe_) spe_->set_host_has_unit(true);
  profiler_.emplace(config_.model->spe, index(), totals_, sink);
  profiler_->start(profile);
}

void Vcpu::end_profile() {
  profiler_.reset();
  if (spe_) spe_->set_host_has_unit(false);
}

std::uint64_t Vcpu::until_sample(unsigned el) {
  const std::uint64_t guests = spe_ ? spe_->until_sample(el) : kNoSample;
  return profiler_ ? std::min(guests, profiler_->until_sample(el)) : guests;
}

void Vcpu::sampled(const silicon::arm64::SpeOperation& operation) {
  silicon::arm64::SpeOperation timed = operation;
  timed.physical_count = timer_.physical_count();
  timed.virtual_count = timer_.virtual_count();
  if (profiler_) profiler_->sampled(timed);
  if (!spe_ || !spe_->sampled(timed)) return;
  const Exit buffer_event{*this, ExitReason::kExternalInterrupt};
}

Access Vcpu::read_system_register(SystemRegister reg, bool el0) {
  if (is_spe(reg)) {
    return traced_read(reg, access_spe(ExitReason::kSystemRegisterRead, [&](GuestSpe& spe) {
                         return spe.read(reg, privilege(el0));
                       }));
  }
  if (!intercepted(reg)) {
    const Exit none{*this};
    return traced_read(reg, dispatch_read(reg, el0));
  }
  const Exit exit{*this, ExitReason::kSystemRegisterRead};
  return traced_read(reg, dispatch_read(reg, el0));
}

Access Vcpu::write_system_register(SystemRegister reg, std::uint64_t value, bool el0) {
  if (is_spe(reg)) {
    return traced_write(reg, value,
                        access_spe(ExitReason::kSystemRegisterWrite, [&](GuestSpe& spe) {
                          return spe.write(reg, value, privilege(el0));
                        }));
  }
  if (!intercepted(reg)) {
    const Exit none{*this};
    return traced_write(reg, value, dispatch_write(reg, value, el0));
  }
  const Exit exit{*this, ExitReason::kSystemRegisterWrite};
  return traced_write(reg, value, dispatch_write(reg, value, el0));
}

std::uint64_t Vcpu::read_mmio(std::uint64_t physical, unsigned bytes) {
  const Exit exit{*this, ExitReason::kMmio};
  return board_.bus.read_mmio(physical, bytes);
}

void Vcpu::write_mmio(std::uint64_t physical, unsigned bytes, std::uint64_t value) {
  const Exit exit{*this, ExitReason::kMmio};
  board_.bus.write_mmio(physical, bytes, value);
}

void Vcpu::call(Call& call) {
  const Exit exit{*this, ExitReason::kHypercall};
  // The calling convention has 0 there; other immediates are nobody's.
  if (call.immediate != 0) {
    call.x[0] = static_cast<std::uint64_t>(std::int64_t{Psci::kNotSupported});
    return;
  }
  call.x[0] = board_.psci.call(index(), call.x[0], {call.x[1], call.x[2], call.x[3]});
}

bool Vcpu::semihost(std::uint32_t operation, std::uint64_t parameter, std::uint64_t& result) {
  const Exit exit{*this, ExitReason::kHypercall};
  result = board_.semihosting.call(operation, parameter, *this);
  return true;
}

std::optional<std::uint8_t> Vcpu::peek_byte(std::uint64_t address) {
  std::uint8_t byte = 0;
  if (!cpu_.peek(address, &byte, 1)) return std::nullopt;
  return byte;
}

bool Vcpu::irq_waiting() {
  return gic_.irq_waiting();
}

bool Vcpu::fiq_waiting() {
  return gic_.fiq_waiting();
}

void Vcpu::set_overflow_line(bool asserted) {
  redistributor_.set_line(arm64_map::kPmuInterrupt, asserted);
}

// ---- What is seen from outside ------------------------------------------------------------------

ObservedVcpu::Place Vcpu::last_retired() const {
  const CodePlace place = cpu_.last_retired().place;
  return {place.linear, place.user};
}

std::size_t Vcpu::call_chain(std::span<std::uint64_t> chain) const {
  return arm64::call_chain(cpu_, chain);
}

std::size_t Vcpu::call_chain_of_last(std::span<std::uint64_t> chain) const {
  return arm64::call_chain(cpu_, cpu_.last_retired(), chain);
}

// ---- State --------------------------------------------------------------------------------------

VcpuState Vcpu::save() {
  return {.retired = totals_.save(),
          .exits = exits_.save(),
          .cpu = cpu_.save(),
          .redistributor = redistributor_.save(),
          .gic = gic_.save(),
          .timer = timer_.save(),
          .pmu = pmu_->save(),
          .spe = spe_ ? std::optional{spe_->save()} : std::nullopt,
          .counter_log = counter_log_.save()};
}

Result<void> Vcpu::restore(const VcpuState& state) {
  // First: everything else is as of these totals.
  totals_.restore(state.retired);
  exits_.restore(state.exits);
  if (auto cpu = in_part("CPU", cpu_.restore(state.cpu)); !cpu) return cpu;
  auto redistributor = in_part("GIC redistributor", redistributor_.restore(state.redistributor));
  if (!redistributor) return redistributor;
  if (auto gic = in_part("GIC CPU interface", gic_.restore(state.gic)); !gic) return gic;
  if (auto timer = in_part("generic timer", timer_.restore(state.timer)); !timer) return timer;
  if (cpu_.waits_for_event()) timer_.wait_for_event();
  if (auto pmu = in_part("PMU", pmu_->restore(state.pmu)); !pmu) return pmu;
  if (state.spe.has_value() != spe_.has_value()) return fail("SPE: one has it, the other has not");
  if (spe_) {
    if (auto spe = in_part("SPE", spe_->restore(*state.spe)); !spe) return spe;
    // The host that it left may have profiled it. This one does, or does not.
    spe_->set_host_has_unit(profiler_.has_value());
  }
  // Last: it has listened to the PMU.
  return counter_log_.restore(state.counter_log);
}

}  // namespace vpmu::machine::arm64
