// SPDX-License-Identifier: MIT
#include "cli/event_notation.hpp"

#include <array>

#include <fmt/format.h>

#include "policy/nearest_names.hpp"
#include "policy/number.hpp"
#include "vpmu/silicon/x86/event_selector.hpp"
#include "vpmu/silicon/x86/pmu_registers.hpp"

namespace vpmu::cli {

namespace {
using silicon::RawEvent;
using Field = EventNotation::Field;

std::string lower(std::string_view text) {
  std::string result{text};
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::string names_like(std::string_view wanted, const EventNotation& notation) {
  std::vector<std::string_view> names;
  for (const auto& event : notation.generic) {
    if (event.config) names.push_back(event.name);
  }
  for (const auto& event : notation.names) names.push_back(event.name);
  return fmt::format("{}", fmt::join(policy::nearest_names(wanted, names), ", "));
}

std::uint64_t set_config(std::uint64_t, std::uint64_t value) {
  return value;
}

// ---- x86 ----------------------------------------------------------------------------------------

namespace x86 {
using silicon::x86::CpuModel;
using silicon::x86::event_select_of;
using silicon::x86::EventRow;
using silicon::x86::EventSelect;
using silicon::x86::Vendor;

struct GenericEvent {
  std::string_view name;
  RawEvent raw;
};
/// Linux's hardware events, and what they are on a modelled CPU.
constexpr GenericEvent kGenericEvents[] = {
    {"cycles", RawEvent::kCycles},
    {"cpu-cycles", RawEvent::kCycles},
    {"instructions", RawEvent::kInstructions},
    {"branches", RawEvent::kBranches},
    {"branch-instructions", RawEvent::kBranches},
    {"branch-misses", RawEvent::kMispredictedBranches},
    {"cache-references", RawEvent::kLlcReferences},
    {"cache-misses", RawEvent::kLlcMisses},
    {"ref-cycles", RawEvent::kReferenceCycles},
};

template <Vendor kVendor>
std::uint64_t set_event(std::uint64_t config, std::uint64_t value) {
  return (config & ~event_select_of(kVendor, {0xfff, 0})) |
         event_select_of(kVendor, {static_cast<std::uint16_t>(value), 0});
}

template <auto kField>
std::uint64_t set_field(std::uint64_t config, std::uint64_t value) {
  EventSelect select{{config}};
  select.set(kField, value);
  return select.raw;
}

/// The row that counts it, rather one that any counter can count.
const EventRow* row_of(RawEvent raw, const CpuModel& model) {
  const EventRow* fixed = nullptr;
  for (const EventRow& row : model.events) {
    if (row.raw != raw) continue;
    if (row.counted_on == silicon::x86::CountedOn::kAnyCounter) return &row;
    if (fixed == nullptr) fixed = &row;
  }
  return fixed;
}

EventNotation notation(const CpuModel& model) {
  static constexpr std::string_view kUnits[] = {"cpu"};
  const bool intel = model.vendor == Vendor::kIntel;
  EventNotation result;
  result.model = model.name;
  result.units = kUnits;
  result.most_raw = ~std::uint64_t{0};
  result.fields = {
      intel ? Field{"event", EventSelect::kEvent.kMax, set_event<Vendor::kIntel>}
            : Field{"event", 0xfff, set_event<Vendor::kAmd>},
      {"umask", 0xff, set_field<EventSelect::kUnitMask>},
      {"cmask", 0xff, set_field<EventSelect::kCmask>},
      {"inv", 1, set_field<EventSelect::kInv>},
      {"edge", 1, set_field<EventSelect::kEdge>},
      {"in_tx", 1, set_field<EventSelect::kInTx>},
      {"in_tx_cp", 1, set_field<EventSelect::kInTxcp>},
      {"config", ~std::uint64_t{0}, set_config},
  };
  for (const EventRow& row : model.events) {
    result.names.push_back({row.name, event_select_of(model.vendor, row.selector)});
  }
  for (const GenericEvent& event : kGenericEvents) {
    const EventRow* row = row_of(event.raw, model);
    result.generic.push_back({event.name, {}});
    if (row != nullptr) result.generic.back().config = event_select_of(model.vendor, row->selector);
  }
  return result;
}
}  // namespace x86

// ---- AArch64 ------------------------------------------------------------------------------------

namespace arm64 {
using silicon::arm64::CpuModel;

/// What Linux takes for it on armv8_pmuv3: the first that the CPU has. 0, an event that only
/// software makes, fills up.
struct GenericEvent {
  std::string_view name;
  std::array<std::uint16_t, 3> numbers;
};
constexpr std::uint16_t kCycles = 0x11, kInstructions = 0x08, kBranchMisses = 0x10;
constexpr std::uint16_t kCache = 0x04, kCacheRefill = 0x03, kPredicted = 0x12;
/// PC_WRITE_RETIRED, BR_RETIRED; BR_PRED on cores that have neither.
constexpr std::array<std::uint16_t, 3> kBranches = {0x0c, 0x21, kPredicted};
constexpr GenericEvent kGenericEvents[] = {
    {"cycles", {kCycles}},
    {"cpu-cycles", {kCycles}},
    {"instructions", {kInstructions}},
    {"branches", kBranches},
    {"branch-instructions", kBranches},
    {"branch-misses", {kBranchMisses}},
    {"cache-references", {kCache}},
    {"cache-misses", {kCacheRefill}},
    {"bus-cycles", {0x1d}},
    {"ref-cycles", {}},
    {"L1-dcache-loads", {kCache}},
    {"L1-dcache-load-misses", {kCacheRefill}},
    {"LLC-loads", {0x36}},
    {"LLC-load-misses", {0x37}},
    {"dTLB-loads", {0x25}},
    {"dTLB-load-misses", {0x05}},
    {"branch-loads", {kPredicted}},
    {"branch-load-misses", {kBranchMisses}},
};

EventNotation notation(const CpuModel& model) {
  static constexpr std::string_view kUnits[] = {"armv8_pmuv3", "armv8_pmuv3_0", "cpu"};
  constexpr std::uint64_t kMostNumber = 0xffff;
  EventNotation result;
  result.model = model.name;
  result.units = kUnits;
  result.most_raw = kMostNumber;
  result.fields = {{"event", kMostNumber, set_config}, {"config", kMostNumber, set_config}};
  for (const auto& row : model.events) result.names.push_back({row.name, row.number});
  for (const GenericEvent& event : kGenericEvents) {
    result.generic.push_back({event.name, {}});
    for (const std::uint16_t number : event.numbers) {
      if (silicon::arm64::find_event(model.events, number) == nullptr) continue;
      result.generic.back().config = number;
      break;
    }
  }
  return result;
}
}  // namespace arm64
}  // namespace

Result<std::uint64_t> EventNotation::find(std::string_view wanted) const {
  const std::string key = lower(wanted);
  for (const Name& event : names) {
    if (lower(event.name) == key) return event.config;
  }
  for (const GenericName& event : generic) {
    if (lower(event.name) != key) continue;
    if (!event.config) return fail(fmt::format("event '{}': {} has none", wanted, model));
    return *event.config;
  }
  if (key.starts_with('r')) {
    if (const auto raw = policy::number(std::string_view{key}.substr(1), 16)) {
      if (*raw <= most_raw) return *raw;
      return fail(fmt::format("event '{}': at most r{:x} on {}", wanted, most_raw, model));
    }
  }
  return fail(fmt::format("event '{}' is not known on {}; names like it: {}", wanted, model,
                          names_like(wanted, *this)));
}

EventNotation event_notation(const hostperf::HostCpuModel& model) {
  return model.x86() != nullptr ? x86::notation(*model.x86()) : arm64::notation(*model.arm64());
}

}  // namespace vpmu::cli
