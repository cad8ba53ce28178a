// SPDX-License-Identifier: MIT
//
// Saving and restoring one vCPU and all devices, guest memory aside: from the machine into bytes,
// and from bytes into the machine. The vCPU is one that has counted mispredicted branches, so that
// its predictor is full.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "bench/support/build_files.hpp"
#include "machine/machine.hpp"
#include "machine/silent_console.hpp"
#include "machine/snapshot/messages.hpp"

namespace vpmu::bench {

namespace {

struct SavedBytes {
  std::string machine;
  std::string vcpu;
};

SavedBytes save(machine::Machine& machine) {
  const machine::MachineState state = machine.save();
  machine::snapshot::proto::Machine board;
  machine::snapshot::encode(state, board);
  machine::snapshot::proto::Vcpu vcpu;
  machine::snapshot::encode(state.vcpus.front(), vcpu);
  return {board.SerializeAsString(), vcpu.SerializeAsString()};
}

bool restore(machine::Machine& machine, const SavedBytes& bytes) {
  machine::MachineState state;
  machine::snapshot::proto::Machine board;
  machine::snapshot::proto::Vcpu vcpu;
  state.vcpus.emplace_back();
  return board.ParseFromString(bytes.machine) && vcpu.ParseFromString(bytes.vcpu) &&
         machine::snapshot::decode(board, state) &&
         machine::snapshot::decode(vcpu, state.vcpus.front()) && machine.restore(state);
}

void snapshot_without_memory(benchmark::State& state) {
  machine::SilentConsole console;
  machine::MachineConfig config;
  config.model = silicon::x86::find_cpu_model("icelake-server");
  const auto machine = machine::Machine::create(config, console);
  if (!machine) return state.SkipWithError(machine.error().message.c_str());
  const auto loaded = (*machine)->load({guest_path("workload"), "rounds=1", {}});
  if (!loaded) return state.SkipWithError(loaded.error().message.c_str());
  (*machine)->run({.pause_at = 10'000'000});
  std::size_t size = 0;
  for (auto _ : state) {
    const SavedBytes bytes = save(**machine);
    if (!restore(**machine, bytes)) return state.SkipWithError("the state was refused");
    size = bytes.machine.size() + bytes.vcpu.size();
  }
  state.counters["bytes"] = static_cast<double>(size);
}
BENCHMARK(snapshot_without_memory)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace vpmu::bench
