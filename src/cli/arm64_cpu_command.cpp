// SPDX-License-Identifier: MIT
//
// `vpmu cpu` on AArch64 models.
#include <iterator>

#include <fmt/format.h>

#include "cli/cpu_command.hpp"
#include "cli/cpu_text.hpp"
#include "vpmu/silicon/arm64/pmu_registers.hpp"
#include "vpmu/silicon/arm64/spe_model.hpp"

namespace vpmu::cli {

using silicon::arm64::CpuModel;
using silicon::arm64::EventRow;

namespace {

unsigned part(const CpuModel& model) {
  return model.midr >> 4 & 0xfff;
}

/// "r3p1".
std::string revision(const CpuModel& model) {
  return fmt::format("r{}p{}", model.midr >> 20 & 0xf, model.midr & 0xf);
}

const char* vendor(const CpuModel& model) {
  return model.implementer() == silicon::arm64::Implementer::kArm ? "Arm" : "none";
}

bool has_chain(const CpuModel& model) {
  return model.pmu.version < silicon::arm64::kPmuV3p5;
}

std::string spe_text(const silicon::arm64::SpeModel& spe) {
  using silicon::arm64::Pmsidr;
  if (spe.version == 0) return "none";
  const Pmsidr id{spe.pmsidr};
  const bool first = spe.version == silicon::arm64::kSpeV1;
  return fmt::format(
      "SPEv1{}, ID_AA64DFR0_EL1.PMSVer {}, records of up to {} bytes, counters of {} bits",
      first ? "" : fmt::format("p{}", spe.version - silicon::arm64::kSpeV1), spe.version,
      1U << id.get(Pmsidr::kMaxSize), id.get(Pmsidr::kCountSize) == 3 ? 16 : 12);
}

}  // namespace

CpuLine list_line(const CpuModel& model) {
  return {.name = std::string{model.name},
          .vendor = vendor(model),
          .identity = fmt::format("{:#x}/{}", part(model), revision(model)),
          .hz = model.hz,
          .pmu = silicon::arm64::pmu_version_name(model.pmu.version),
          .counters = fmt::format("{} + cycles", model.pmu.event_counters),
          .memory = &model.memory};
}

std::string show_cpu(const CpuModel& model) {
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{}\n", model.name);
  fmt::format_to(out, "  identity         {}, part {:#x}, revision {}, MIDR_EL1 {:#010x}\n",
                 vendor(model), part(model), revision(model), model.midr);
  fmt::format_to(out, "  clock            {} GHz, generic counter {} MHz\n",
                 gigahertz_text(model.hz), model.counter_hz / 1'000'000);
  fmt::format_to(out, "  PMU              {}, ID_AA64DFR0_EL1.PMUVer {}\n",
                 silicon::arm64::pmu_version_name(model.pmu.version), model.pmu.version);
  fmt::format_to(out, "  counters         {} of {} bits{}, and the cycle counter of 64\n",
                 model.pmu.event_counters, has_chain(model) ? 32 : 64,
                 has_chain(model) ? " (pairs of 64 by CHAIN)" : "");
  fmt::format_to(out, "  PMCEID0_EL0      {:#018x}, and SW_INCR{}\n",
                 common_events(model.events, 0) & ~silicon::arm64::kSampleEvents,
                 has_chain(model) ? " and CHAIN" : "");
  fmt::format_to(out, "  PMCEID1_EL0      {:#018x}\n", common_events(model.events, 32));
  fmt::format_to(out, "  SPE              {}\n", spe_text(model.spe));
  if (model.spe.version != 0) {
    fmt::format_to(out, "                   PMCEID0_EL0 of guests with it has {:#x}, too\n",
                   common_events(model.events, 0) & silicon::arm64::kSampleEvents);
  }
  fmt::format_to(out, "  issue slots      {} per cycle\n", model.slots_per_cycle);
  text += memory_text(model.memory);
  fmt::format_to(out, "  events           {}, see `vpmu cpu show {} --events`\n",
                 model.events.size(), model.name);
  return text;
}

std::string show_events(const CpuModel& model) {
  constexpr auto kLine = "{:<42} {:<6} {}\n";
  std::string text = fmt::format(kLine, "name", "event", "counts");
  for (const EventRow& event : model.events) {
    fmt::format_to(std::back_inserter(text), kLine, event.name,
                   fmt::format("{:#06x}", event.number), silicon::name(event.raw));
    text += event_note_text(event.note, event.source);
  }
  return text;
}

}  // namespace vpmu::cli
