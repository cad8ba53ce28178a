// SPDX-License-Identifier: MIT
//
// A host script: any bytes are read, or refused in one line that names the file; what is read can
// be opened on a machine, which then runs. The first byte chooses CPU model and host CPUs.
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

namespace {
using namespace vpmu;

constexpr std::string_view kFile = "script.toml";

using vpmu::fuzz::check;
using vpmu::fuzz::check_message;

void run(std::vector<machine::HostEvent> events, const cli::HostScriptMachine& host) {
  machine::SilentConsole console;
  machine::MachineConfig config;
  config.model = host.model;
  config.host_cpus = host.host_cpus;
  config.memory_bytes = std::uint64_t{2} << 20;
  config.host_events = std::move(events);
  const auto machine = machine::Machine::create(config, console);
  check(machine.has_value(), "cannot be opened", machine ? "" : machine.error().message);
  const std::vector<std::uint8_t> forever{0xeb, 0xfe};
  machine::boot::Image image;
  image.protocol = machine::boot::Protocol::kFreestanding;
  image.entry = fuzz::kEntry;
  image.segments.push_back({fuzz::kEntry, forever.size(), forever});
  if (!(*machine)->load(image, {.image = "fuzz", .arguments = "", .modules = {}})) std::abort();
  (*machine)->run({.instructions = 2'000});
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const auto models = silicon::x86::cpu_models();
  const cli::HostScriptMachine host{models[data[0] % models.size()], 1u + data[0] / 16u % 4u};
  const std::string text(data + 1, data + size);
  auto events = cli::parse_host_script(text, kFile, host);
  if (events) {
    run(std::move(*events), host);
  } else {
    check_message(events.error().message, kFile);
  }
  return 0;
}
