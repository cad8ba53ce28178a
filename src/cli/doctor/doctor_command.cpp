// SPDX-License-Identifier: MIT
#include "cli/doctor/doctor_command.hpp"

#include <unistd.h>

#include <cstdio>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "cli/answer.hpp"
#include "cli/doctor/linux_host.hpp"
#include "cli/doctor/output.hpp"

namespace vpmu::cli::doctor {

namespace {
void append(Checks& checks, Checks more) {
  checks.insert(checks.end(), std::move_iterator{more.begin()}, std::move_iterator{more.end()});
}

bool wants_colour(const Host& host) {
  return isatty(STDOUT_FILENO) != 0 && host.variable("NO_COLOR").empty() &&
         host.variable("TERM") != "dumb";
}
}  // namespace

Checks examine(const Host& host, hostperf::PerfSystem& perf, machine::kvm::KvmSystem& kvm) {
  const HostFacts facts = host_facts(host);
  const hostperf::PerfProbes perf_probes = hostperf::probe_perf(perf);
  const machine::kvm::KvmProbes kvm_probes = machine::kvm::probe_kvm(kvm, facts.architecture);
  Checks checks = machine_checks(run_self_test(), facts);
  append(checks, kvm_checks(kvm_probes, facts, host, hostperf::perf_answer(perf_probes.cycles)));
  append(checks, perf_checks(perf_probes, facts, host));
  append(checks, limit_checks(facts, host));
  append(checks, tool_checks(host));
  return checks;
}

int run_doctor(bool as_json) {
  const LinuxHost host{};
  hostperf::LinuxPerfSystem perf;
  machine::kvm::LinuxKvmSystem kvm;
  const Checks checks = examine(host, perf, kvm);
  using Json = nlohmann::ordered_json;
  const std::string output =
      as_json ? json(checks).dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
              : text(checks, wants_colour(host));
  if (const int unprinted = print(output)) return unprinted;
  return runs_guests(checks) ? 0 : kStatusBroken;
}

}  // namespace vpmu::cli::doctor
