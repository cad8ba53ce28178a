// SPDX-License-Identifier: MIT
#include "cli/cpu_command.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/cpu_text.hpp"
#include "cli/wrap.hpp"

namespace vpmu::cli {

namespace {
using silicon::x86::CountedOn;
using silicon::x86::CpuidResult;
using silicon::x86::CpuModel;
using silicon::x86::EventRow;
using silicon::x86::LbrModel;
using silicon::x86::PmuModel;
using silicon::x86::Vendor;

bool is_intel(const CpuModel& model) {
  return model.vendor == Vendor::kIntel;
}

std::string pmu_version(const CpuModel& model) {
  if (is_intel(model)) return fmt::format("version {}", model.pmu.version);
  return model.pmu.version >= 2 ? "PerfMonV2" : "core";
}

std::string counters_text(const PmuModel& pmu) {
  if (pmu.fixed_counters == 0) return fmt::format("{}", pmu.gp_counters);
  return fmt::format("{} + {} fixed", pmu.gp_counters, pmu.fixed_counters);
}

/// "any", "0-3", "1": the counters in `mask` of the `existing` ones.
std::string counter_set(unsigned mask, unsigned existing) {
  mask &= (1U << existing) - 1;
  if (mask == (1U << existing) - 1) return "any";
  std::string text;
  for (unsigned first = 0; first < existing; ++first) {
    if ((mask >> first & 1) == 0) continue;
    unsigned last = first;
    while (mask >> (last + 1) & 1) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ",", first);
    if (last != first) text += fmt::format("-{}", last);
    first = last;
  }
  return text;
}

std::string counters_of(const CpuModel& model, const EventRow& event) {
  if (event.counted_on == CountedOn::kFixedCounter) return fmt::format("fixed {}", event.fixed);
  std::string general = counter_set(event.counters, model.pmu.gp_counters);
  if (event.fixed == silicon::x86::kNoFixedCounter) return general;
  return fmt::format("{}, fixed {}", general, event.fixed);
}

void print_leaf(std::string& text, const CpuModel& model, std::uint32_t leaf) {
  const CpuidResult result = silicon::x86::cpuid(model, {}, leaf, 0);
  fmt::format_to(std::back_inserter(text),
                 "  CPUID {:08X}H  EAX {:08x}  EBX {:08x}  ECX {:08x}  EDX {:08x}\n", leaf,
                 result.eax, result.ebx, result.ecx, result.edx);
}

/// The architectural events that CPUID.0AH says are there.
std::string architectural_events_text(const PmuModel& pmu) {
  std::string text;
  const auto events = silicon::x86::architectural_events();
  for (std::size_t n = 0; n < events.size() && n < pmu.arch_event_length; ++n) {
    if (pmu.arch_events_unavailable >> n & 1) continue;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", events[n].name);
  }
  return text;
}

/// With commas between them.
std::string model_names(const auto& models) {
  std::string names;
  for (const auto* model : models) {
    fmt::format_to(std::back_inserter(names), "{}{}", names.empty() ? "" : ", ", model->name);
  }
  return names;
}

Error not_known(std::string_view name, std::string_view known) {
  return {fmt::format("CPU model '{}' is not known; give one of: {}", name, known)};
}

std::string branch_records_text(const LbrModel& lbr) {
  if (!lbr.exists()) return "none";
  std::string text;
  if (lbr.architectural()) {
    for (unsigned depth = 8; depth <= lbr.depth; depth += 8) {
      if ((lbr.depths >> (depth / 8 - 1) & 1) == 0) continue;
      const char* before = text.empty() ? "" : depth == lbr.depth ? " or " : ", ";
      text += fmt::format("{}{}", before, depth);
    }
    text += ", architectural";
  } else {
    text = fmt::format("{}, format {}", lbr.depth, static_cast<unsigned>(lbr.format));
  }
  if (lbr.call_stack) text += ", call stack";
  if (lbr.tsx) text += ", transactions";
  return text;
}
}  // namespace

Result<const CpuModel*> cpu_model(const std::string& name) {
  if (const CpuModel* model = silicon::x86::find_cpu_model(name)) return model;
  return tl::unexpected(not_known(name, model_names(silicon::x86::cpu_models())));
}

