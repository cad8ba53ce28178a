// SPDX-License-Identifier: MIT
#include "cli/pv_perf_option.hpp"

#include <charconv>
#include <string>

#include <fmt/format.h>

#include "cli/cpu_command.hpp"
#include "cli/filter_option.hpp"
#include "machine/pc/vcpu_pv_perf.hpp"

namespace vpmu::cli {

using silicon::x86::CpuModel;
using virt::x86::PvPerfConfig;
using virt::x86::PvPerfRequest;
using virt::x86::pv::Features;

namespace {

struct NumberKey {
  std::string_view key;
  std::optional<unsigned> PvPerfRequest::*member;
};
constexpr NumberKey kNumbers[] = {
    {"events", &PvPerfRequest::events},
    {"width", &PvPerfRequest::width},
    {"publish-us", &PvPerfRequest::publish_us},
    {"min-period", &PvPerfRequest::minimum_period},
    {"interrupts-per-ms", &PvPerfRequest::interrupts_per_ms},
    {"msr-base", &PvPerfRequest::msr_base},
};

struct SwitchKey {
  std::string_view key;
  std::optional<bool> PvPerfRequest::*member;
};
constexpr SwitchKey kSwitches[] = {
    {"area", &PvPerfRequest::area},   {"batch", &PvPerfRequest::batch},
    {"rdpmc", &PvPerfRequest::rdpmc}, {"auto-reload", &PvPerfRequest::auto_reload},
    {"raw", &PvPerfRequest::raw},     {"hypercalls", &PvPerfRequest::hypercalls},
    {"pool", &PvPerfRequest::pool},
};

std::string known_keys() {
  std::string keys;
  for (const NumberKey& number : kNumbers) keys += fmt::format("{}, ", number.key);
  for (const SwitchKey& each : kSwitches) keys += fmt::format("{}, ", each.key);
  return keys.substr(0, keys.size() - 2);
}

template <class T>
Result<void> set_once(std::optional<T>& member, std::string_view key, T value) {
  if (member) return fail(fmt::format("{} is given twice; leave one of them out", key));
  member = value;
  return {};
}

/// Decimal, or hexadecimal behind 0x.
std::optional<unsigned> parse_number(std::string_view text) {
  const bool hexadecimal = text.starts_with("0x");
  if (hexadecimal) text.remove_prefix(2);
  unsigned number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, hexadecimal ? 16 : 10);
  if (text.empty() || error != std::errc{} || rest != end) return std::nullopt;
  return number;
}

Result<void> set(PvPerfRequest& request, std::string_view key, std::string_view value) {
  for (const NumberKey& each : kNumbers) {
    if (each.key != key) continue;
    const auto number = parse_number(value);
    if (!number) return fail(fmt::format("{}={}: give a number of 32 bits", key, value));
    return set_once(request.*each.member, key, *number);
  }
  for (const SwitchKey& each : kSwitches) {
    if (each.key != key) continue;
    if (value != "on" && value != "off") {
      return fail(fmt::format("{}={}: give on or off", key, value));
    }
    return set_once(request.*each.member, key, value == "on");
  }
  return fail(fmt::format("'{}' is none of on, off, {}; give one of them", key, known_keys()));
}

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
    "needs --pmu off: the guest then counts with --pv-perf";

Result<PvPerfRequest> parse_pv_perf_request(std::string_view text) {
  PvPerfRequest request;
  for (;;) {
    const std::size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    const std::size_t equals = item.find('=');
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view{} : item.substr(equals + 1);
    if (auto ok = set(request, item.substr(0, equals), value); !ok) {
      return tl::unexpected(ok.error());
    }
    if (comma == std::string_view::npos) return request;
    text.remove_prefix(comma + 1);
  }
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
