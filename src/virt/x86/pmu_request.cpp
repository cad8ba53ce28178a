// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pmu_request.hpp"

#include <algorithm>
#include <string>

#include "vpmu/silicon/x86/pmu_registers.hpp"
#include "vpmu/virt/x86/lbr_offer.hpp"

namespace vpmu::virt::x86 {

using silicon::x86::CpuModel;
using silicon::x86::PerfCapabilities;
using silicon::x86::PmuModel;
using silicon::x86::Vendor;

namespace {

constexpr unsigned kKvmVersion = 2;
constexpr unsigned kNarrowest = 32;  // bits; what the legacy way of writing a counter writes

std::string text(unsigned number) {
  return std::to_string(number);
}

std::string name(const CpuModel& model) {
  return std::string{model.name};
}

struct Range {
  unsigned least;
  unsigned most;
};

/// `wanted`, or the most there is. The error blames `why`.
Result<std::uint8_t> pick(const char* key, std::optional<unsigned> wanted, Range range,
                          const std::string& why) {
  const unsigned picked = wanted.value_or(range.most);
  if (picked >= range.least && picked <= range.most) return static_cast<std::uint8_t>(picked);
  const std::string allowed =
      range.least == range.most ? text(range.least) : text(range.least) + " to " + text(range.most);
  return fail(std::string{key} + "=" + text(picked) + ": " + why + "; give " + allowed);
}

Result<std::uint8_t> pick_version(const CpuModel& model, std::optional<unsigned> wanted) {
  const unsigned most =
      std::min<unsigned>(model.pmu.version, model.vendor == Vendor::kIntel ? 5 : 2);
  return pick("version", wanted.value_or(std::min(most, kKvmVersion)), {1, most},
              name(model) + " has version " + text(model.pmu.version));
}

// ---- Intel --------------------------------------------------------------------------------------

Result<void> only_of_intel(const PmuRequest& request) {
  if (request.host_guest_only) return fail("hgonly: only AMD's counters have it; leave it out");
  if (request.core_extension) return fail("corext: only AMD's counters have it; leave it out");
  return {};
}

Result<void> pick_fixed(const CpuModel& model, const PmuRequest& request, PmuConfig& config) {
  if (config.version == 1) {
    if (request.fixed.value_or(0) == 0 && !request.fixed_width) return {};
    return fail(
        "fixed: version 1 has no fixed counters; leave it out, or give version=2 or higher");
  }
  constexpr unsigned kBeforeBitmap = 3, kMost = 4;
  const unsigned most = std::min<unsigned>(model.pmu.fixed_counters, kMost);
  const bool needs_version = config.version < 5 && request.fixed.value_or(0) > kBeforeBitmap;
  const auto fixed =
      pick("fixed", request.fixed, {0, config.version < 5 ? std::min(most, kBeforeBitmap) : most},
           needs_version && *request.fixed <= most
               ? "more than 3 fixed counters need version=5"
               : name(model) + " has " + text(most) + " fixed counters");
  if (!fixed) return tl::unexpected(fixed.error());
  config.fixed_counters = *fixed;
  if (*fixed == 0) {
    if (request.fixed_width) return fail("fixed-width: there are no fixed counters; leave it out");
    return {};
  }
  const auto width =
      pick("fixed-width", request.fixed_width, {kNarrowest, model.pmu.fixed_width},
           name(model) + "'s fixed counters are " + text(model.pmu.fixed_width) + " bits wide");
  if (!width) return tl::unexpected(width.error());
  config.fixed_width = *width;
  return {};
}

Result<void> pick_intel_features(const CpuModel& model, const PmuRequest& request,
                                 PmuConfig& config) {
  constexpr std::uint64_t kFullWidth = mask_of(PerfCapabilities::kFullWidthWrite);
  const bool has_full_width = (model.pmu.perf_capabilities & kFullWidth) != 0;
  if (request.full_width.value_or(false) && !has_full_width) {
    return fail("fullwidth=on: " + name(model) + " has no full-width writes; give fullwidth=off");
  }
  config.has_perf_capabilities = model.pmu.perf_capabilities != 0;
  config.perf_capabilities = request.full_width.value_or(has_full_width) ? kFullWidth : 0;
  config.freeze_on_pmi = request.freeze.value_or(false);
  if (config.freeze_on_pmi && config.version < 2) {
    return fail("freeze=on: version 1 cannot freeze; give version=2 or higher");
  }
  config.any_thread_deprecated = !request.any_thread.value_or(false);
  if (!config.any_thread_deprecated && !has_any_thread(config)) {
    return fail("anythread=on: only versions 3 and 4 have AnyThread; give version=3 or version=4");
  }
  config.tsx = model.tsx;
  return {};
}

/// Without a wish, as KVM gives it, if that is enough.
std::optional<unsigned> wanted_version(const CpuModel& model, const PmuRequest& request) {
  const bool needs_more = request.lbr.value_or(false) && model.lbr.architectural();
  return needs_more ? request.version.value_or(kArchitecturalLbrVersion) : request.version;
}

Result<void> pick_lbr(const CpuModel& model, PmuConfig& config) {
  const auto refuse = [&](const char* why) {
    return fail("lbr=on: " + name(model) + why + "; leave it out");
  };
  switch (lbr_refusal({.host = model.lbr,
                       .vendor = config.vendor,
                       .version = config.version,
                       .pdcm = config.has_perf_capabilities,
                       .format = model.lbr.format})) {
    case LbrRefusal::kNone: break;
    case LbrRefusal::kVersion:
      return fail("lbr=on: " + name(model) + " has architectural LBRs, which version " +
                  text(config.version) +
                  " does not have; give version=" + text(kArchitecturalLbrVersion) + " or higher");
    case LbrRefusal::kNoRecords: return refuse(" has no last branch records");
    case LbrRefusal::kNoCallStack:
      return refuse("'s LBRs have no call-stack mode, by which a host keeps guests apart");
    case LbrRefusal::kNoCapabilities:
      return refuse(" has no IA32_PERF_CAPABILITIES, which says what LBRs look like");
    default: return refuse("'s LBRs cannot be given to a guest");
  }
  config.perf_capabilities |= static_cast<std::uint64_t>(model.lbr.format);
  return {};
}

Result<PmuConfig> restrict_intel(const CpuModel& model, const PmuRequest& request) {
  if (auto ok = only_of_intel(request); !ok) return tl::unexpected(ok.error());
  const PmuModel& pmu = model.pmu;
  constexpr unsigned kMostGp = 8;
  const auto version = pick_version(model, wanted_version(model, request));
  if (!version) return tl::unexpected(version.error());
  const auto gp = pick("gp", request.gp, {1, std::min<unsigned>(pmu.gp_counters, kMostGp)},
                       name(model) + " has " + text(pmu.gp_counters) + " counters, guests get " +
                           text(kMostGp) + " at most");
  if (!gp) return tl::unexpected(gp.error());
  const auto width = pick("width", request.width, {kNarrowest, pmu.gp_width},
                          name(model) + "'s counters are " + text(pmu.gp_width) + " bits wide");
  if (!width) return tl::unexpected(width.error());
  PmuConfig config{.version = *version,
                   .gp_counters = *gp,
                   .gp_width = *width,
                   .arch_event_length = pmu.arch_event_length,
                   .arch_events_unavailable = pmu.arch_events_unavailable};
  if (auto ok = pick_fixed(model, request, config); !ok) return tl::unexpected(ok.error());
  if (auto ok = pick_intel_features(model, request, config); !ok) return tl::unexpected(ok.error());
  if (!request.lbr.value_or(false)) return config;
  if (auto ok = pick_lbr(model, config); !ok) return tl::unexpected(ok.error());
  return config;
}

// ---- AMD ----------------------------------------------------------------------------------------

constexpr unsigned kK7Counters = 4;
constexpr unsigned kCoreCounters = 6;

Result<void> only_of_amd(const PmuRequest& request) {
  const auto refuse = [](const char* key) {
    return fail(std::string{key} + ": only Intel's PMU has it; leave it out");
  };
  if (request.fixed.value_or(0) != 0) return refuse("fixed");
  if (request.fixed_width) return refuse("fixed-width");
  if (request.full_width) return refuse("fullwidth");
  if (request.freeze.value_or(false)) return refuse("freeze");
  if (request.any_thread.value_or(false)) return refuse("anythread");
  if (request.lbr.value_or(false)) {
    return fail("lbr=on: of last branch records only Intel's are modelled; leave it out");
  }
  return {};
}

/// Without PerfMonV2 a guest is not told how many counters there are: four, or six with the core
/// extension.
Result<void> pick_amd_counters(const CpuModel& model, const PmuRequest& request,
                               PmuConfig& config) {
  const unsigned most = std::min<unsigned>(model.pmu.gp_counters, kCoreCounters);
  if (config.version > 1) {
    if (!request.core_extension.value_or(true)) {
      return fail("corext=off: version 2 has the core extension; give version=1 too");
    }
    config.core_extension = true;
    const auto gp = pick("gp", request.gp, {kK7Counters, most},
                         request.gp.value_or(0) < kK7Counters
                             ? std::string{"AMD guests take 4 counters for granted"}
                             : name(model) + " has " + text(model.pmu.gp_counters) + " counters");
    if (!gp) return tl::unexpected(gp.error());
    config.gp_counters = *gp;
    return {};
  }
  const bool four = request.gp == kK7Counters || most < kCoreCounters;
  config.core_extension = request.core_extension.value_or(!four);
  if (config.core_extension && most < kCoreCounters) {
    return fail("corext=on: " + name(model) + " has " + text(most) + " counters; give corext=off");
  }
  const unsigned counters = config.core_extension ? kCoreCounters : kK7Counters;
  const auto gp = pick("gp", request.gp, {counters, counters},
                       config.core_extension ? "the core extension of version 1 has 6 counters"
                                             : "without the core extension there are 4 counters");
  if (!gp) return tl::unexpected(gp.error());
  config.gp_counters = *gp;
  return {};
}

Result<PmuConfig> restrict_amd(const CpuModel& model, const PmuRequest& request) {
  if (auto ok = only_of_amd(request); !ok) return tl::unexpected(ok.error());
  const auto version = pick_version(model, request.version);
  if (!version) return tl::unexpected(version.error());
  const auto width = pick("width", request.width, {model.pmu.gp_width, model.pmu.gp_width},
                          "guests take AMD's counters to be " + text(model.pmu.gp_width) +
                              " bits wide, without asking");
  if (!width) return tl::unexpected(width.error());
  PmuConfig config{.vendor = Vendor::kAmd,
                   .version = *version,
                   .gp_width = *width,
                   .host_guest_only = request.host_guest_only.value_or(false)};
  if (auto ok = pick_amd_counters(model, request, config); !ok) return tl::unexpected(ok.error());
  return config;
}

}  // namespace

Result<PmuConfig> restrict_pmu(const CpuModel& model, const PmuRequest& request) {
  const PmuConfig standard = guest_pmu(model);
  if (standard.version == 0) return fail(name(model) + " has no PMU for guests; give it none");
  if (request == PmuRequest{}) return standard;
  return model.vendor == Vendor::kIntel ? restrict_intel(model, request)
                                        : restrict_amd(model, request);
}

}  // namespace vpmu::virt::x86