Error no_cpu_model(std::string_view name) {
  return not_known(name, fmt::format("{}, {}", model_names(silicon::x86::cpu_models()),
                                     model_names(silicon::arm64::cpu_models())));
}

CpuLine list_line(const CpuModel& model) {
  return {.name = std::string{model.name},
          .vendor = name(model.vendor),
          .identity = fmt::format("{:#x}/{:#x}", model.family, model.model),
          .hz = model.hz,
          .pmu = pmu_version(model),
          .counters = counters_text(model.pmu),
          .memory = &model.memory};
}

std::string list_cpus() {
  constexpr auto kLine = "{:<16} {:<6} {:<12} {:<5} {:<10} {:<11} {:<8} {:<9} {}\n";
  std::vector<CpuLine> cpus;
  for (const CpuModel* model : silicon::x86::cpu_models()) cpus.push_back(list_line(*model));
  for (const auto* model : silicon::arm64::cpu_models()) cpus.push_back(list_line(*model));
  std::string text = fmt::format(kLine, "model", "vendor", "family/model", "GHz", "PMU", "counters",
                                 "L1D", "L2", "LLC");
  for (const CpuLine& cpu : cpus) {
    fmt::format_to(std::back_inserter(text), kLine, cpu.name, cpu.vendor, cpu.identity,
                   gigahertz_text(cpu.hz), cpu.pmu, cpu.counters, size_text(cpu.memory->l1d),
                   size_text(cpu.memory->l2), size_text(cpu.memory->llc));
  }
  return text;
}

std::string show_cpu(const CpuModel& model) {
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{}\n", model.name);
  fmt::format_to(out, "  identity         {}, family {:#x}, model {:#x}, stepping {}\n",
                 name(model.vendor), model.family, model.model, model.stepping);
  fmt::format_to(out, "  clock            {} GHz (core, TSC and reference), crystal {} MHz\n",
                 gigahertz_text(model.hz), model.crystal_hz / 1'000'000);
  fmt::format_to(out, "  PMU              {}\n", pmu_version(model));
  fmt::format_to(out, "  counters         {}, of {} bits\n", counters_text(model.pmu),
                 model.pmu.gp_width);
  if (is_intel(model)) {
    print_leaf(text, model, 0xa);
    fmt::format_to(out, "{}\n",
                   wrapped("  architectural    ", 19, architectural_events_text(model.pmu)));
    fmt::format_to(out, "  full-width MSRs  {}\n",
                   model.pmu.perf_capabilities >> 13 & 1 ? "yes" : "no");
    fmt::format_to(out, "  transactions     {}\n", model.tsx ? "abort at once" : "none");
  } else {
    print_leaf(text, model, 0x80000001);
    if (model.pmu.version >= 2) print_leaf(text, model, 0x80000022);
  }
  fmt::format_to(out, "  branch records   {}\n", branch_records_text(model.lbr));
  if (model.lbr.architectural()) print_leaf(text, model, 0x1c);
  fmt::format_to(out, "  issue slots      {} per cycle\n", model.slots_per_cycle);
  text += memory_text(model.memory);
  fmt::format_to(out, "  events           {}, see `vpmu cpu show {} --events`\n",
                 model.events.size(), model.name);
  return text;
}

std::string show_events(const CpuModel& model) {
  constexpr std::size_t kNameColumns = 42;
  constexpr auto kLine = "{:<42} {:<5} {:<5} {:<12} {}\n";
  std::string text = fmt::format(kLine, "name", "event", "umask", "counters", "counts");
  for (const EventRow& event : model.events) {
    std::string_view name = event.name;
    if (name.size() > kNameColumns) {
      text += fmt::format("{}\n", name);
      name = "";
    }
    fmt::format_to(std::back_inserter(text), kLine, name,
                   fmt::format("{:#04x}", event.selector.event),
                   fmt::format("{:#04x}", event.selector.unit_mask), counters_of(model, event),
                   silicon::name(event.raw));
    text += event_note_text(event.note, event.source);
  }
  return text;
}

}  // namespace vpmu::cli
