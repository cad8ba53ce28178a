// SPDX-License-Identifier: MIT
#include "cli/pv_perf_report.hpp"

#include <array>
#include <bit>
#include <vector>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "cli/filter_report.hpp"
#include "vpmu/silicon/x86/event_table.hpp"
#include "vpmu/silicon/x86/portable_events.hpp"

namespace vpmu::cli {

namespace {
namespace pv = virt::x86::pv;
using Json = nlohmann::ordered_json;
using machine::PvPerfLog;
using silicon::x86::CpuModel;
using silicon::x86::GenericEvent;
using virt::x86::CounterStatus;
using virt::x86::PvPerf;
using virt::x86::PvPerfConfig;
using virt::x86::PvPerfStatistics;

// ---- What an event is ---------------------------------------------------------------------------

constexpr std::array<const char*, 5> kTypes = {"generic", "cache", "raw", "software", "breakpoint"};
/// Its codes are the silicon's numbers.
std::string generic_name(std::uint64_t code) {
  return code < pv::kGenericEvents ? name(static_cast<GenericEvent>(code)) : "?";
}
constexpr std::array<const char*, pv::kSoftwareEvents> kSoftware = {
    "exits", "stolen-ns", "interrupts", "page-fault-exits"};
constexpr std::array<const char*, pv::kCaches> kCaches = {"L1-dcache", "L1-icache", "LLC", "dTLB",
                                                          "iTLB",      "branch",    "node"};
constexpr std::array<const char*, pv::kCacheOperations> kOperations = {"load", "store", "prefetch"};

struct FeatureName {
  std::uint32_t mask;
  const char* name;
};
constexpr FeatureName kFeatures[] = {
    {mask_of(pv::Features::kArea), "area"},
    {mask_of(pv::Features::kBatch), "batch"},
    {mask_of(pv::Features::kRdpmcTrap), "rdpmc"},
    {mask_of(pv::Features::kLvtpc), "lvtpc"},
    {mask_of(pv::Features::kAutoReload), "auto-reload"},
    {mask_of(pv::Features::kRaw), "raw"},
    {mask_of(pv::Features::kScaleTime), "scale-time"},
    {mask_of(pv::Features::kPoolSafe), "pool"},
    {mask_of(pv::Features::kHypercalls), "hypercalls"},
};

template <std::size_t N>
const char* name_in(const std::array<const char*, N>& names, std::uint64_t number) {
  return number < N ? names[number] : "?";
}

/// Of the numbers whose bits are set.
template <class Name>
Json names_of(std::uint32_t set, Name name) {
  Json list = Json::array();
  for (; set != 0; set &= set - 1) list.push_back(name(std::countr_zero(set)));
  return list;
}

std::string software_name(std::uint64_t code) {
  return name_in(kSoftware, code);
}

std::string cache_name(std::uint32_t code) {
  const pv::CacheCode cache{{code}};
  return fmt::format("{}-{}{}", name_in(kCaches, cache.get(pv::CacheCode::kCache)),
                     name_in(kOperations, cache.get(pv::CacheCode::kOperation)),
                     cache.get(pv::CacheCode::kResult) != 0 ? "-misses" : "s");
}

std::string raw_name(std::uint32_t code) {
  const pv::RawCode raw{{code}};
  std::string text = fmt::format("event {:#04x} (umask {:#04x}", raw.get(pv::RawCode::kSelect),
                                 raw.get(pv::RawCode::kUnitMask));
  if (const auto cmask = raw.get(pv::RawCode::kCmask)) text += fmt::format(", cmask {}", cmask);
  if (raw.get(pv::RawCode::kInv) != 0) text += ", inv";
  if (raw.get(pv::RawCode::kEdge) != 0) text += ", edge";
  return text + ")";
}

/// As perf would call it, without modifiers.
std::string meaning(pv::Evtsel evtsel) {
  const auto code = static_cast<std::uint32_t>(evtsel.get(pv::Evtsel::kCode));
  switch (static_cast<pv::Type>(evtsel.get(pv::Evtsel::kType))) {
    case pv::Type::kGeneric: return generic_name(code);
    case pv::Type::kCache: return cache_name(code);
    case pv::Type::kRaw: return raw_name(code);
    case pv::Type::kSoftware: return software_name(code);
    case pv::Type::kBreakpoint: break;
  }
  return "?";
}

std::string with_modifiers(pv::Evtsel evtsel) {
  const bool user = evtsel.get(pv::Evtsel::kUsr) != 0, kernel = evtsel.get(pv::Evtsel::kOs) != 0;
  const char* const modifiers = user && kernel ? "" : user ? ":u" : kernel ? ":k" : ":none";
  return meaning(evtsel) + modifiers;
}

/// What it is on the host; null: counted by the machine itself, or not there.
Json on_host(const PvPerf& unit, pv::Evtsel evtsel, const CpuModel& host) {
  const auto event = unit.host_event(evtsel);
  if (!event) return nullptr;
  const auto selector = event->selector;
  Json json{{"event", fmt::format("{:#04x}", selector.event)},
            {"umask", fmt::format("{:#04x}", selector.unit_mask)}};
  if (const auto* row = silicon::x86::find_event(host.events, selector)) json["name"] = row->name;
  return json;
}

// ---- How it is doing ----------------------------------------------------------------------------

/// Adds what of the filter in force denies it.
void add_filter(const machine::Machine& machine, const PvPerf& unit, pv::Evtsel evtsel,
                Json& json) {
  const auto event = unit.host_event(evtsel);
  if (!event) return;
  const auto verdict = machine.filter_log().verdict(event->asked, event->selector);
  if (!verdict || verdict->admitted) return;
  json["filter"] = machine.filter_log().filters().back().name;
  add_verdict(*verdict, json);
}

Json event_row(const machine::VcpuPvPerf& pv_perf, unsigned event,
               const machine::Machine& machine) {
  const PvPerf& unit = pv_perf.unit();
  const PvPerfLog::Entry& entry = pv_perf.log().of(event);
  const pv::Evtsel evtsel = entry.evtsel;
  const PvPerf::Times times = unit.times(event);
  Json json{{"event", event},
            {"type", name_in(kTypes, evtsel.get(pv::Evtsel::kType))},
            {"code", fmt::format("{:#x}", evtsel.get(pv::Evtsel::kCode))},
            {"meaning", meaning(evtsel)},
            {"host_event", on_host(unit, evtsel, machine.config().host())},
            {"user", evtsel.get(pv::Evtsel::kUsr) != 0},
            {"kernel", evtsel.get(pv::Evtsel::kOs) != 0},
            {"interrupts", evtsel.get(pv::Evtsel::kInt) != 0},
            {"status", name(entry.status)},
            {"since_cycle", entry.since},
            {"value", unit.value(event)},
            {"period", unit.period(event)},
            {"time_enabled_ns", times.enabled_ns},
            {"time_running_ns", times.running_ns}};
  if (entry.status == CounterStatus::kDenied) add_filter(machine, unit, evtsel, json);
  return json;
}

Json statistics_json(const PvPerfStatistics& statistics) {
  return {{"overflows", statistics.overflows},
          {"pmis",
           {{"raised", statistics.pmis_raised},
            {"delivered", statistics.pmis_delivered},
            {"masked", statistics.pmis_masked},
            {"rejected", statistics.pmis_rejected},
            {"throttled", statistics.pmis_throttled}}},
          {"publications", statistics.publications},
          {"batches", statistics.batches},
          {"batches_refused", statistics.batches_refused},
          {"hypercalls", statistics.hypercalls}};
}

Json last_error(pv::ErrorRegister error) {
  const auto code = static_cast<pv::Code>(error.get(pv::ErrorRegister::kCode));
  if (code == pv::Code::kOk) return nullptr;
  Json json{{"code", pv::name(code)}};
  const auto event = error.get(pv::ErrorRegister::kId);
  if (event != pv::kNoErrorId) json["event"] = event;
  return json;
}

std::string seconds(std::uint64_t ns) {
  return fmt::format("{:.6f} s", static_cast<double>(ns) / 1e9);
}

std::string event_line(const machine::VcpuPvPerf& pv_perf, unsigned event) {
  const PvPerfLog::Entry& entry = pv_perf.log().of(event);
  const PvPerf::Times times = pv_perf.unit().times(event);
  return fmt::format(
      "vpmu:   event {}, {}: {}, {} since cycle {}; enabled for {}, counting for {}\n", event,
      with_modifiers(entry.evtsel), grouped(pv_perf.unit().value(event)), name(entry.status),
      grouped(entry.since), seconds(times.enabled_ns), seconds(times.running_ns));
}

std::string vcpu_summary(const machine::Vcpu& vcpu) {
  const machine::VcpuPvPerf& pv_perf = *vcpu.pv_perf();
  const PvPerf& unit = pv_perf.unit();
  std::string events;
  for (unsigned event = 0; event < unit.config().events; ++event) {
    if (pv_perf.log().of(event).used) events += event_line(pv_perf, event);
  }
  const PvPerfStatistics& statistics = unit.statistics();
  const bool used = !events.empty() || statistics.batches != 0 || statistics.hypercalls != 0;
  if (!used) return {};
  std::string text = fmt::format(
      "vpmu: PV perf of vCPU {}: {} overflows, {} PMIs ({} held back), "
      "{} publications, {} batches, {} hypercalls\n",
      vcpu.index(), grouped(statistics.overflows), grouped(statistics.pmis_delivered),
      grouped(statistics.pmis_throttled), grouped(statistics.publications),
      grouped(statistics.batches), grouped(statistics.hypercalls));
  return text + events;
}

std::string reason(const PvPerfLog::Trouble& trouble, const CpuModel& host) {
  switch (trouble.status) {
    case CounterStatus::kUnsupportedEvent: return fmt::format("cannot be counted by {}", host.name);
    case CounterStatus::kStarved: return "found no free counter on the host";
    case CounterStatus::kDenied: return "is none of the raw events that this guest may name";
    case CounterStatus::kOff:
    case CounterStatus::kCounting: break;
  }
  return name(trouble.status);
}

std::vector<std::string> reasons(const machine::Machine& machine, const machine::Vcpu& vcpu,
                                 const PvPerfLog::Trouble& trouble) {
  const auto event = vcpu.pv_perf()->unit().host_event(trouble.evtsel);
  std::vector<std::string> reasons;
  if (trouble.status == CounterStatus::kDenied && event) {
    reasons = pv_event_denied_by(machine.filter_log(), vcpu.index(), *event);
  }
  if (reasons.empty()) reasons.push_back(reason(trouble, machine.config().host()));
  return reasons;
}
}  // namespace

Json pv_perf_offer(const machine::Machine& machine) {
  if (!machine.config().pv_perf) return nullptr;
  const PvPerfConfig& config = *machine.config().pv_perf;
  Json features = Json::array();
  for (const FeatureName& feature : kFeatures) {
    if ((config.features.raw & feature.mask) != 0) features.push_back(feature.name);
  }
  return {{"version", fmt::format("{}.{}", pv::kAbiMajor, pv::kAbiMinor)},
          {"features", std::move(features)},
          {"events", config.events},
          {"width", config.width},
          {"at_once", config.at_once},
          {"msr_base", fmt::format("{:#x}", config.msr_base)},
          {"publish_period_us", config.publish_period_us},
          {"minimum_period", config.minimum_period},
          {"interrupts_per_ms", config.interrupts_per_ms},
          {"generic_events", names_of(config.generic_events, generic_name)},
          {"software_events", names_of(config.software_events, software_name)}};
}

Json pv_perf_of_vcpu(const machine::Vcpu& vcpu, const machine::Machine& machine) {
  const machine::VcpuPvPerf& pv_perf = *vcpu.pv_perf();
  Json json = statistics_json(pv_perf.unit().statistics());
  json["error"] = last_error(pv_perf.unit().error());
  json["events"] = Json::array();
  for (unsigned event = 0; event < pv_perf.unit().config().events; ++event) {
    if (pv_perf.log().of(event).used) {
      json["events"].push_back(event_row(pv_perf, event, machine));
    }
  }
  return json;
}

std::string pv_perf_summary(const machine::Machine& machine) {
  if (!machine.config().pv_perf) return {};
  std::string text;
  for (const auto& vcpu : machine.vcpus()) text += vcpu_summary(*vcpu);
  return text;
}

std::string pv_perf_troubles(const machine::Machine& machine) {
  if (!machine.config().pv_perf) return {};
  std::string text;
  for (const auto& vcpu : machine.vcpus()) {
    for (const PvPerfLog::Trouble& trouble : vcpu->pv_perf()->log().troubles()) {
      for (const std::string& each : reasons(machine, *vcpu, trouble)) {
        text += fmt::format("vpmu: vCPU {}: PV perf event {}, {}, {}: it stands still\n",
                            vcpu->index(), trouble.event, with_modifiers(trouble.evtsel), each);
      }
    }
  }
  return text;
}

}  // namespace vpmu::cli
