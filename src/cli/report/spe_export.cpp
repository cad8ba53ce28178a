// SPDX-License-Identifier: MIT
#include "cli/report/spe_export.hpp"

#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "base/user_text.hpp"
#include "cli/profiled_guest.hpp"
#include "cli/report/output.hpp"
#include "profile/perf_data/spe_writer.hpp"
#include "profile/spe/dump.hpp"
#include "profile/spe_views/trace_file.hpp"
#include "profile/spe_views/trace_script.hpp"

namespace vpmu::cli::report {

namespace {
namespace perf_data = profile::perf_data;
using profile::SpeStream;
using profile::SpeTrace;

constexpr const char* kPerfData = "perf.data";
constexpr const char* kPackets = "packets";
/// What a driver is asked for, as far as records tell: timestamps, physical addresses.
constexpr std::uint64_t kTimestamps = 1, kPhysicalAddresses = 2;

Result<void> check_perf_data(const ExportOptions& options, const SpeTrace& trace) {
  if (options.output.empty() || options.output == "-") {
    return fail("--format perf.data is a file that is written in several places; give -o FILE");
  }
  if (!trace.info().dump) {
    return fail(fmt::format("'{}': it is a perf.data already; give a dump by vpmu run --spe-dump",
                            vpmu::printable(options.source.file)));
  }
  std::error_code error;
  if (std::filesystem::equivalent(options.source.file, options.output, error)) {
    return fail(fmt::format("-o {}: that file is read, and would be overwritten; give another one",
                            in_quotes(options.output)));
  }
  return {};
}

/// The image is where the dump says, or the user does.
perf_data::WriterConfig config_of(const ExportOptions& options, const profile::SpeTraceInfo& info,
                                  unsigned vcpus) {
  const std::string& named = options.source.symbols.image;
  const std::string path = absolute_path(named.empty() ? info.image : named);
  perf_data::WriterConfig config;
  config.guest = info.name;
  config.command_line = {"vpmu", "export", "--format", kPerfData};
  config.arch = "aarch64";
  config.cpu_description = info.cpu_model;
  config.cpu_id = perf_cpu_id(info.midr);
  config.vcpus = config.host_cpus = vcpus;
  if (path.empty()) return config;
  if (const auto image = profile::read_elf_image(path)) {
    config.mappings = written_mappings(*image, path);
  } else {
    fmt::print(stderr, "vpmu: the profile has no symbols: {}\n", image.error().message);
  }
  return config;
}

Result<void> write_perf_data(const ExportOptions& options, const SpeTrace& trace) {
  if (auto checked = check_perf_data(options, trace); !checked) return checked;
  const auto vcpus = static_cast<unsigned>(trace.streams().size());
  auto writer =
      perf_data::SpeWriter::create(options.output, config_of(options, trace.info(), vcpus),
                                   {.config = kTimestamps | kPhysicalAddresses,
                                    .period = trace.info().period,
                                    .time = trace.info().time});
  if (!writer) return tl::unexpected(writer.error());
  for (const SpeStream& stream : trace.streams()) {
    if (trace.info().truncated != 0) (*writer)->mark(stream.cpu, perf_data::kAuxTruncated);
    if (trace.info().collided != 0) (*writer)->mark(stream.cpu, perf_data::kAuxCollision);
    for (const auto& piece : stream.pieces) (*writer)->add(stream.cpu, piece);
  }
  if (auto finished = (*writer)->finish(); !finished) return finished;
  fmt::print(stderr, "vpmu: {} records in {}\n", grouped((*writer)->records()),
             in_quotes(options.output));
  if ((*writer)->left_out() != 0) {
    fmt::print(stderr, "vpmu: {} bytes of records that never end are left out\n",
               grouped((*writer)->left_out()));
  }
  return {};
}

void tell(const SpeTrace& trace) {
  for (const std::string& problem : trace.problems()) fmt::print(stderr, "vpmu: {}\n", problem);
  if (!trace.info().complete) {
    fmt::print(stderr,
               "vpmu: '{}': the recording was cut short; this is what had been written by then\n",
               vpmu::printable(trace.info().file));
  }
}

}  // namespace

bool exports_spe(const ExportOptions& options) {
  if (options.format == kPerfData || options.format == kPackets) return true;
  return options.format == "script" && profile::has_spe_traces(options.source.file);
}

Result<void> run_spe_export(const ExportOptions& options) {
  auto trace = SpeTrace::open(options.source.file, options.source.symbols);
  if (!trace) return tl::unexpected(trace.error());
  if (options.format == kPerfData) {
    if (auto written = write_perf_data(options, *trace); !written) return written;
  } else {
    auto output = ViewOutput::create(options.output, "export");
    if (!output) return tl::unexpected(output.error());
    const profile::TextSink sink = [&](std::string_view piece) { return output->write(piece); };
    auto written = options.format == kPackets ? write_spe_packets(*trace, sink)
                                              : write_spe_script(*trace, sink);
    if (!written) return written;
    if (auto finished = output->finish(); !finished) return finished;
  }
  tell(*trace);
  return {};
}

}  // namespace vpmu::cli::report
