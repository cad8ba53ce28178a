// SPDX-License-Identifier: MIT
//
// `vpmu cpu list` and `vpmu cpu show MODEL [--events]`: text for a terminal of 100 columns.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vpmu/base/result.hpp"
#include "vpmu/silicon/arm64/cpu_model.hpp"
#include "vpmu/silicon/memory_hierarchy.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::cli {

/// The model of that name; the error lists those there are of x86.
Result<const silicon::x86::CpuModel*> cpu_model(const std::string& name);
/// There is no model of that name, of whatever architecture: lists all there are.
Error no_cpu_model(std::string_view name);

/// A line of `vpmu cpu list`.
struct CpuLine {
  std::string name, vendor, identity;
  std::uint64_t hz;
  std::string pmu, counters;
  const silicon::MemoryHierarchy* memory;
};
CpuLine list_line(const silicon::x86::CpuModel& model);
CpuLine list_line(const silicon::arm64::CpuModel& model);

/// A table with one line per model, x86's first, under a line of headings.
std::string list_cpus();
/// Identity, PMU, memory hierarchy of a model.
std::string show_cpu(const silicon::x86::CpuModel& model);
std::string show_cpu(const silicon::arm64::CpuModel& model);
/// Its events: two lines each, or three where the name is long; what is below an event is indented.
std::string show_events(const silicon::x86::CpuModel& model);
std::string show_events(const silicon::arm64::CpuModel& model);

}  // namespace vpmu::cli
