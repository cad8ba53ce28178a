// SPDX-License-Identifier: MIT
//
// What a PMU that is switched off costs, and PV perf that is not offered: the workload guest in a
// Machine with `--pmu off`, beside the same guest on the same interpreter and board with nothing of
// either around it: no virt::x86::Pmu, no PvPerf, no host perf, no exits counted. That is what a
// build without them would be.
//
// Both in this process, CPU time of the run alone; an iteration is a whole run of five rounds.
#include <benchmark/benchmark.h>

#include <ctime>
#include <optional>
#include <string>

#include "bench/support/build_files.hpp"
#include "machine/boot/load.hpp"
#include "machine/machine.hpp"
#include "machine/pc/board.hpp"
#include "machine/x86/cpu.hpp"

namespace vpmu::bench {

namespace {

constexpr std::uint64_t kRam = 64ULL << 20;

const silicon::x86::CpuModel& model() {
  return *silicon::x86::find_cpu_model("icelake-server");
}

machine::boot::LoadRequest request() {
  return {guest_path("workload"), "pmu=off rounds=5", {}};
}

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Keeps what the guest prints.
class KeptConsole final : public machine::Console {
 public:
  void put(std::uint8_t byte) override { text_.push_back(static_cast<char>(byte)); }
  std::optional<std::uint8_t> next_input() override { return std::nullopt; }
  bool wait_for_input() override { return false; }
  void flush() override {}
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// One CPU and the board, run to the debug-exit port.
class BoardOnly final : private machine::x86::Environment, private machine::MachineControl {
 public:
  BoardOnly()
      : board_{machine::GuestMemory::create(kRam).value(), model(), 1, *this, console_},
        cpu_{board_.memory, *this, board_.code_pages, totals_, deadlines_} {}

  /// Seconds of the run; nothing if the image cannot be loaded or the guest does not end well.
  std::optional<double> run() {
    const auto state = machine::boot::load(request(), board_.memory);
    if (!state) return std::nullopt;
    cpu_.reset();
    machine::boot::apply(*state, cpu_.core());
    cpu_.state_changed();
    const double begin = cpu_seconds();
    constexpr std::uint64_t kQuantum = 10'000;
    while (!exit_code_) {
      const auto exit = cpu_.run(kQuantum, machine::Timer::kNever);
      if (exit != machine::x86::Cpu::Exit::kBudget && exit != machine::x86::Cpu::Exit::kRequested) {
        return std::nullopt;
      }
    }
    return cpu_seconds() - begin;
  }
  [[nodiscard]] const std::string& output() const { return console_.text(); }

 private:
  machine::x86::CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf) override {
    if (leaf == 0xa) return {};
    return silicon::x86::cpuid(model(), {}, leaf, subleaf);
  }
  Access read_msr(MsrIndex) override { return Access::not_mine(); }
  Access write_msr(MsrIndex, std::uint64_t) override { return Access::not_mine(); }
  Access rdpmc(std::uint32_t, bool) override { return Access::fault(); }
  std::uint32_t read_port(std::uint16_t port, unsigned bytes) override {
    return board_.bus.read_port(port, bytes);
  }
  void write_port(std::uint16_t port, unsigned bytes, std::uint32_t value) override {
    board_.bus.write_port(port, bytes, value);
  }
  std::uint64_t read_mmio(std::uint64_t address, unsigned bytes) override {
    return board_.bus.read_mmio(address, bytes);
  }
  void write_mmio(std::uint64_t address, unsigned bytes, std::uint64_t value) override {
    board_.bus.write_mmio(address, bytes, value);
  }
  std::uint64_t now() override { return cpu_.cycles(); }
  Access hypercall(const machine::x86::Hypercall&) override { return Access::not_mine(); }
  bool interrupt_waiting() override { return false; }
  std::uint8_t acknowledge_interrupt() override { return 0; }
  std::uint8_t task_priority() override { return 0; }
  void set_task_priority(std::uint8_t) override {}

  void exit(std::uint32_t code) override {
    exit_code_ = code;
    cpu_.request_exit();
  }
  void power_off() override { exit(~0U); }
  void reset() override { exit(~0U); }

  KeptConsole console_;
  machine::Board board_;
  silicon::RetireTotals totals_;
  silicon::Deadlines deadlines_{totals_};
  machine::x86::Cpu cpu_;
  std::optional<std::uint32_t> exit_code_;
};

std::optional<double> run_machine(std::string& output) {
  KeptConsole console;
  machine::MachineConfig config;
  config.model = &model();
  config.memory_bytes = kRam;
  config.pmu = virt::x86::no_pmu(config.model->vendor);
  auto machine = machine::Machine::create(config, console);
  if (!machine || !(*machine)->load(request())) return std::nullopt;
  const double begin = cpu_seconds();
  const machine::Outcome outcome = (*machine)->run({});
  const double seconds = cpu_seconds() - begin;
  output = console.text();
  if (outcome.reason != machine::Outcome::Reason::kDebugExit) return std::nullopt;
  return seconds;
}

void pmu_not_there(benchmark::State& state) {
  for (auto _ : state) {
    BoardOnly board;
    const auto seconds = board.run();
    if (!seconds || board.output().find("checksum") == std::string::npos) {
      state.SkipWithError("the guest did not end as it should");
      return;
    }
    state.SetIterationTime(*seconds);
  }
}

void pmu_switched_off(benchmark::State& state) {
  for (auto _ : state) {
    std::string output;
    const auto seconds = run_machine(output);
    if (!seconds || output.find("checksum") == std::string::npos) {
      state.SkipWithError("the guest did not end as it should");
      return;
    }
    state.SetIterationTime(*seconds);
  }
}

BENCHMARK(pmu_not_there)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(pmu_switched_off)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace vpmu::bench
