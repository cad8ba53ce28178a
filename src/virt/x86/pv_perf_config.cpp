// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pv_perf_config.hpp"

#include <algorithm>
#include <charconv>
#include <span>
#include <string>

#include "vpmu/silicon/x86/portable_events.hpp"

namespace vpmu::virt::x86 {

using pv::Features;
using silicon::x86::CpuidResult;
using silicon::x86::CpuModel;
using silicon::x86::GenericEvent;

namespace {

struct Range {
  std::uint32_t least;
  std::uint32_t most;
  [[nodiscard]] constexpr bool has(std::uint32_t number) const {
    return number >= least && number <= most;
  }
};
constexpr Range kEvents{1, pv::kMaxEvents};
constexpr Range kWidth{48, 64};             // bits
constexpr Range kPublish{0, 1'000'000};     // us
constexpr Range kInterrupts{1, 1'000'000};  // in a millisecond
constexpr Range kPhysicalBits{32, 52};

/// Hypervisors' MSRs, above those of Hyper-V and Xen, and what of it is KVM's.
constexpr Range kMsrBase{0x40001000, 0x50000000 - pv::kMsrCount};
constexpr Range kKvmMsrs{0x4b564d00, 0x4b564dff};

constexpr Range kCpuidBase{0x40000000, 0x4000ff00};
constexpr std::uint32_t kCpuidStep = 0x100;
constexpr std::uint32_t kLastLeaf = 3;

/// What a machine can count by itself; it does not see page faults.
constexpr std::uint32_t kSoftwareEvents = 1u << static_cast<unsigned>(pv::Software::kExits) |
                                          1u << static_cast<unsigned>(pv::Software::kStolenNs) |
                                          1u << static_cast<unsigned>(pv::Software::kInterrupts);

constexpr std::uint32_t kNeeded =
    mask_of(Features::kPvPerf, Features::kLvtpc, Features::kScaleTime);
constexpr std::uint32_t kChoices =
    mask_of(Features::kArea, Features::kBatch, Features::kRdpmcTrap, Features::kAutoReload,
            Features::kRaw, Features::kPoolSafe, Features::kHypercalls);

constexpr bool is_msr_base(std::uint32_t base) {
  return kMsrBase.has(base) && base % pv::kMsrCount == 0 &&
         (base > kKvmMsrs.most || base + pv::kMsrCount <= kKvmMsrs.least);
}

std::string text(std::uint32_t number) {
  return std::to_string(number);
}

std::string hex(std::uint32_t number) {
  char digits[8];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, 16).ptr;
  return "0x" + std::string(digits, end);
}

std::uint32_t generic_events(const CpuModel& model) {
  std::uint32_t events = 0;
  for (unsigned n = 0; n < pv::kGenericEvents; ++n) {
    if (find_event(model, static_cast<GenericEvent>(n)) != nullptr) events |= 1u << n;
  }
  return events;
}

// ---- Offering -----------------------------------------------------------------------------------

/// `wanted`, or `otherwise`.
Result<std::uint32_t> pick(const char* key, std::optional<unsigned> wanted, std::uint32_t otherwise,
                           Range range, const char* what) {
  const std::uint32_t picked = wanted.value_or(otherwise);
  if (range.has(picked)) return picked;
  return fail(std::string{key} + "=" + text(picked) + ": " + what + " from " + text(range.least) +
              " to " + text(range.most) + "; give one of them");
}

Result<std::uint32_t> pick_msr_base(std::optional<unsigned> wanted) {
  const std::uint32_t base = wanted.value_or(pv::kDefaultMsrBase);
  if (is_msr_base(base)) return base;
  if (kMsrBase.has(base) && base % pv::kMsrCount == 0) {
    return fail("msr-base=" + hex(base) + ": KVM's own MSRs are there; leave it out");
  }
  return fail("msr-base=" + hex(base) + ": can be a multiple of " + hex(pv::kMsrCount) + " from " +
              hex(kMsrBase.least) + " to " + hex(kMsrBase.most) + "; leave it out, or give one");
}

Result<Features> pick_features(const PvPerfRequest& request) {
  const bool area = request.area.value_or(true);
  const bool pool = request.pool.value_or(false);
  if (!area && request.batch.value_or(false)) {
    return fail("batch=on: commands are read from the shared page; give area=on");
  }
  if (!area && request.publish_us.value_or(0) != 0) {
    return fail("publish-us=" + text(*request.publish_us) +
                ": without the shared page nothing is published; give area=on, or leave it out");
  }
  if (pool && request.raw.value_or(false)) {
    return fail("raw=on: raw events are not the same on all hosts of a pool; give pool=off");
  }
  if (!request.auto_reload.value_or(true) && request.minimum_period.value_or(0) != 0) {
    return fail("min-period=" + text(*request.minimum_period) +
                ": without auto-reload there are no periods; give auto-reload=on, or leave it out");
  }
  Features features;
  features.set(Features::kPvPerf, 1);
  features.set(Features::kArea, area);
  features.set(Features::kBatch, request.batch.value_or(area));
  features.set(Features::kRdpmcTrap, request.rdpmc.value_or(true));
  features.set(Features::kLvtpc, 1);
  features.set(Features::kAutoReload, request.auto_reload.value_or(true));
  features.set(Features::kRaw, request.raw.value_or(!pool));
  features.set(Features::kScaleTime, 1);
  features.set(Features::kPoolSafe, pool);
  features.set(Features::kHypercalls, request.hypercalls.value_or(true));
  return features;
}

/// What follows from the silicon: of one model, or what all have.
void take_silicon(std::span<const CpuModel* const> models, PvPerfConfig& config) {
  std::uint32_t at_once = 0xff, physical_bits = kPhysicalBits.most;
  config.generic_events = (1u << pv::kGenericEvents) - 1;
  for (const CpuModel* model : models) {
    const std::uint32_t counters = model->pmu.gp_counters + model->pmu.fixed_counters;
    at_once = std::min(at_once, counters);
    physical_bits = std::min(physical_bits, cpuid(*model, {}, 0x80000008, 0).eax & 0xff);
    config.generic_events &= generic_events(*model);
  }
  config.at_once = static_cast<std::uint8_t>(at_once);
  config.physical_bits = static_cast<std::uint8_t>(physical_bits);
}

// ---- Moving -------------------------------------------------------------------------------------

tl::unexpected<Error> misfit(const std::string& source, const std::string& here,
                             const std::string& remedy) {
  return fail("PV perf: the guest has " + source + ", this host offers " + here + "; " + remedy);
}

struct Feature {
  std::uint32_t mask;
  const char* name;
  const char* key;
};
constexpr Feature kFeatures[] = {
    {mask_of(Features::kArea), "the shared page", "area"},
    {mask_of(Features::kBatch), "BATCH", "batch"},
    {mask_of(Features::kRdpmcTrap), "RDPMC", "rdpmc"},
    {mask_of(Features::kAutoReload), "auto-reload", "auto-reload"},
    {mask_of(Features::kRaw), "raw events", "raw"},
    {mask_of(Features::kPoolSafe), "the promise of a pool", "pool"},
    {mask_of(Features::kHypercalls), "hypercalls", "hypercalls"},
};

Result<void> features_fit(Features source, Features here) {
  const std::uint32_t missing = source.raw & ~here.raw;
  if (missing == 0) return {};
  for (const Feature& feature : kFeatures) {
    if ((missing & feature.mask) == 0) continue;
    return misfit(feature.name, "none", std::string{"give this host "} + feature.key + "=on");
  }
  return misfit("features " + hex(source.raw), hex(here.raw), "move it to a host that has them");
}

constexpr const char* kGenericNames[pv::kGenericEvents] = {"cycles",
                                                           "instructions",
                                                           "cache references",
                                                           "cache misses",
                                                           "branches",
                                                           "branch misses",
                                                           "bus cycles",
                                                           "stalled cycles (front end)",
                                                           "stalled cycles (back end)",
                                                           "reference cycles"};
constexpr const char* kSoftwareNames[pv::kSoftwareEvents] = {
    "VM exits", "stolen time", "injected interrupts", "page-fault exits"};

template <std::size_t N>
std::string names(const char* const (&all)[N], std::uint32_t set) {
  std::string list;
  for (std::size_t n = 0; n < N; ++n) {
    if ((set >> n & 1) == 0) continue;
    list += (list.empty() ? "" : ", ") + std::string{all[n]};
  }
  return list;
}

Result<void> events_fit(const PvPerfConfig& source, const PvPerfConfig& here) {
  const char* const kRemedy = "move it to a host that can, or start it with pool=on";
  if (const std::uint32_t missing = source.generic_events & ~here.generic_events; missing != 0) {
    return fail("PV perf: this host cannot count what the guest was offered: " +
                names(kGenericNames, missing) + "; " + kRemedy);
  }
  if (const std::uint32_t missing = source.software_events & ~here.software_events; missing != 0) {
    return fail("PV perf: this host cannot count what the guest was offered: " +
                names(kSoftwareNames, missing) + "; " + kRemedy);
  }
  return {};
}

}  // namespace

