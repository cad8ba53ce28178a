// SPDX-License-Identifier: MIT
#include "machine/turns.hpp"

#include <algorithm>

#include "machine/cannot_hold.hpp"
#include "vpmu/hostperf/guest_callbacks.hpp"

namespace vpmu::machine {

namespace {
/// Input is asked for once in so many turns: a system call each. Not before the first: a guest that
/// sets up its serial port clears what came in until then.
constexpr unsigned kTurnsPerInput = 64;

/// Timers that fire while everybody is halted without waking anybody. After so many in a row nobody
/// believes that the next one will.
constexpr unsigned kIdleTimers = 100'000;

/// A turn also ends after so many cycles for each of its instructions: a guest may fault for ever
/// without retiring anything.
constexpr std::uint64_t kCyclesPerInstruction = 256;
constexpr std::uint64_t kLongestTurn = std::uint64_t{1} << 48;
}  // namespace

Turns::Turns(const Around& around)
    : around_{around}, vcpus_{around.vcpus.begin(), around.vcpus.end()} {}

std::uint64_t Turns::instructions() const {
  std::uint64_t sum = 0;
  for (const TurnTaker* vcpu : vcpus_) sum += vcpu->instructions();
  return sum;
}

Outcome Turns::run(const RunLimits& limits) {
  const hostperf::GuestCallbackReader reader;  // profilers ask on this thread
  outcome_.reset();
  while (!outcome_) run_round(limits);
  around_.console->flush();
  return *outcome_;
}

/// Goes on with the round that state_ is in. Returns at its end, or with an outcome.
void Turns::run_round(const RunLimits& limits) {
  for (; state_.vcpu < vcpus_.size(); ++state_.vcpu) {
    TurnTaker& vcpu = *vcpus_[state_.vcpu];
    if (!state_.in_turn && !vcpu.runnable()) continue;
    run_turn(vcpu, limits);
    if (outcome_) return;
  }
  const bool ran = state_.ran;
  ++state_.round;
  const bool input = (state_.round % kTurnsPerInput == 0 || !ran) && take_input();
  state_.vcpu = 0;
  state_.ran = false;
  // Input may have woken somebody.
  if (!ran && !input) idle();
  if (!outcome_ && stop_.exchange(false)) end(Outcome::Reason::kStopped, 0);
}

hostperf::HostCpu Turns::host_cpu(std::uint32_t vcpu) const {
  return static_cast<hostperf::HostCpu>(vcpu % around_.perf->host_cpus());
}

void Turns::begin_turn(TurnTaker& vcpu) {
  hostperf::ModelledHostPerf& perf = *around_.perf;
  const hostperf::HostCpu cpu = host_cpu(state_.vcpu);
  const auto before = perf.vcpu_on(cpu);
  if (before && static_cast<std::uint32_t>(*before) != state_.vcpu) {
    vcpus_[static_cast<std::uint32_t>(*before)]->scheduled_out();
  }
  perf.switch_in(static_cast<hostperf::VcpuIndex>(state_.vcpu), cpu);
  perf.tick(cpu);
  state_.in_turn = state_.ran = true;
  state_.idle_timers = 0;
  vcpu.scheduled_in(cpu);
  state_.turn_begin = vcpu.instructions();
  state_.turn_end = around_.clock->now() + longest_turn();
}

void Turns::run_turn(TurnTaker& vcpu, const RunLimits& limits) {
  Clock& clock = *around_.clock;
  if (!state_.in_turn) begin_turn(vcpu);
  running_ = &vcpu;
  const std::uint64_t others = instructions() - vcpu.instructions();
  for (;;) {
    clock.run_due();
    if (turn_is_over(vcpu, limits)) break;
    const std::uint64_t mine = vcpu.instructions();
    const std::uint64_t left = std::min({around_.quantum - (mine - state_.turn_begin),
                                         limits.instructions - others - mine - state_.stalled,
                                         limits.pause_at - others - mine});
    const std::uint64_t until = std::min(clock.next_due(), state_.turn_end);
    // Where somebody only looks on, it is as if there had been no stop.
    const std::uint64_t guests = std::min(clock.next_wake(), state_.turn_end);
    const CpuExit exit = vcpu.run(left, until, state_.cut);
    state_.cut = exit == CpuExit::kBudget && clock.now() < guests &&
                 vcpu.instructions() - state_.turn_begin < around_.quantum;
    if (exit == CpuExit::kShutdown) end(Outcome::Reason::kCrash, state_.vcpu);
    if (exit == CpuExit::kRefused) end(Outcome::Reason::kRefused, state_.vcpu);
    if (exit == CpuExit::kHalted || exit == CpuExit::kWaiting) {
      state_.in_turn = false;
      break;
    }
  }
  running_ = nullptr;
}

bool Turns::turn_is_over(const TurnTaker& vcpu, const RunLimits& limits) {
  const std::uint64_t all = instructions();
  // A pause first: what else is to happen here can happen when the run goes on.
  if (limits.pause_at <= all) end(Outcome::Reason::kPaused, 0);
  if (limits.instructions <= all + state_.stalled) end(Outcome::Reason::kInstructions, 0);
  if (!outcome_ && stop_.exchange(false)) end(Outcome::Reason::kStopped, 0);
  if (outcome_) return true;
  const std::uint64_t mine = vcpu.instructions();
  const bool used_up = mine - state_.turn_begin >= around_.quantum;
  if (!used_up && around_.clock->now() < state_.turn_end) return false;
  if (mine == state_.turn_begin) state_.stalled += around_.quantum;
  state_.in_turn = false;
  return true;
}

std::uint64_t Turns::longest_turn() const {
  return std::min(around_.quantum, kLongestTurn) * kCyclesPerInstruction;
}

void Turns::idle() {
  around_.console->flush();
  Clock& clock = *around_.clock;
  const std::uint64_t next = clock.next_wake();
  if (next != Timer::kNever && ++state_.idle_timers <= kIdleTimers) {
    clock.set_now(std::max(next, clock.now()));
    clock.run_due();
    return;
  }
  if (!around_.console->wait_for_input()) end(Outcome::Reason::kHalted, 0);
}

bool Turns::take_input() {
  bool taken = false;
  while (around_.input->can_receive()) {
    const auto byte = around_.console->next_input();
    if (!byte) break;
    state_.idle_timers = 0;
    around_.input->receive(*byte);
    taken = true;
  }
  return taken;
}

void Turns::stop() {
  stop_ = true;
  TurnTaker* running = running_;
  if (running != nullptr) running->request_exit();
}

void Turns::end(Outcome::Reason reason, std::uint32_t value) {
  if (outcome_) return;
  outcome_ = Outcome{reason, value};
  TurnTaker* running = running_;
  if (running != nullptr) running->request_exit();
}

// ---- State --------------------------------------------------------------------------------------

Result<void> Turns::check(const State& state) const {
  if (state.vcpu >= vcpus_.size()) return cannot_hold("turn", state.vcpu);
  return {};
}

Result<void> Turns::restore(const State& state) {
  if (state.in_turn && state.turn_end > around_.clock->now() + longest_turn()) {
    return cannot_hold("end of the turn", state.turn_end);
  }
  state_ = state;
  return {};
}

}  // namespace vpmu::machine
