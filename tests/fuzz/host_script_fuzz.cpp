// SPDX-License-Identifier: MIT
//
// A host script: any bytes are read, or refused in one line that names the file; what is read can
// be opened on a machine, which then runs. The first byte chooses architecture, CPU model and host
// CPUs.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cli/host_script.hpp"
#include "fuzz/fuzz_machine.hpp"
#include "fuzz/messages.hpp"
#include "machine/arm64_board/machine.hpp"
#include "machine/arm64_map.hpp"

namespace {
using namespace vpmu;

constexpr std::string_view kFile = "script.toml";

using vpmu::fuzz::check;
using vpmu::fuzz::check_message;

/// A machine with `model` and the host's events, of either architecture; `forever` is a jump to
/// itself, which lies at `entry`.
template <class Machine, class Config, class Model>
void run_on(const Model& model, unsigned host_cpus, std::vector<machine::HostEvent> events,
            std::uint64_t entry, const std::vector<std::uint8_t>& forever) {
  machine::SilentConsole console;
  Config config;
  config.model = &model;
  config.host_cpus = host_cpus;
  config.memory_bytes = std::uint64_t{2} << 20;
  config.host_events = std::move(events);
  const auto machine = Machine::create(config, console);
  check(machine.has_value(), "cannot be opened", machine ? "" : machine.error().message);
  machine::boot::Image image;
  image.protocol = machine::boot::Protocol::kFreestanding;
  image.entry = entry;
  image.segments.push_back({entry, forever.size(), forever});
  if (!(*machine)->load(image, {.image = "fuzz", .arguments = "", .modules = {}})) std::abort();
  (*machine)->run({.instructions = 2'000});
}

void run(std::vector<machine::HostEvent> events, const cli::HostScriptMachine& host) {
  if (const auto* x86 = host.model.x86()) {
    return run_on<machine::Machine, machine::MachineConfig>(*x86, host.host_cpus, std::move(events),
                                                            fuzz::kEntry, {0xeb, 0xfe});
  }
  run_on<machine::arm64::Machine, machine::arm64::MachineConfig>(
      *host.model.arm64(), host.host_cpus, std::move(events), machine::arm64_map::kRam + 0x10'0000,
      {0x00, 0x00, 0x00, 0x14});
}

cli::HostScriptMachine host_of(std::uint8_t choice) {
  const unsigned cpus = 1u + choice / 16u % 4u;
  if ((choice & 0x80) != 0) {
    const auto models = silicon::arm64::cpu_models();
    return {*models[choice % models.size()], cpus};
  }
  const auto models = silicon::x86::cpu_models();
  return {*models[choice % models.size()], cpus};
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const cli::HostScriptMachine host = host_of(data[0]);
  const std::string text(data + 1, data + size);
  auto events = cli::parse_host_script(text, kFile, host);
  if (events) {
    run(std::move(*events), host);
  } else {
    check_message(events.error().message, kFile);
  }
  return 0;
}
