// SPDX-License-Identifier: MIT
#include "cli/pmu_option.hpp"

#include "cli/key_values.hpp"

namespace vpmu::cli {

using virt::x86::PmuRequest;

namespace {

using Keys = RequestKeys<PmuRequest>;
constexpr Keys::Number kNumbers[] = {
    {"version", &PmuRequest::version},
    {"gp", &PmuRequest::gp},
    {"fixed", &PmuRequest::fixed},
    {"width", &PmuRequest::width},
    {"fixed-width", &PmuRequest::fixed_width},
};

constexpr Keys::Switch kSwitches[] = {
    {"fullwidth", &PmuRequest::full_width},   {"freeze", &PmuRequest::freeze},
    {"anythread", &PmuRequest::any_thread},   {"lbr", &PmuRequest::lbr},
    {"hgonly", &PmuRequest::host_guest_only}, {"corext", &PmuRequest::core_extension},
};

}  // namespace

const char* const kPmuOptionHelp =
    "The guest's PMU: on (as KVM gives it), off, or KEY=VALUE,... with version, gp, fixed "
    "(counters), "
    "width, fixed-width (bits), fullwidth, freeze, anythread, lbr (Intel), hgonly, corext (AMD) "
    "(on|off); of an arm64 guest version (PMUVer), counters";

Result<PmuRequest> parse_pmu_request(std::string_view text) {
  return parse_request<PmuRequest>(text, {kNumbers, kSwitches});
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
