// SPDX-License-Identifier: MIT
#include "guest/exit_phases.hpp"

#include <algorithm>
#include <numeric>

namespace vpmu::test {

using virt::ExitReason;

namespace {
class KeptConsole final : public machine::Console {
 public:
  std::string output;

  void put(std::uint8_t byte) override { output.push_back(static_cast<char>(byte)); }
  std::optional<std::uint8_t> next_input() override { return std::nullopt; }
  bool wait_for_input() override { return false; }
  void flush() override {}
};
}  // namespace

std::uint64_t PhaseUse::count() const {
  return std::accumulate(exits.begin(), exits.end(), std::uint64_t{0});
}

std::uint64_t PhaseUse::exit_cycles() const {
  std::uint64_t cycles = 0;
  for (std::size_t reason = 0; reason < exits.size(); ++reason) {
    cycles += exits[reason] * virt::modelled_cost(static_cast<ExitReason>(reason));
  }
  return cycles;
}

PhaseUse& PhaseUse::operator+=(const PhaseUse& other) {
  for (std::size_t reason = 0; reason < exits.size(); ++reason) {
    exits[reason] += other.exits[reason];
  }
  guest_cycles += other.guest_cycles;
  times += other.times;
  return *this;
}

void ExitPhases::listen(machine::Machine& machine) {
  vcpu_ = machine.vcpus().front().get();
  machine.board().bus.add_ports(PHASE_PORT, sizeof(std::uint32_t), *this);
}

std::uint32_t ExitPhases::read_port(std::uint16_t, unsigned) {
  return ~std::uint32_t{0};
}

void ExitPhases::write_port(std::uint16_t, unsigned, std::uint32_t value) {
  const virt::ExitStats::State exits = vcpu_->exits().save();
  const std::uint64_t cycles = vcpu_->cpu().cycles();
  PhaseUse& use = uses_[phase_];
  for (std::size_t reason = 0; reason < exits.size(); ++reason) {
    use.exits[reason] += exits[reason] - exits_[reason];
  }
  // The mark that ends a phase is an exit by itself, and has been counted.
  --use.exits[static_cast<std::size_t>(ExitReason::kPortIo)];
  use.guest_cycles += cycles - cycles_;
  ++use.times;
  phase_ = static_cast<exit_phase>(value % PHASES);
  exits_ = exits;
  cycles_ = cycles;
}

PhaseUses ExitPhases::uses() const {
  PhaseUses uses = uses_;
  const std::uint64_t mark = uses_[PHASE_EMPTY].guest_cycles;
  for (PhaseUse& use : uses) use.guest_cycles -= std::min(use.guest_cycles, mark * use.times);
  return uses;
}

PhaseUse ExitColumn::perf_stat() const {
  PhaseUse sum;
  for (const exit_phase phase : {PHASE_CREATE, PHASE_START, PHASE_READ_RUNNING, PHASE_STOP,
                                 PHASE_READ_STOPPED, PHASE_DESTROY}) {
    sum += (*this)[phase];
  }
  return sum;
}

Result<ExitColumn> run_exit_column(const std::string& image, const std::string& column,
                                   const machine::MachineConfig& config) {
  ExitPhases phases;
  KeptConsole console;
  const auto machine = machine::Machine::create(config, console);
  if (!machine) return tl::unexpected(machine.error());
  phases.listen(**machine);
  const auto loaded = (*machine)->load({image, "column=" + column, {}});
  if (!loaded) return tl::unexpected(loaded.error());
  const machine::Outcome outcome = (*machine)->run({.instructions = 100'000'000});
  if (outcome.reason != machine::Outcome::Reason::kDebugExit || outcome.value != 0)
    return fail("column " + column + ": " + console.output);
  return ExitColumn{phases.uses(), console.output};
}

}  // namespace vpmu::test
