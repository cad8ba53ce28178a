// SPDX-License-Identifier: MIT
#include "cli/filter/build.hpp"

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/atomic_file.hpp"
#include "cli/filter/event_text.hpp"
#include "cli/filter/json_words.hpp"
#include "cli/filter/loaded_filter.hpp"
#include "cli/filter/ranges.hpp"
#include "cli/wrap.hpp"
#include "policy/filter_file.hpp"

namespace vpmu::cli::filter {

namespace {
using policy::CompiledFilter;
using policy::CompiledRow;
using policy::EventCatalogue;
using policy::FilterFile;
using policy::Policy;
using virt::x86::FilterImage;

constexpr std::size_t kIndent = 18;

std::string line(std::string_view what, std::string_view text, std::size_t columns) {
  return wrapped(fmt::format("  {:<15} ", what), kIndent, text, columns) + "\n";
}

std::string counted(std::size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string entries_text(std::size_t count) {
  return counted(count, "entry", "entries");
}

/// "a", "a and b", "a, b and c".
std::string listed(const std::vector<std::string>& items) {
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) text += i + 1 == items.size() ? " and " : ", ";
    text += items[i];
  }
  return text;
}

std::string start_text(const Policy& policy) {
  std::string text = policy.allows_by_default ? "allow" : "deny";
  if (!policy.tier.empty()) text += fmt::format(", but for tier {}", policy.tier);
  return text;
}

/// Event selects by how many entries they take, the dearest first: "9 for 0x24, 7 for 0xb2 and
/// 0xc7, 1 for each of 22 others".
std::string rows_text(const CompiledFilter& compiled) {
  std::map<std::size_t, std::vector<std::string>, std::greater<>> events;
  for (const CompiledRow& row : compiled.rows) {
    events[row.entries.size()].push_back(fmt::format("{:#04x}", row.event));
  }
  std::vector<std::string> parts;
  for (const auto& [entries, of] : events) {
    if (entries > 1 || of.size() == 1) {
      parts.push_back(fmt::format("{} for {}", entries, listed(of)));
    } else {
      parts.push_back(fmt::format("1 for each of {}{}", of.size(), parts.empty() ? "" : " others"));
    }
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

/// The event selects whose entries may not be the fewest; empty if all are.
std::string unproven_text(const CompiledFilter& compiled) {
  std::vector<std::string> events;
  for (const CompiledRow& row : compiled.rows) {
    if (!row.minimal) events.push_back(fmt::format("{:#04x}", row.event));
  }
  return events.empty() ? "" : fmt::format("for {}", listed(events));
}

std::string fixed_text(const Policy& policy, std::size_t columns) {
  std::string text;
  for (unsigned k = 0; k < policy.catalogue->fixed_counters(); ++k) {
    text += line(fmt::format("fixed counter {}", k),
                 fmt::format("{:<7}  {}", verdict_word((policy.fixed_allowed >> k & 1) != 0),
                             fmt::join(fixed_names(*policy.catalogue, k), ", ")),
                 columns);
  }
  return text;
}

std::string cpu_text(const EventCatalogue& catalogue) {
  return fmt::format("{} ({}; events of libpfm4's {})", cpu_name(catalogue),
                     name(catalogue.vendor()), catalogue.pmu().name);
}

/// What the file itself says of where it is from.
std::string comment(const FilterFile& file, const FilterImage& image) {
  return fmt::format("Of {}, for {}: {}, {}.", file.name, cpu_text(*file.policy->catalogue),
                     action_word(image), entries_text(image.count));
}

std::string summary(const FilterFile& file, const FilterImage& image, const BuildOptions& options,
                    std::size_t columns) {
  const Policy& policy = *file.policy;
  const CompiledFilter& compiled = *file.compiled;
  const std::string where = options.output == "-" ? "standard output" : options.output;
  std::string text = fmt::format(
      "{}: {} of {}, {}\n", where, entries_text(image.count), FilterImage::kMaxEntries,
      compiled.minimal() ? "proven to be the fewest" : "the best found, maybe not the fewest");
  text += line("cpu", cpu_text(*policy.catalogue), columns);
  text += line("default", start_text(policy), columns);
  text += line("action",
               image.action == 0 ? "allow: guests may count what the entries match"
                                 : "deny: guests may count what the entries do not match",
               columns);
  if (!compiled.rows.empty()) text += line("entries", rows_text(compiled), columns);
  const std::string unproven = unproven_text(compiled);
  if (!unproven.empty()) text += line("best found", unproven, columns);
  return text + fixed_text(policy, columns);
}

Result<void> check_is_policy(const FilterFile& file, const std::string& cpu) {
  if (!file.policy || !file.compiled) {
    return fail(fmt::format("'{}' is a filter already; give a policy, or `vpmu filter check` it",
                            file.name));
  }
  if (cpu.empty()) return {};
  const auto wanted = EventCatalogue::of(cpu);
  if (!wanted) return tl::unexpected(wanted.error());
  if (*wanted == file.policy->catalogue) return {};
  return fail(fmt::format("'{}' is for {}, and --cpu says {}; change one of them", file.name,
                          cpu_name(*file.policy->catalogue), cpu_name(**wanted)));
}
}  // namespace

Result<Output> run_build(const BuildOptions& options) {
  const auto format = policy::filter_format(options.format);
  if (!format) {
    return fail(fmt::format("--format {} is not known; give bin, c, json or hex", options.format));
  }
  const auto file = policy::read_filter_file(options.policy);
  if (!file) return tl::unexpected(file.error());
  const auto ranges = as_ranges(*file, options.cpu);
  if (!ranges) return tl::unexpected(ranges.error());
  if (*ranges) return build_ranges(**ranges, options);
  if (auto checked = check_is_policy(*file, options.cpu); !checked) {
    return tl::unexpected(checked.error());
  }
  const auto image = policy::valid_image(*file, file->policy->catalogue->vendor());
  if (!image) return tl::unexpected(image.error());

  Output output;
  for (const std::string& warning : file->policy->warnings) output.remarks += warning + "\n";
  const std::string content = policy::format_filter(*image, *format, comment(*file, *image));
  const std::string report = summary(*file, *image, options, output_columns());
  if (options.output == "-") {
    output.text = content;
    output.remarks += report;
    return output;
  }
  if (auto written = write_file(options.output, content, "event filter"); !written) {
    return tl::unexpected(written.error());
  }
  output.text = report;
  return output;
}

}  // namespace vpmu::cli::filter
