// SPDX-License-Identifier: MIT
#include "cli/arm64_guest.hpp"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "cli/arm64_pmu_option.hpp"
#include "cli/arm64_spe_option.hpp"
#include "cli/host_events_option.hpp"
#include "cli/size_text.hpp"

namespace vpmu::cli {

namespace {
constexpr const char* kDefaultModel = "neoverse-n1";

/// What an arm64 guest has not, or not yet.
constexpr const char* kX86Options[] = {"--pv-perf", "--pv-perf-raw"};

/// `option`: as on the command line.
Result<const silicon::arm64::CpuModel*> find_model(const char* option, const std::string& name) {
  if (const auto* model = silicon::arm64::find_cpu_model(name)) return model;
  std::string known;
  for (const auto* model : silicon::arm64::cpu_models()) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", model->name);
  }
  return fail(fmt::format("{} '{}': is none of the CPU models of an arm64 guest; give one of {}",
                          option, name, known));
}
}  // namespace

Result<const silicon::arm64::CpuModel*> arm64_cpu_model(const GuestOptions& options) {
  return find_model("--cpu", options.given("--cpu") ? options.cpu : kDefaultModel);
}

Result<const silicon::arm64::CpuModel*> arm64_host_model(
    const GuestOptions& options, const silicon::arm64::CpuModel& otherwise) {
  if (!options.given("--host-cpu")) return &otherwise;
  return find_model("--host-cpu", options.host_cpu);
}

Result<void> check_arm64_options(const GuestOptions& options) {
  for (const char* option : kX86Options) {
    if (!options.given(option)) continue;
    return fail(
        fmt::format("{}: is for x86 guests, and this one is for arm64; leave it out", option));
  }
  return {};
}

Result<std::unique_ptr<machine::arm64::Machine>> make_arm64_machine(const GuestOptions& options,
                                                                    machine::Console& console) {
  if (auto checked = check_arm64_options(options); !checked) {
    return tl::unexpected(checked.error());
  }
  const auto model = arm64_cpu_model(options);
  if (!model) return tl::unexpected(model.error());
  const auto memory = parse_size(options.memory);
  if (!memory) return fail("--mem: " + memory.error().message);
  const auto pmu = arm64_pmu_config(**model, options.pmu);
  if (!pmu) return tl::unexpected(pmu.error());
  const auto host = arm64_host_model(options, **model);
  if (!host) return tl::unexpected(host.error());
  auto events = host_events(options, {**host, options.shared_host_cpus()});
  if (!events) return tl::unexpected(events.error());
  auto spe = arm64_spe_offer(options);
  if (!spe) return tl::unexpected(spe.error());
  const bool has_spe = spe->has_value();
  if (has_spe) {
    if (auto unit = check_spe_unit(**model, "--guest-spe"); !unit) {
      return tl::unexpected(unit.error());
    }
  }
  auto machine = machine::arm64::Machine::create({.model = *model,
                                                  .host_model = *host,
                                                  .vcpus = options.smp,
                                                  .memory_bytes = *memory,
                                                  .pmu = *pmu,
                                                  .quantum = options.quantum,
                                                  .host_cpus = options.host_cpus,
                                                  .host_events = std::move(*events),
                                                  .spe = std::move(*spe)},
                                                 console);
  if (machine && has_spe && (*machine)->vcpus().front()->spe() == nullptr) {
    return fail(
        "--spe-cpus: names no host CPU; name those with the unit, or leave --guest-spe out");
  }
  return machine;
}

}  // namespace vpmu::cli
