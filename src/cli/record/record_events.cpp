// SPDX-License-Identifier: MIT
#include "cli/record/record_events.hpp"

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "cli/branch_filter.hpp"
#include "cli/event_list.hpp"
#include "cli/event_spec.hpp"
#include "vpmu/hostperf/lbr_host.hpp"

namespace vpmu::cli::record {

namespace {
namespace perf_data = profile::perf_data;
using hostperf::HostCpuModel;
using perf_data::AttrFlag;

constexpr const char* kDefaultEvent = "cycles:p";
constexpr std::uint32_t kTypeHardware = 0, kTypeSoftware = 1, kTypeRaw = 4;
constexpr std::uint64_t kCpuClock = 0;

/// PERF_COUNT_HW_* of Linux' hardware events, by which perf knows their names.
struct HardwareEvent {
  const char* name;
  std::uint64_t number;
};
constexpr HardwareEvent kHardwareEvents[] = {
    {"cycles", 0},       {"instructions", 1},        {"cache-references", 2},
    {"cache-misses", 3}, {"branch-instructions", 4}, {"branch-misses", 5},
    {"ref-cycles", 9},
};

constexpr std::uint64_t flag(AttrFlag flag, std::uint64_t value = 1) {
  return value << static_cast<unsigned>(flag);
}

void set_type(std::uint64_t config, const HostCpuModel& model, perf_data::Attr& attr) {
  attr.type = kTypeRaw;
  attr.config = config;
  for (const HardwareEvent& event : kHardwareEvents) {
    const auto spec = parse_event(event.name, model);
    if (!spec || spec->attr.config != config) continue;
    attr.type = kTypeHardware;
    attr.config = event.number;
    return;
  }
}

std::uint64_t flags_of(const machine::SamplingEvent& event, const RecordOptions& options) {
  const hostperf::EventAttr& attr = event.attr;
  std::uint64_t flags = 0;
  if (attr.pinned) flags |= flag(AttrFlag::kPinned);
  if (attr.exclusive) flags |= flag(AttrFlag::kExclusive);
  if (attr.exclude_user) flags |= flag(AttrFlag::kExcludeUser);
  if (attr.exclude_kernel) flags |= flag(AttrFlag::kExcludeKernel);
  if (attr.exclude_guest) flags |= flag(AttrFlag::kExcludeGuest);
  // A vCPU's event that counts guests counts nothing else. In the layout of a process, samples are
  // the host's.
  const bool only_guests = !options.on_host_cpus && !attr.exclude_guest && !options.as_process;
  if (attr.exclude_host || only_guests) flags |= flag(AttrFlag::kExcludeHost);
  if (event.frequency != 0) flags |= flag(AttrFlag::kFreq);
  if (event.precise) flags |= flag(AttrFlag::kPreciseIp);
  return flags;
}

std::uint64_t branch_sample_type(std::uint32_t type) {
  constexpr std::uint32_t kPrivileges = hostperf::kBranchUser | hostperf::kBranchKernel;
  return (type & kPrivileges) == 0 ? type | kPrivileges : type;
}

perf_data::WrittenEvent written(const machine::SamplingEvent& event, const RecordOptions& options,
                                const HostCpuModel& model) {
  perf_data::WrittenEvent result;
  result.name = event.name;
  result.callchain = options.callchains;
  result.branches = options.branches();
  set_type(event.attr.config, model, result.attr);
  result.attr.sample_period = event.frequency != 0 ? event.frequency : event.attr.period;
  result.attr.flags = flags_of(event, options);
  if (event.attr.branch_type != 0) {
    result.attr.branch_sample_type = branch_sample_type(event.attr.branch_type);
  }
  return result;
}

/// EventAttr::branch_type; 0: none.
Result<std::uint32_t> branch_type(const RecordOptions& options, const HostCpuModel& model) {
  if (!options.branches()) return 0;
  const char* const option = options.any_branches ? "-b" : "-j";
  if (model.arm64() != nullptr) {
    return fail(fmt::format("{}: {} records no branches; record call stacks, with -g", option,
                            model.name()));
  }
  if (model.lbr().depth == 0) {
    std::vector<std::string_view> others;
    for (const auto* other : silicon::x86::cpu_models()) {
      if (other->lbr.depth != 0) others.push_back(other->name);
    }
    return fail(fmt::format("{}: {} records no branches; give --cpu one of {}", option,
                            model.name(), fmt::join(others, ", ")));
  }
  auto type = parse_branch_filter(options.any_branches ? "any" : options.branch_filter);
  if (!type) return fail("-j: " + type.error().message);
  return type;
}

Result<machine::SamplingEvent> sampled(const std::string& text, const RecordOptions& options,
                                       const HostCpuModel& model) {
  auto spec = parse_event(text, model);
  if (!spec) return fail("-e: " + spec.error().message);
  machine::SamplingEvent event;
  event.name = one_line(spec->name);
  event.attr = spec->attr;
  event.frequency = spec->frequency;
  event.precise = spec->precise;
  if (event.attr.period != 0 || event.frequency != 0) return event;
  if (options.period != 0) {
    event.attr.period = options.period;
  } else {
    event.frequency = options.frequency != 0 ? options.frequency : RecordOptions::kDefaultFrequency;
  }
  return event;
}
}  // namespace

Result<RecordedEvents> recorded_events(const RecordOptions& options, const HostCpuModel& model) {
  auto texts = split_event_lists(options.events);
  if (!texts) return tl::unexpected(texts.error());
  if (texts->empty()) texts->push_back(kDefaultEvent);
  const auto branches = branch_type(options, model);
  if (!branches) return tl::unexpected(branches.error());
  RecordedEvents events;
  for (const std::string& text : *texts) {
    auto event = sampled(text, options, model);
    if (!event) return tl::unexpected(event.error());
    event->attr.branch_type = *branches;
    events.written.push_back(written(*event, options, model));
    events.sampled.push_back(std::move(*event));
  }
  return events;
}

perf_data::WrittenEvent real_time_event(std::uint64_t frequency) {
  perf_data::WrittenEvent event;
  event.name = "cpu-clock";
  event.attr.type = kTypeSoftware;
  event.attr.config = kCpuClock;
  event.attr.sample_period = frequency;
  event.attr.flags = flag(AttrFlag::kFreq) | flag(AttrFlag::kExcludeHost);
  return event;
}

}  // namespace vpmu::cli::record
