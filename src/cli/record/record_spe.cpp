// SPDX-License-Identifier: MIT
#include "cli/record/record_spe.hpp"

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "base/user_text.hpp"
#include "cli/answer.hpp"
#include "cli/arm64_spe_option.hpp"
#include "cli/guest_run.hpp"
#include "cli/key_values.hpp"
#include "cli/profiled_guest.hpp"
#include "cli/record/profile_file.hpp"
#include "cli/report.hpp"
#include "cli/spe_time.hpp"
#include "profile/perf_data/spe_writer.hpp"

namespace vpmu::cli::record {

namespace {
namespace perf_data = profile::perf_data;
using namespace silicon::arm64;

/// In operations; the recommended minimum interval of the models' units.
constexpr unsigned kDefaultPeriod = 1024, kSmallestPeriod = 256;
/// Bits of perf_event_attr::config.
constexpr std::uint64_t kTimestamps = 1, kPhysicalAddresses = 2, kPhysicalTime = 4;
constexpr std::uint64_t kJitter = std::uint64_t{1} << 16, kBranches = std::uint64_t{1} << 32,
                        kLoads = std::uint64_t{1} << 33, kStores = std::uint64_t{1} << 34;

struct Request {
  std::optional<unsigned> ts_enable{}, pa_enable{}, pct_enable{}, jitter{}, load_filter{},
      store_filter{}, branch_filter{}, event_filter{}, min_latency{}, period{}, memory{};
};
using Keys = RequestKeys<Request>;
constexpr Keys::Number kNumbers[] = {
    {"ts_enable", &Request::ts_enable},
    {"pa_enable", &Request::pa_enable},
    {"pct_enable", &Request::pct_enable},
    {"jitter", &Request::jitter},
    {"load_filter", &Request::load_filter},
    {"store_filter", &Request::store_filter},
    {"branch_filter", &Request::branch_filter},
    {"event_filter", &Request::event_filter},
    {"min_latency", &Request::min_latency},
    {"period", &Request::period},
    {"memory", &Request::memory},
};

/// What is either 0 or 1.
struct Switch {
  const char* key;
  std::optional<unsigned> Request::*member;
  unsigned otherwise;
  std::uint64_t config;
};
constexpr Switch kSwitches[] = {
    {"ts_enable", &Request::ts_enable, 1, kTimestamps},
    {"pa_enable", &Request::pa_enable, 0, kPhysicalAddresses},
    {"pct_enable", &Request::pct_enable, 0, kPhysicalTime},
    {"jitter", &Request::jitter, 1, kJitter},
    {"load_filter", &Request::load_filter, 0, kLoads},
    {"store_filter", &Request::store_filter, 0, kStores},
    {"branch_filter", &Request::branch_filter, 0, kBranches},
    {"memory", &Request::memory, 1, 0},
};

Result<std::uint64_t> config_of(const Request& request) {
  std::uint64_t config = 0;
  for (const Switch& each : kSwitches) {
    const unsigned value = (request.*each.member).value_or(each.otherwise);
    if (value > 1) return fail(fmt::format("--spe: {}={}: give 0 or 1", each.key, value));
    if (value == 1) config |= each.config;
  }
  return config;
}

Result<void> check_numbers(const Request& request) {
  constexpr unsigned kMostLatency = 0xfff;
  constexpr std::uint64_t kEvents = kSpeRetired | kSpeL1dRefill | kSpeTlbWalk | kSpeMispredicted;
  if (request.min_latency.value_or(0) > kMostLatency) {
    return fail(
        fmt::format("--spe: min_latency={}: give {} or less", *request.min_latency, kMostLatency));
  }
  if (request.period && *request.period < kSmallestPeriod) {
    return fail(fmt::format("--spe: period={}: give {} or more", *request.period, kSmallestPeriod));
  }
  if ((request.event_filter.value_or(0) & ~kEvents) != 0) {
    return fail(
        fmt::format("--spe: event_filter=0x{:x}: only bits 1 (retired), 3 (L1D refill), 5 (TLB "
                    "walk) and 7 (mispredicted) can be asked for",
                    *request.event_filter));
  }
  return {};
}

machine::arm64::SpeProfile profile_of(const Request& request, std::uint64_t config) {
  machine::arm64::SpeProfile profile;
  const auto on = [config](std::uint64_t bit) { return (config & bit) != 0; };
  Pmscr pmscr;
  pmscr.set(Pmscr::kE0spe, 1);
  pmscr.set(Pmscr::kE1spe, 1);
  pmscr.set(Pmscr::kTs, on(kTimestamps) ? 1 : 0);
  pmscr.set(Pmscr::kPa, on(kPhysicalAddresses) ? 1 : 0);
  pmscr.set(Pmscr::kPct, on(kPhysicalTime) ? 1 : 0);
  profile.pmscr = pmscr.raw;
  Pmsirr pmsirr{{request.period.value_or(kDefaultPeriod) & 0xffff'ff00}};
  pmsirr.set(Pmsirr::kRnd, on(kJitter) ? 1 : 0);
  profile.pmsirr = pmsirr.raw;
  Pmsfcr pmsfcr;
  pmsfcr.set(Pmsfcr::kB, on(kBranches) ? 1 : 0);
  pmsfcr.set(Pmsfcr::kLd, on(kLoads) ? 1 : 0);
  pmsfcr.set(Pmsfcr::kSt, on(kStores) ? 1 : 0);
  pmsfcr.set(Pmsfcr::kFt, on(kBranches | kLoads | kStores) ? 1 : 0);
  pmsfcr.set(Pmsfcr::kFe, request.event_filter.value_or(0) != 0 ? 1 : 0);
  pmsfcr.set(Pmsfcr::kFl, request.min_latency.value_or(0) != 0 ? 1 : 0);
  profile.pmsfcr = pmsfcr.raw;
  profile.pmsevfr = request.event_filter.value_or(0);
  profile.pmslatfr = request.min_latency.value_or(0);
  profile.models_memory = request.memory.value_or(1) != 0;
  return profile;
}

/// Each vCPU's records go to its stream of the file.
class TraceFile final : public machine::arm64::SpeRecordSink {
 public:
  explicit TraceFile(std::unique_ptr<perf_data::SpeWriter> writer) : writer_{std::move(writer)} {}
  void on_record(unsigned vcpu, std::span<const std::uint8_t> bytes) override {
    writer_->add(vcpu, bytes);
  }
  [[nodiscard]] perf_data::SpeWriter& writer() { return *writer_; }

 private:
  std::unique_ptr<perf_data::SpeWriter> writer_;
};

Result<machine::arm64::Machine*> profiled_machine(const GuestRun& run) {
  machine::arm64::Machine* machine = run.any_machine().arm64();
  if (machine == nullptr) {
    return fail("--spe: is for arm64 guests, and this one is for x86; give -e EVENT, or -b");
  }
  if (auto has = check_spe_unit(*machine->config().model, "--spe"); !has) {
    return tl::unexpected(has.error());
  }
  return machine;
}

Result<std::unique_ptr<TraceFile>> create_file(const RecordOptions& options, const GuestRun& run,
                                               const machine::arm64::Machine& machine,
                                               const SpeRequest& request,
                                               std::vector<std::string> command_line) {
  auto description = describe_profile(options, run, std::move(command_line));
  if (!description) return tl::unexpected(description.error());
  const auto& model = *machine.config().model;
  description->config.cpu_id = perf_cpu_id(model.midr);
  auto writer = perf_data::SpeWriter::create(
      options.output, description->config,
      {.config = request.config, .period = request.period, .time = spe_time(model.counter_hz)});
  if (!writer) return tl::unexpected(writer.error());
  for (const std::string& remark : description->remarks) fmt::print(stderr, "vpmu: {}\n", remark);
  return std::make_unique<TraceFile>(std::move(*writer));
}

void tell(const RecordOptions& options, const machine::arm64::Machine& machine,
          const perf_data::SpeWriter& writer) {
  SpeStatistics sum;
  for (const auto& vcpu : machine.vcpus()) {
    const SpeStatistics& each = vcpu->profiler()->statistics();
    sum.population += each.population;
    sum.feed += each.feed;
    sum.collisions += each.collisions;
  }
  fmt::print(
      stderr,
      "vpmu: {} records of {} sampled operations out of {}, {} collisions; {} bytes in '{}'\n",
      grouped(writer.records()), grouped(sum.feed), grouped(sum.population),
      grouped(sum.collisions), grouped(writer.bytes()), printable(options.output));
}
}  // namespace

Result<SpeRequest> parse_spe_request(const std::string& text) {
  Request request;
  if (!text.empty()) {
    auto parsed = parse_request<Request>(text, {kNumbers, {}, true, {}});
    if (!parsed) return fail("--spe: " + parsed.error().message);
    request = *parsed;
  }
  const auto config = config_of(request);
  if (!config) return tl::unexpected(config.error());
  if (auto checked = check_numbers(request); !checked) return tl::unexpected(checked.error());
  return SpeRequest{.profile = profile_of(request, *config),
                    .config = *config,
                    .period = request.period.value_or(kDefaultPeriod) & 0xffff'ff00};
}

int record_spe(const GuestOptions& guest, const RecordOptions& options,
               std::vector<std::string> command_line) {
  if (auto checked = check_output(options, guest); !checked) return bad_input(checked.error());
  const auto request = parse_spe_request(options.spe);
  if (!request) return bad_input(request.error());
  // A file that may not grow any more is an error of write(), as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
  GuestRun run{guest};
  if (auto loaded = run.load(); !loaded) return bad_input(loaded.error());
  if (auto prepared = run.prepare(); !prepared) return bad_input(prepared.error());
  const auto machine = profiled_machine(run);
  if (!machine) return bad_input(machine.error());
  auto file = create_file(options, run, **machine, *request, std::move(command_line));
  if (!file) return bad_input(file.error());
  for (const auto& vcpu : (*machine)->vcpus()) vcpu->profile(request->profile, **file);
  const auto stopped = run.run();
  const auto finished = (*file)->writer().finish();
  fmt::print(stderr, "{}{}", run.remarks(), summary(run.any_machine(), run.facts()));
  if (!finished) return bad_input(finished.error());
  tell(options, **machine, (*file)->writer());
  if (!stopped) return bad_input(stopped.error());
  if (const auto console = run.console_error(); !console) return bad_input(console.error());
  return run.facts().status;
}

}  // namespace vpmu::cli::record