Result<PvPerfConfig> offer_pv_perf(const CpuModel& host, const PvPerfRequest& request) {
  const auto features = pick_features(request);
  if (!features) return tl::unexpected(features.error());
  const auto events = pick("events", request.events, 16, kEvents, "a vCPU can have");
  if (!events) return tl::unexpected(events.error());
  const auto width = pick("width", request.width, 48, kWidth, "counts can have bits");
  if (!width) return tl::unexpected(width.error());
  const auto publish =
      pick("publish-us", request.publish_us, features->get(Features::kArea) != 0 ? 1000 : 0,
           kPublish, "the page can be written every so many microseconds,");
  if (!publish) return tl::unexpected(publish.error());
  const auto interrupts =
      pick("interrupts-per-ms", request.interrupts_per_ms, 20, kInterrupts, "a vCPU can be given");
  if (!interrupts) return tl::unexpected(interrupts.error());
  const auto msr_base = pick_msr_base(request.msr_base);
  if (!msr_base) return tl::unexpected(msr_base.error());
  PvPerfConfig config{.features = *features,
                      .msr_base = *msr_base,
                      .events = static_cast<std::uint8_t>(*events),
                      .width = static_cast<std::uint8_t>(*width),
                      .publish_period_us = *publish,
                      .minimum_period = request.minimum_period.value_or(0),
                      .software_events = kSoftwareEvents,
                      .interrupts_per_ms = *interrupts};
  const CpuModel* const only[] = {&host};
  if (config.has(Features::kPoolSafe)) {
    take_silicon(silicon::x86::cpu_models(), config);
  } else {
    take_silicon(only, config);
  }
  return config;
}

