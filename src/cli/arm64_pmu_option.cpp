// SPDX-License-Identifier: MIT
#include "cli/arm64_pmu_option.hpp"

#include <optional>

#include <fmt/format.h>

#include "cli/key_values.hpp"

namespace vpmu::cli {

namespace {
using virt::arm64::PmuConfig;

/// Out of what a CPU model's PMU is.
struct Request {
  std::optional<unsigned> version{};   ///< ID_AA64DFR0_EL1.PMUVer
  std::optional<unsigned> counters{};  ///< event counters; the cycle counter is one more
};

using Keys = RequestKeys<Request>;
constexpr Keys::Number kNumbers[] = {
    {"version", &Request::version},
    {"counters", &Request::counters},
};

Result<PmuConfig> restricted(const silicon::arm64::CpuModel& model, const Request& request) {
  PmuConfig config = virt::arm64::guest_pmu(model);
  if (request.version.value_or(0) > config.version) {
    return fail(fmt::format("--pmu: version={}: {} has version {}; give that or a lower one",
                            *request.version, model.name, config.version));
  }
  if (request.counters.value_or(0) > config.event_counters) {
    return fail(fmt::format("--pmu: counters={}: {} has {}; give that or fewer", *request.counters,
                            model.name, config.event_counters));
  }
  config.version = static_cast<std::uint8_t>(request.version.value_or(config.version));
  config.event_counters =
      static_cast<std::uint8_t>(request.counters.value_or(config.event_counters));
  if (config.version < silicon::arm64::kPmuV3p4) config.slots = 0;
  if (config.version != 0 && possible(config)) return config;
  return fail(
      fmt::format("--pmu: version={}: there is no such PMU; give 1, 4, 5 or 6", config.version));
}
}  // namespace

Result<PmuConfig> arm64_pmu_config(const silicon::arm64::CpuModel& model, std::string_view text) {
  if (text == "on") return virt::arm64::guest_pmu(model);
  if (text == "off") return PmuConfig{};
  const auto request = parse_request<Request>(text, {kNumbers, {}});
  if (!request) return fail("--pmu: " + request.error().message);
  return restricted(model, *request);
}

}  // namespace vpmu::cli
