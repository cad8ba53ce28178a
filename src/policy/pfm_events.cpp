// SPDX-License-Identifier: MIT
#include "policy/pfm_events.hpp"

#include <perfmon/pfmlib.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "vpmu/silicon/x86/amd_pmu_registers.hpp"

namespace vpmu::policy {

namespace {
using silicon::x86::AmdEventSelect;
using silicon::x86::EventSelector;

/// Their counters are told what to count by other registers than an event select.
bool is_netburst(std::string_view pmu) {
  return pmu.starts_with("netburst");
}

/// libpfm4 knows the host's CPU, and others only if the environment says so while it starts. The
/// environment is as before afterwards.
bool initialize() {
  static const bool done = [] {
    constexpr char kVariable[] = "LIBPFM_ENCODE_INACTIVE";
    const bool was_set = std::getenv(kVariable) != nullptr;
    if (!was_set) setenv(kVariable, "1", 1);
    const bool initialized = pfm_initialize() == PFM_SUCCESS;
    if (!was_set) unsetenv(kVariable);
    return initialized;
  }();
  return done;
}

/// libpfm4's structures say how long they are.
template <class Info>
Info sized() {
  Info info{};
  info.size = sizeof info;
  return info;
}

struct Free {
  void operator()(std::uint64_t* codes) const { std::free(codes); }
};

/// By libpfm4's own name of the event.
std::optional<EventSelector> selector(const std::string& name, bool amd) {
  std::uint64_t* codes = nullptr;
  int count = 0;
  const int error =
      pfm_get_event_encoding(name.c_str(), PFM_PLM0 | PFM_PLM3, nullptr, nullptr, &codes, &count);
  const std::unique_ptr<std::uint64_t, Free> owned{codes};
  if (error != PFM_SUCCESS || count < 1) return {};
  const AmdEventSelect select{codes[0]};
  auto event = static_cast<std::uint16_t>(select.get(AmdEventSelect::kEvent));
  if (amd) {
    event |= static_cast<std::uint16_t>(select.get(AmdEventSelect::kEventHigh)
                                        << AmdEventSelect::kEvent.kWidth);
  }
  return EventSelector{event, static_cast<std::uint8_t>(select.get(AmdEventSelect::kUnitMask))};
}

/// One line, and as much of it as there is.
std::string description(const char* event, const char* unit_mask = nullptr) {
  std::string text = event == nullptr ? "" : event;
  if (unit_mask != nullptr && *unit_mask != 0) text += fmt::format("; {}", unit_mask);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text;
}

void add(const PfmPmu& pmu, std::string_view pfm_name, PfmEvent event, PfmEvents& to) {
  const auto found = selector(fmt::format("{}::{}", pmu.name, pfm_name), pmu.amd);
  if (!found) {
    ++to.left_out;
    return;
  }
  event.selector = *found;
  to.events.push_back(std::move(event));
}

void add_event(const PfmPmu& pmu, int index, PfmEvents& to) {
  auto event = sized<pfm_event_info_t>();
  if (pfm_get_event_info(index, PFM_OS_NONE, &event) != PFM_SUCCESS) return;
  bool has_unit_masks = false;
  for (int i = 0; i < event.nattrs; ++i) {
    auto mask = sized<pfm_event_attr_info_t>();
    if (pfm_get_event_attr_info(index, i, PFM_OS_NONE, &mask) != PFM_SUCCESS) continue;
    if (mask.type != PFM_ATTR_UMASK) continue;
    has_unit_masks = true;
    add(pmu, fmt::format("{}:{}", event.name, mask.name),
        {fmt::format("{}.{}", event.name, mask.name), description(event.desc, mask.desc), {}}, to);
  }
  if (!has_unit_masks) add(pmu, event.name, {event.name, description(event.desc), {}}, to);
}
}  // namespace

std::vector<PfmPmu> pfm_core_pmus() {
  std::vector<PfmPmu> pmus;
  if (!initialize()) return pmus;
  for (int i = PFM_PMU_NONE; i < PFM_PMU_MAX; ++i) {
    auto info = sized<pfm_pmu_info_t>();
    if (pfm_get_pmu_info(static_cast<pfm_pmu_t>(i), &info) != PFM_SUCCESS) continue;
    if (info.type != PFM_PMU_TYPE_CORE || info.nevents == 0 || is_netburst(info.name)) continue;
    const bool amd = std::string_view{info.name}.starts_with("amd64_");
    pmus.push_back({.name = info.name,
                    .description = info.desc,
                    .amd = amd,
                    .fixed_counters = static_cast<unsigned>(info.num_fixed_cntrs),
                    .first_event = info.first_event});
  }
  return pmus;
}

PfmEvents pfm_events(const PfmPmu& pmu) {
  PfmEvents events;
  if (!initialize()) return events;
  for (int index = pmu.first_event; index != -1; index = pfm_get_event_next(index)) {
    add_event(pmu, index, events);
  }
  return events;
}

}  // namespace vpmu::policy