PvPerfRequest request_for(const PvPerfConfig& config) {
  return {.events = config.events,
          .width = config.width,
          .publish_us = config.publish_period_us,
          .minimum_period = config.minimum_period,
          .interrupts_per_ms = config.interrupts_per_ms,
          .msr_base = config.msr_base,
          .area = config.has(Features::kArea),
          .batch = config.has(Features::kBatch),
          .rdpmc = config.has(Features::kRdpmcTrap),
          .auto_reload = config.has(Features::kAutoReload),
          .raw = config.has(Features::kRaw),
          .hypercalls = config.has(Features::kHypercalls),
          .pool = config.has(Features::kPoolSafe)};
}

bool possible(const PvPerfConfig& config) {
  const std::uint32_t features = config.features.raw;
  if (!config.offered()) return features == 0;
  const bool area = config.has(Features::kArea);
  if ((features & kNeeded) != kNeeded || (features & ~(kNeeded | kChoices)) != 0) return false;
  if (config.has(Features::kBatch) && !area) return false;
  if (config.has(Features::kPoolSafe) && config.has(Features::kRaw)) return false;
  if (config.publish_period_us != 0 && !area) return false;
  if (config.minimum_period != 0 && !config.has(Features::kAutoReload)) return false;
  return kCpuidBase.has(config.cpuid_base) && config.cpuid_base % kCpuidStep == 0 &&
         is_msr_base(config.msr_base) && kEvents.has(config.events) && kWidth.has(config.width) &&
         kPhysicalBits.has(config.physical_bits) && kPublish.has(config.publish_period_us) &&
         kInterrupts.has(config.interrupts_per_ms) &&
         config.generic_events >> pv::kGenericEvents == 0 &&
         config.software_events >> pv::kSoftwareEvents == 0;
}

