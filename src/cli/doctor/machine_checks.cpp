// SPDX-License-Identifier: MIT
#include <array>
#include <memory>

#include <fmt/format.h>

#include "cli/doctor/checks.hpp"
#include "machine/machine.hpp"
#include "machine/silent_console.hpp"

namespace vpmu::cli::doctor {

namespace {
using machine::Outcome;

constexpr std::uint64_t kEntry = 0x100000;
constexpr std::uint64_t kMemory = std::uint64_t{4} << 20;
constexpr std::uint64_t kRounds = 500;
constexpr std::uint64_t kInstructionLimit = 100'000;

// Counts its own instructions from the WRMSR that starts the counter, which counts itself.
// clang-format off
constexpr std::array<std::uint8_t, 47> kCode{
    0xb9, 0x8f, 0x03, 0x00, 0x00,  // mov ecx, IA32_PERF_GLOBAL_CTRL
    0xb8, 0x01, 0x00, 0x00, 0x00,  // mov eax, 1
    0x31, 0xd2,                    // xor edx, edx
    0x0f, 0x30,                    // wrmsr
    0xb9, 0x86, 0x01, 0x00, 0x00,  // mov ecx, IA32_PERFEVTSEL0
    0xb8, 0xc0, 0x00, 0x43, 0x00,  // mov eax, instructions retired, user and kernel, enabled
    0x0f, 0x30,                    // wrmsr                 counted: 1
    0xb9, 0xf4, 0x01, 0x00, 0x00,  // mov ecx, kRounds      1
    0xff, 0xc9,                    // dec ecx               kRounds
    0x75, 0xfc,                    // jnz to the dec        kRounds
    0x31, 0xc9,                    // xor ecx, ecx          1
    0x0f, 0x33,                    // rdpmc                 not yet when it reads
    0xe7, 0xf4,                    // out debug exit, eax
    0xf4,                          // hlt
    0xeb, 0xfd,                    // jmp to the hlt
};
// clang-format on
constexpr std::uint64_t kCounted = 1 + 1 + 2 * kRounds + 1;

Result<Outcome> run_code() {
  machine::MachineConfig config;
  config.model = silicon::x86::find_cpu_model("icelake-server");
  config.memory_bytes = kMemory;
  machine::SilentConsole console;
  const auto machine = machine::Machine::create(config, console);
  if (!machine) return tl::unexpected(machine.error());
  machine::boot::Image image;
  image.protocol = machine::boot::Protocol::kFreestanding;
  image.entry = kEntry;
  image.segments.push_back({kEntry, kCode.size(), kCode});
  const auto loaded =
      (*machine)->load(image, {.image = "self-test", .arguments = "", .modules = {}});
  if (!loaded) return tl::unexpected(loaded.error());
  return (*machine)->run({.instructions = kInstructionLimit});
}

Check guest_check(const SelfTest& test) {
  Check check{.name = "machine.guest", .detail = "", .cause = "", .remedy = ""};
  if (!test.error.empty()) {
    check.result = CheckResult::kFailed;
    check.detail = "a small guest could not be run";
    check.cause = test.error;
    check.remedy = "give this process a few MiB of memory; if it has that, report it as a bug";
  } else if (test.counted != test.expected) {
    check.result = CheckResult::kFailed;
    check.detail =
        fmt::format("a guest counted {} instructions, and not {}", test.counted, test.expected);
    check.cause = "vpmu was built wrongly, or has a bug";
    check.remedy = "run `make test`, and report what fails";
  } else {
    check.detail = fmt::format("a guest counted its {} instructions with its own PMU, all of them",
                               test.counted);
  }
  return check;
}

Check cpu_check(const HostFacts& facts) {
  return {.name = "machine.host",
          .result = CheckResult::kOk,
          .detail = fmt::format("{}, {}, Linux {}{}{}", facts.cpu.empty() ? "CPU" : facts.cpu,
                                facts.architecture_name, facts.kernel,
                                facts.virtual_machine ? ", a virtual machine" : "",
                                facts.container ? ", in a container" : ""),
          .cause = "",
          .remedy = ""};
}
}  // namespace

SelfTest run_self_test() {
  SelfTest test;
  test.expected = kCounted;
  const auto outcome = run_code();
  if (!outcome) {
    test.error = outcome.error().message;
  } else if (outcome->reason != Outcome::Reason::kDebugExit) {
    test.error = fmt::format("it ended by {}", name(outcome->reason));
  } else {
    test.counted = outcome->value;
  }
  return test;
}

Checks machine_checks(const SelfTest& test, const HostFacts& facts) {
  return {guest_check(test), cpu_check(facts)};
}

}  // namespace vpmu::cli::doctor
