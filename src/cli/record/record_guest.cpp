// SPDX-License-Identifier: MIT
#include "cli/record/record_guest.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "cli/answer.hpp"
#include "cli/guest_run.hpp"
#include "cli/record/profile_file.hpp"
#include "cli/record/progress_line.hpp"
#include "cli/record/real_time_recording.hpp"
#include "cli/record/record_events.hpp"
#include "cli/record/recording.hpp"
#include "cli/record/recording_summary.hpp"
#include "cli/report.hpp"
#include "machine/profiler/profiler.hpp"
#include "profile/perf_data/writer.hpp"
#include "vpmu/virt/running_vcpu.hpp"

namespace vpmu::cli::record {

namespace {
namespace perf_data = profile::perf_data;

/// Of a recording, or of the one in a directory; 0 if it has gone away.
std::uint64_t file_bytes(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path file = fs::is_directory(path, error) ? fs::path{path} / "data" : fs::path{path};
  const std::uintmax_t bytes = fs::file_size(file, error);
  return error ? 0 : bytes;
}

/// A guest, who samples it, and where that goes.
class RecordedRun {
 public:
  RecordedRun(const GuestOptions& guest, const RecordOptions& options)
      : options_{options},
        run_{guest},
        progress_{isatty(STDERR_FILENO) != 0 && !options.real_time} {}

  /// Everything that can be wrong before the guest runs. The file comes last: what is wrong leaves
  /// an older one as it is.
  Result<void> prepare(std::vector<std::string> command_line);
  /// The exit status of the process.
  int run();

 private:
  [[nodiscard]] Result<void> check_frequency() const;
  Result<void> attach();
  Result<void> create_file(std::vector<std::string> command_line);
  [[nodiscard]] std::vector<RecordedTotals> totals() const;
  void tell() const;

  const RecordOptions& options_;
  GuestRun run_;
  ProgressLine progress_;
  RecordedEvents events_;
  std::optional<virt::GuestProvider> provider_;
  std::unique_ptr<Recording> recording_;
  std::unique_ptr<machine::Profiler> profiler_;
  std::unique_ptr<RealTimeRecording> real_time_;
};

Result<void> RecordedRun::check_frequency() const {
  constexpr std::uint64_t kMost = hostperf::RealTimeConfig::kMostHz;
  if (!options_.real_time || options_.frequency <= kMost) return {};
  return fail(fmt::format("-F {}: at most {} with --real-time; give a smaller number",
                          options_.frequency, kMost));
}

Result<void> RecordedRun::attach() {
  auto provider = virt::GuestProvider::add(virt::TraceOwner::kHost);
  if (!provider) return fail(fmt::format("guest callbacks: {}", name(provider.error())));
  provider_.emplace(std::move(*provider));
  StdioConsole& console = run_.console();
  const bool shared = isatty(STDOUT_FILENO) != 0;
  console.before_output([this] { progress_.erase(); });
  recording_ = std::make_unique<Recording>(
      run_.machine(), progress_, [&console, shared] { return !shared || console.at_line_start(); });
  if (options_.real_time) {
    events_.written.push_back(real_time_event(options_.real_time_frequency()));
    return {};
  }
  auto events = recorded_events(options_, run_.machine().host_perf().model());
  if (!events) return tl::unexpected(events.error());
  events_ = std::move(*events);
  machine::ProfilerConfig config;
  config.events = events_.sampled;
  config.on_host_cpus = options_.on_host_cpus;
  config.callchain_depth = options_.callchains ? options_.max_stack : 0;
  auto profiler = machine::Profiler::attach(run_.machine(), *provider_, config, *recording_);
  if (!profiler) return tl::unexpected(profiler.error());
  profiler_ = std::move(*profiler);
  return {};
}

Result<void> RecordedRun::create_file(std::vector<std::string> command_line) {
  auto description = describe_profile(options_, run_, std::move(command_line));
  if (!description) return tl::unexpected(description.error());
  description->config.events = events_.written;
  auto writer = perf_data::Writer::create(options_.output, description->config);
  if (!writer) return tl::unexpected(writer.error());
  recording_->write_to(std::move(*writer));
  for (const std::string& remark : description->remarks) {
    fmt::print(stderr, "vpmu: {}\n", remark);
  }
  return {};
}

Result<void> RecordedRun::prepare(std::vector<std::string> command_line) {
  if (auto checked = check_frequency(); !checked) return checked;
  if (auto loaded = run_.load(); !loaded) return loaded;
  if (auto prepared = run_.prepare(); !prepared) return prepared;
  if (auto attached = attach(); !attached) return attached;
  if (auto created = create_file(std::move(command_line)); !created) return created;
  if (!options_.real_time) return {};
  auto real_time = RealTimeRecording::start(options_.real_time_frequency(), *recording_);
  if (!real_time) return tl::unexpected(real_time.error());
  real_time_ = std::move(*real_time);
  return {};
}

std::vector<RecordedTotals> RecordedRun::totals() const {
  if (!profiler_) {
    machine::SamplingTotals totals;
    totals.samples = recording_->writer().samples();
    return {{{.name = events_.written[0].name, .attr = {}}, totals}};
  }
  const auto totals = profiler_->totals();
  std::vector<RecordedTotals> recorded;
  for (std::size_t event = 0; event < totals.size(); ++event) {
    recorded.push_back({events_.sampled[event], totals[event]});
  }
  return recorded;
}

void RecordedRun::tell() const {
  const auto recorded = totals();
  const std::uint64_t lost = real_time_ ? real_time_->lost() : 0;
  fmt::print(stderr, "vpmu: {}\n",
             recording_summary({options_.output, file_bytes(options_.output), lost}, recorded));
  const machine::GuestMachine& machine = run_.machine();
  const std::uint64_t targets =
      options_.on_host_cpus ? machine.host_activity().cpus() : machine.facts().vcpus;
  for (const RecordedTotals& event : recorded) {
    if (event.totals.samples != 0) continue;
    fmt::print(stderr, "vpmu: no samples of {}: {}\n", event.event.name,
               real_time_ ? "the guest ended before the first one; give a larger -F"
                          : why_no_samples(event, targets));
  }
}

int RecordedRun::run() {
  const auto stopped = run_.run();
  perf_data::Writer& writer = recording_->writer();
  if (real_time_) {
    real_time_->stop();
    if (real_time_->lost() != 0) writer.on_lost(real_time_->lost());
  }
  progress_.erase();
  const auto finished = writer.finish();
  fmt::print(stderr, "{}{}", run_.remarks(), summary(run_.any_machine(), run_.facts()));
  if (!finished) return bad_input(finished.error());
  tell();
  if (!stopped) return bad_input(stopped.error());
  if (const auto console = run_.console_error(); !console) return bad_input(console.error());
  return run_.facts().status;
}
}  // namespace

int record_guest(const GuestOptions& guest, const RecordOptions& options,
                 std::vector<std::string> command_line) {
  if (auto checked = check_output(options, guest); !checked) return bad_input(checked.error());
  // A file that may not grow any more is an error of write(), as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
  RecordedRun run{guest, options};
  if (auto prepared = run.prepare(std::move(command_line)); !prepared) {
    return bad_input(prepared.error());
  }
  return run.run();
}

}  // namespace vpmu::cli::record
