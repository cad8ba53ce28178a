// SPDX-License-Identifier: MIT
#include "cli/pv_perf_option.hpp"

#include <string>

#include "cli/cpu_command.hpp"
#include "cli/filter_option.hpp"
#include "cli/key_values.hpp"
#include "machine/pc/vcpu_pv_perf.hpp"

namespace vpmu::cli {

using silicon::x86::CpuModel;
using virt::x86::PvPerfConfig;
using virt::x86::PvPerfRequest;
using virt::x86::pv::Features;

namespace {

using Keys = RequestKeys<PvPerfRequest>;
constexpr Keys::Number kNumbers[] = {
    {"events", &PvPerfRequest::events},
    {"width", &PvPerfRequest::width},
    {"publish-us", &PvPerfRequest::publish_us},
    {"min-period", &PvPerfRequest::minimum_period},
    {"interrupts-per-ms", &PvPerfRequest::interrupts_per_ms},
    {"msr-base", &PvPerfRequest::msr_base},
};

constexpr Keys::Switch kSwitches[] = {
    {"area", &PvPerfRequest::area},   {"batch", &PvPerfRequest::batch},
    {"rdpmc", &PvPerfRequest::rdpmc}, {"auto-reload", &PvPerfRequest::auto_reload},
    {"raw", &PvPerfRequest::raw},     {"hypercalls", &PvPerfRequest::hypercalls},
    {"pool", &PvPerfRequest::pool},
};

}  // namespace

const char* const kPvPerfOptionHelp =
    "Paravirtual performance interface (docs/abi/pv-perf.md): on, off, or KEY=VALUE,... with "
    "events (1 to 32 for each vCPU, default 16), width (48 to 64 bits), publish-us (period of the "
    "shared page, 0: on request only), min-period, interrupts-per-ms, msr-base, and area, batch, "
    "rdpmc, auto-reload, raw, hypercalls (on|off), pool (on: only what every CPU model can do)";
const char* const kPvPerfRawOptionHelp =
    "File with the raw events that the guest may name in PV perf, as a filter of the host's CPU "
    "in one of the forms of --filter; default: all that the CPU model has";
const char* const kHostCpuOptionHelp =
    "CPU model of the host, whose counters count for the guest; default: the guest's. Another one "
    "needs --pmu off: the guest then counts with --pv-perf, or is counted from outside";

Result<PvPerfRequest> parse_pv_perf_request(std::string_view text) {
  return parse_request<PvPerfRequest>(text, {kNumbers, kSwitches, true});
}

Result<std::optional<PvPerfConfig>> pv_perf_config(const CpuModel& model, const CpuModel& host,
                                                   std::string_view text) {
  if (text == "off") return std::nullopt;
  const auto request =
      text == "on" ? Result<PvPerfRequest>{PvPerfRequest{}} : parse_pv_perf_request(text);
  const auto config = request.and_then(
      [&](const PvPerfRequest& wanted) { return machine::offer_to_guest(model, host, wanted); });
  if (!config) return fail("--pv-perf: " + config.error().message);
  return *config;
}

Result<const CpuModel*> host_model(const GuestOptions& options, const CpuModel* otherwise) {
  if (!options.given("--host-cpu")) return otherwise;
  return cpu_model(options.host_cpu).map_error([](const Error& error) {
    return Error{"--host-cpu: " + error.message};
  });
}

Result<std::shared_ptr<const virt::x86::EventFilter>> pv_perf_raw(
    const GuestOptions& options, const CpuModel& host, const std::optional<PvPerfConfig>& config) {
  if (!options.given("--pv-perf-raw")) return nullptr;
  if (!config) {
    return fail("--pv-perf-raw: the guest is not offered PV perf; give --pv-perf on, too");
  }
  if (!config->has(Features::kRaw)) {
    return fail("--pv-perf-raw: the guest may name no raw events at all; give --pv-perf raw=on");
  }
  auto filter = load_filter(options.pv_perf_raw, host);
  if (!filter) return fail("--pv-perf-raw: " + filter.error().message);
  return std::shared_ptr<const virt::x86::EventFilter>{std::move(*filter)};
}

}  // namespace vpmu::cli
