// SPDX-License-Identifier: MIT
#include "cli/report/flame_graph.hpp"

#include <cstdio>
#include <string_view>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "cli/report/output.hpp"
#include "profile/views/flame_graph.hpp"

namespace vpmu::cli::report {

Result<void> run_flame_graph(const FlameGraphCommandOptions& options) {
  auto loaded = load_profile(options.source, {.first_event = true});
  if (!loaded) return tl::unexpected(loaded.error());
  if (!loaded->event) {
    return fail(fmt::format("'{}': there is no event in it; record one",
                            vpmu::printable(options.source.file)));
  }
  auto output = ViewOutput::create(options.output, "flame graph");
  if (!output) return tl::unexpected(output.error());
  auto written = write_flame_graph(
      loaded->profile,
      {*loaded->event, options.title, options.width, options.min_width, options.inverted},
      [&](std::string_view piece) { return output->write(piece); });
  if (!written) return written;
  if (auto finished = output->finish(); !finished) return finished;
  fmt::print(stderr, "{}", remarks(*loaded, options.source));
  return {};
}

}  // namespace vpmu::cli::report
