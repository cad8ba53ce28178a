// SPDX-License-Identifier: MIT
#include "cli/pmu_option.hpp"

#include <charconv>

#include <fmt/format.h>

namespace vpmu::cli {

using virt::x86::PmuRequest;

namespace {

struct NumberKey {
  std::string_view key;
  std::optional<unsigned> PmuRequest::*member;
};
constexpr NumberKey kNumbers[] = {
    {"version", &PmuRequest::version},
    {"gp", &PmuRequest::gp},
    {"fixed", &PmuRequest::fixed},
    {"width", &PmuRequest::width},
    {"fixed-width", &PmuRequest::fixed_width},
};

struct SwitchKey {
  std::string_view key;
  std::optional<bool> PmuRequest::*member;
};
constexpr SwitchKey kSwitches[] = {
    {"fullwidth", &PmuRequest::full_width},   {"freeze", &PmuRequest::freeze},
    {"anythread", &PmuRequest::any_thread},   {"lbr", &PmuRequest::lbr},
    {"hgonly", &PmuRequest::host_guest_only}, {"corext", &PmuRequest::core_extension},
};

std::string known_keys() {
  std::string keys;
  for (const NumberKey& number : kNumbers) keys += fmt::format("{}, ", number.key);
  for (const SwitchKey& each : kSwitches) keys += fmt::format("{}, ", each.key);
  return keys.substr(0, keys.size() - 2);
}

template <class T>
Result<void> set_once(std::optional<T>& member, std::string_view key, T value) {
  if (member) return fail(fmt::format("{} is given twice", key));
  member = value;
  return {};
}

Result<void> set(PmuRequest& request, std::string_view key, std::string_view value) {
  for (const NumberKey& number : kNumbers) {
    if (number.key != key) continue;
    unsigned parsed = 0;
    const char* end = value.data() + value.size();
    const auto [rest, error] = std::from_chars(value.data(), end, parsed);
    if (value.empty() || error != std::errc{} || rest != end) {
      return fail(fmt::format("{}={}: give a number", key, value));
    }
    return set_once(request.*number.member, key, parsed);
  }
  for (const SwitchKey& each : kSwitches) {
    if (each.key != key) continue;
    if (value != "on" && value != "off") {
      return fail(fmt::format("{}={}: give on or off", key, value));
    }
    return set_once(request.*each.member, key, value == "on");
  }
  return fail(fmt::format("'{}' is none of on, off, {}", key, known_keys()));
}

}  // namespace

const char* const kPmuOptionHelp =
    "The guest's PMU: on (as KVM gives it), off, or KEY=VALUE,... with version, gp, fixed "
    "(counters), "
    "width, fixed-width (bits), fullwidth, freeze, anythread, lbr (Intel), hgonly, corext (AMD) "
    "(on|off)";

Result<PmuRequest> parse_pmu_request(std::string_view text) {
  PmuRequest request;
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

Result<virt::x86::PmuConfig> pmu_config(const silicon::x86::CpuModel& model,
                                        std::string_view text) {
  if (text == "on") return virt::x86::guest_pmu(model);
  if (text == "off") return virt::x86::no_pmu(model.vendor);
  const auto config = parse_pmu_request(text).and_then(
      [&](const PmuRequest& request) { return virt::x86::restrict_pmu(model, request); });
  if (!config) return fail("--pmu: " + config.error().message);
  return *config;
}

}  // namespace vpmu::cli
