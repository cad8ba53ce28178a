// SPDX-License-Identifier: MIT
#include "cli/cpu_command.hpp"

#include <iterator>

#include <fmt/format.h>

namespace vpmu::cli {

namespace {
using silicon::x86::CountedOn;
using silicon::x86::CpuModel;
using silicon::x86::EventRow;

const char* vendor_name(silicon::x86::Vendor vendor) {
  return vendor == silicon::x86::Vendor::kIntel ? "Intel" : "AMD";
}

std::string counters_of(const EventRow& event) {
  if (event.counted_on == CountedOn::kFixedCounter) return fmt::format("fixed {}", event.fixed);
  if (event.fixed != silicon::x86::kNoFixedCounter)
    return fmt::format("any, fixed {}", event.fixed);
  return "any";
}
}  // namespace

Result<const CpuModel*> cpu_model(const std::string& name) {
  if (const CpuModel* model = silicon::x86::find_cpu_model(name)) return model;
  std::string known;
  for (const CpuModel* model : silicon::x86::cpu_models()) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", model->name);
  }
  return fail(fmt::format("CPU model '{}' is not known; give one of: {}", name, known));
}

std::string list_cpus() {
  std::string text;
  for (const CpuModel* model : silicon::x86::cpu_models()) {
    fmt::format_to(std::back_inserter(text), "{:<20} {}, family {}, model {:#x}, {:.1f} GHz\n",
                   model->name, vendor_name(model->vendor), model->family, model->model,
                   static_cast<double>(model->hz) / 1e9);
  }
  return text;
}

std::string show_cpu(const CpuModel& model) {
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{}\n  {}, family {}, model {:#x}, stepping {}\n", model.name,
                 vendor_name(model.vendor), model.family, model.model, model.stepping);
  fmt::format_to(out, "  core, TSC and reference clock {} Hz, crystal {} Hz\n", model.hz,
                 model.crystal_hz);
  fmt::format_to(out, "  PMU version {}: {} counters of {} bits, {} fixed counters of {} bits\n\n",
                 model.pmu.version, model.pmu.gp_counters, model.pmu.gp_width,
                 model.pmu.fixed_counters, model.pmu.fixed_width);
  fmt::format_to(out, "{:<36} {:>5} {:>5}  {:<13} {}\n", "event", "event", "umask", "counters",
                 "counts");
  for (const EventRow& event : model.events) {
    fmt::format_to(out, "{:<36} {:#05x} {:#05x}  {:<13} {}", event.name, event.selector.event,
                   event.selector.unit_mask, counters_of(event), silicon::name(event.raw));
    if (event.note[0] != '\0') fmt::format_to(out, " ({})", event.note);
    fmt::format_to(out, "\n");
  }
  return text;
}

}  // namespace vpmu::cli
