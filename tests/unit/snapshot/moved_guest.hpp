// SPDX-License-Identifier: MIT
//
// Guests that are moved from machine to machine, and what must not tell: console and report.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <random>
#include <string>

#include "cli/exit_status.hpp"
#include "cli/report.hpp"
#include "machine/machine.hpp"
#include "machine/snapshot/snapshot.hpp"
#include "unit/machine/machine_fixture.hpp"

namespace vpmu::test {

/// One guest and the machine it runs on.
struct MovingGuest {
  std::string image;  ///< of guests/x86
  std::string arguments;
  unsigned vcpus = 1;
  std::uint64_t quantum = machine::MachineConfig{}.quantum;
  bool pmu = true;
  std::optional<virt::x86::PvPerfRequest> pv_perf{};  ///< none: it is not offered
  unsigned host_cpus = 0;

  friend std::ostream& operator<<(std::ostream& to, const MovingGuest& guest) {
    return to << guest.image << ' ' << guest.arguments << " on " << guest.vcpus;
  }
};

/// They use everything that has state: devices, several vCPUs in short turns, floating point,
/// counters that interrupt.
inline const MovingGuest kMovingGuests[] = {
    {"interrupts", "", 1, 10'000, true},
    {"legacy_devices", "", 1, 10'000, true},
    {"floats", "", 1, 10'000, true},
    {"smp", "cpus=3", 3, 123, true},
    {"workload", "rounds=1 pmu=off", 1, 10'000, false},
    {"demo", "", 1, 10'000, true},
    {"pmu_overflow", "", 1, 10'000, true},
    {"pmu_interrupts", "", 1, 10'000, true},
    {"pmu_user_kernel", "", 1, 10'000, true},
    {"pmu_conditions", "", 1, 10'000, true},
    {"pmu_memory", "", 1, 10'000, true},
    {"workload", "rounds=1 pmi=10000", 1, 10'000, true},
};

inline std::string name_of_guest(const testing::TestParamInfo<MovingGuest>& guest) {
  return std::string{guest.param.image}.append("_").append(std::to_string(guest.index));
}

class MovedGuestTest : public testing::Test {
 protected:
  StringConsole console;
  std::unique_ptr<machine::Machine> machine;
  machine::Outcome outcome;  ///< of the last run

  void start(const MovingGuest& guest) {
    console = {};
    outcome = {machine::Outcome::Reason::kPaused, 0};
    machine::MachineConfig config;
    config.model = silicon::x86::find_cpu_model("icelake-server");
    config.vcpus = guest.vcpus;
    config.quantum = guest.quantum;
    if (!guest.pmu) config.pmu = virt::x86::no_pmu(config.model->vendor);
    config.memory_bytes = std::uint64_t{32} << 20;
    config.host_cpus = guest.host_cpus;
    if (guest.pv_perf) {
      const auto offered = machine::offer_to_guest(*config.model, *config.model, *guest.pv_perf);
      ASSERT_TRUE(offered.has_value()) << offered.error().message;
      config.pv_perf = *offered;
    }
    auto created = machine::Machine::create(config, console);
    ASSERT_TRUE(created.has_value()) << created.error().message;
    machine = std::move(*created);
    const std::string path = std::string{VPMU_GUESTS "/"} + guest.image + ".elf";
    const auto loaded = machine->load({path, guest.arguments, {}});
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  }

  /// Through a snapshot into a machine that never saw the guest; on a host of that model, or on one
  /// as it had.
  void move(const silicon::x86::CpuModel* host = nullptr) {
    machine::snapshot::StringOutput file;
    const auto saved = machine::snapshot::save(*machine, {"guest", "arguments"}, file);
    ASSERT_TRUE(saved.has_value()) << saved.error().message;
    machine.reset();
    machine::snapshot::StringInput input{file.bytes};
    machine::snapshot::Reader reader{input};
    const auto header = reader.header();
    ASSERT_TRUE(header.has_value()) << header.error().message;
    auto restored = reader.machine(console, nullptr, machine::snapshot::kLargestMemory, nullptr,
                                   {.model = host});
    ASSERT_TRUE(restored.has_value()) << restored.error().message;
    machine = std::move(*restored);
  }

  /// True if it got there, false if the guest ended before.
  bool run_to(std::uint64_t instructions) {
    outcome = machine->run({.pause_at = instructions});
    return outcome.reason == machine::Outcome::Reason::kPaused;
  }

  /// To its end, if it is not there: the report.
  std::string finish() { return finish_as_json().dump(1); }
  nlohmann::ordered_json finish_as_json() {
    if (outcome.reason == machine::Outcome::Reason::kPaused) {
      outcome = machine->run({.instructions = 400'000'000});
    }
    EXPECT_EQ(outcome.reason, machine::Outcome::Reason::kDebugExit);
    cli::RunFacts facts;
    facts.outcome = outcome;
    facts.status = cli::exit_status(outcome, 0);
    return cli::report(*machine, facts, false);
  }

  /// Moves it at so many random instructions, each time anew.
  void expect_moves_not_to_matter(const MovingGuest& guest, unsigned moves) {
    ASSERT_NO_FATAL_FAILURE(start(guest));
    const std::string report = finish();
    const std::string output = console.output;
    const std::uint64_t length = machine->instructions();
    std::mt19937_64 random{length};
    for (unsigned n = 0; n < moves && !HasFailure(); ++n) {
      const std::uint64_t at = random() % length;
      ASSERT_NO_FATAL_FAILURE(start(guest));
      ASSERT_TRUE(run_to(at));
      move();
      ASSERT_EQ(finish(), report) << "moved at " << at;
      ASSERT_EQ(console.output, output) << "moved at " << at;
    }
  }
};

}  // namespace vpmu::test
