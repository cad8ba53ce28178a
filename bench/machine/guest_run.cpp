// SPDX-License-Identifier: MIT
#include "bench/machine/guest_run.hpp"

#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>

#include "bench/support/build_files.hpp"
#include "bench/support/child.hpp"
#include "machine/machine.hpp"
#include "machine/silent_console.hpp"

namespace vpmu::bench {

namespace {

std::string read_file(const char* path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// KiB that are resident of the mapping that `address` lies in.
double resident_kib(const void* address) {
  std::ifstream maps{"/proc/self/smaps"};
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      const auto at = reinterpret_cast<std::uintptr_t>(address);
      inside = begin <= at && at < end;
    }
    if (inside && line.rfind("Rss:", 0) == 0) return number_behind(line, "Rss:").value_or(0);
  }
  return 0;
}

}  // namespace

int run_and_print_memory(const std::string& image, std::uint64_t mib,
                         const std::string& arguments) {
  machine::MachineConfig config;
  config.model = silicon::x86::find_cpu_model("icelake-server");
  config.memory_bytes = mib << 20;
  machine::SilentConsole console;
  const auto machine = machine::Machine::create(config, console);
  if (!machine) {
    std::fprintf(stderr, "vpmu_bench: %s\n", machine.error().message.c_str());
    return 2;
  }
  const auto loaded = (*machine)->load({image, arguments, {}});
  if (!loaded) {
    std::fprintf(stderr, "vpmu_bench: %s\n", loaded.error().message.c_str());
    return 2;
  }
  const machine::Outcome outcome = (*machine)->run({});
  if (outcome.reason != machine::Outcome::Reason::kDebugExit || outcome.value != 0) {
    std::fprintf(stderr, "vpmu_bench: the guest ended with %s\n", name(outcome.reason));
    return 1;
  }
  const auto peak = number_behind(read_file("/proc/self/status"), "VmHWM:\t");
  std::printf("peak %.0f guest %.0f\n", peak.value_or(0),
              resident_kib((*machine)->board().memory.host(0, 1)));
  return 0;
}

Result<MemoryUse> measure_memory(const std::string& guest, std::uint64_t mib,
                                 const std::string& arguments) {
  const auto run = run_child(
      {own_path(), kGuestMemoryOption, guest_path(guest), std::to_string(mib), arguments});
  if (!run) return tl::unexpected(run.error());
  if (run->status != 0) return fail(run->output);
  const auto peak = number_behind(run->output, "peak ");
  const auto touched = number_behind(run->output, "guest ");
  if (!peak || *peak == 0 || !touched || *touched == 0)
    return fail("no memory use: " + run->output);
  return MemoryUse{*peak * 1024, *touched * 1024};
}

}  // namespace vpmu::bench
