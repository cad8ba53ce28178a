// SPDX-License-Identifier: MIT
#include "cli/report/export.hpp"

#include <unistd.h>

#include <cstdio>
#include <string_view>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "cli/report/output.hpp"
#include "cli/report/progress.hpp"
#include "cli/report/spe_export.hpp"
#include "profile/views/folded.hpp"
#include "profile/views/pprof.hpp"
#include "profile/views/script.hpp"
#include "profile/views/speedscope.hpp"

namespace vpmu::cli::report {

namespace {
using profile::TextSink;

Result<void> export_script(const ExportOptions& options, ViewOutput& output, const TextSink& sink) {
  auto open = open_profile(options.source);
  if (!open) return tl::unexpected(open.error());
  profile::ScriptWriter writer{open->reader->info(), open->spaces, {.event = open->event}, sink};
  {
    Progress progress{writer};
    if (auto read = open->reader->read(progress); !read) return read;
  }
  if (auto finished = writer.finish(); !finished) return finished;
  fmt::print(stderr, "{}", problems_text(open->spaces));
  return output.finish();
}

Result<void> write_view(const ExportOptions& options, LoadedProfile& loaded, const TextSink& sink) {
  if (options.format == "pprof") return sink(pprof_bytes(loaded.profile, loaded.spaces));
  if (options.format == "speedscope") {
    return write_speedscope(loaded.profile, options.source.file, sink);
  }
  const auto weight =
      options.weight == "count" ? profile::WeightKind::kCount : profile::WeightKind::kSamples;
  if (loaded.event) return write_folded(loaded.profile, *loaded.event, weight, sink);
  return {};
}
}  // namespace

Result<void> run_export(const ExportOptions& options) {
  if (exports_spe(options)) return run_spe_export(options);
  if (options.format == "pprof" && options.output == "-" && isatty(STDOUT_FILENO) != 0) {
    return fail("--format pprof is compressed, and nothing for a terminal; give -o FILE");
  }
  auto output = ViewOutput::create(options.output, "export");
  if (!output) return tl::unexpected(output.error());
  const TextSink sink = [&](std::string_view piece) { return output->write(piece); };
  if (options.format == "script") return export_script(options, *output, sink);
  auto loaded = load_profile(options.source, {.timeline = options.format == "speedscope",
                                              .first_event = options.format == "folded"});
  if (!loaded) return tl::unexpected(loaded.error());
  if (auto written = write_view(options, *loaded, sink); !written) return written;
  fmt::print(stderr, "{}", remarks(*loaded, options.source));
  return output->finish();
}

}  // namespace vpmu::cli::report