Result<void> fits(const PvPerfConfig& source, const PvPerfConfig& here) {
  const auto give = [](const char* key, const std::string& value) {
    return std::string{"give this host "} + key + "=" + value;
  };
  if (source.offered() != here.offered()) {
    return source.offered() ? misfit("PV perf", "none", "start it here with PV perf")
                            : misfit("no PV perf", "it", "start it here without PV perf");
  }
  if (!source.offered()) return {};
  if (source.events != here.events) {
    return misfit(text(source.events) + " events (N)", text(here.events),
                  give("events", text(source.events)));
  }
  if (source.width != here.width) {
    return misfit("counts of " + text(source.width) + " bits (W)", text(here.width),
                  give("width", text(source.width)));
  }
  if (source.msr_base != here.msr_base) {
    return misfit("MSRs at " + hex(source.msr_base), hex(here.msr_base),
                  give("msr-base", hex(source.msr_base)));
  }
  if (source.cpuid_base != here.cpuid_base) {
    return misfit("CPUID leaves at " + hex(source.cpuid_base), hex(here.cpuid_base),
                  "give this host the same");
  }
  if (auto fit = features_fit(source.features, here.features); !fit) return fit;
  if (here.minimum_period > source.minimum_period) {
    return misfit("periods from " + text(source.minimum_period), text(here.minimum_period),
                  give("min-period", text(source.minimum_period)));
  }
  const std::uint32_t stale = source.publish_period_us;
  if (stale != 0 && (here.publish_period_us == 0 || here.publish_period_us > stale)) {
    return misfit("a page written every " + text(stale) + " us", text(here.publish_period_us),
                  give("publish-us", text(stale)));
  }
  if (here.physical_bits < source.physical_bits) {
    return misfit("physical addresses of " + text(source.physical_bits) + " bits",
                  text(here.physical_bits), "move it to a host with as many");
  }
  return events_fit(source, here);
}

bool pv_perf_cpuid(const PvPerfConfig& config, std::uint32_t leaf, CpuidResult& result) {
  if (!config.offered() || leaf < config.cpuid_base) return false;
  constexpr std::uint32_t kWritable =
      mask_of(pv::Evtsel::kUsr, pv::Evtsel::kOs, pv::Evtsel::kEn, pv::Evtsel::kInt) >>
      pv::Evtsel::kUsr.kLow;
  switch (leaf - config.cpuid_base) {
    case 0:
      result = {config.cpuid_base + kLastLeaf, pv::kSignature, pv::kSignature, pv::kSignature};
      return true;
    case 1: result = {config.features.raw, pv::kVersion, config.msr_base, 0}; return true;
    case 2:
      result = {std::uint32_t{config.events} | std::uint32_t{config.width} << 8 |
                    std::uint32_t{config.at_once} << 16,
                config.publish_period_us, config.minimum_period, pv::kAreaBytes};
      return true;
    case 3: result = {config.generic_events, config.software_events, kWritable, 0}; return true;
    default: return false;
  }
}

pv::Cap pv_perf_cap(const PvPerfConfig& config) {
  pv::Cap cap;
  cap.set(pv::Cap::kFeatures, config.features.raw);
  cap.set(pv::Cap::kEvents, config.events);
  cap.set(pv::Cap::kWidth, config.width);
  cap.set(pv::Cap::kMinor, pv::kAbiMinor);
  cap.set(pv::Cap::kMajor, pv::kAbiMajor);
  return cap;
}

}  // namespace vpmu::virt::x86
