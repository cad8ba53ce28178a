// SPDX-License-Identifier: MIT
#include "cli/report/loaded_profile.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "base/user_text.hpp"
#include "cli/report/progress.hpp"
#include "profile/views/event_choice.hpp"
#include "profile/views/profile_builder.hpp"
#include "profile/views/report_table.hpp"

namespace vpmu::cli::report {

using profile::AddressSpaces;
using profile::EventTotals;
using profile::perf_data::FileInfo;
using profile::perf_data::Reader;

Result<OpenProfile> open_profile(const ProfileSource& source) {
  auto reader = Reader::open(source.file);
  if (!reader) return tl::unexpected(reader.error());
  profile::SymbolSources sources = source.symbols;
  sources.recorded_guest_kallsyms = (*reader)->guest_kallsyms();
  auto spaces = AddressSpaces::create(std::move(sources));
  if (!spaces) return tl::unexpected(spaces.error());
  std::optional<std::uint32_t> event;
  if (!source.event.empty()) {
    const auto found = profile::choose_event((*reader)->info(), source.event, source.file);
    if (!found) return tl::unexpected(found.error());
    event = *found;
  }
  return OpenProfile{std::move(*reader), std::move(*spaces), event};
}

Result<LoadedProfile> load_profile(const ProfileSource& source, const LoadOptions& options) {
  auto open = open_profile(source);
  if (!open) return tl::unexpected(open.error());
  LoadedProfile loaded{std::move(open->spaces), {}, open->event};
  const FileInfo& info = open->reader->info();
  if (!loaded.event && options.first_event && !info.events.empty()) loaded.event = 0;
  profile::ProfileBuilder builder{
      info, loaded.spaces, {loaded.event, options.branches, options.timeline}};
  {
    Progress progress{builder};
    if (const auto read = open->reader->read(progress); !read) return tl::unexpected(read.error());
  }
  loaded.profile = builder.finish(info.complete);
  return loaded;
}

std::string problems_text(const AddressSpaces& spaces) {
  std::string text;
  for (const std::string& problem : spaces.problems()) text += fmt::format("vpmu: {}\n", problem);
  return text;
}

std::string remarks(const LoadedProfile& loaded, const ProfileSource& source) {
  std::string text = problems_text(loaded.spaces);
  const std::string file = vpmu::printable(source.file);
  const auto& events = loaded.profile.events;
  if (!loaded.profile.complete) {
    text += fmt::format(
        "vpmu: '{}': the recording was cut short; this is what had been written by then\n", file);
  }
  if (loaded.event && source.event.empty() && events.size() > 1) {
    text += fmt::format("vpmu: '{}' has {} events, this is {}; -e NAME for another one\n", file,
                        events.size(), events[*loaded.event].name);
  }
  profile::Weight all, nameless;
  for (const EventTotals& event : events) {
    all.add(event.total);
    nameless.add(event.without_symbol);
  }
  if (all.samples != 0 && nameless.samples >= all.samples / 10 && nameless.samples != 0) {
    text += fmt::format(
        "vpmu: '{}': {} of {} samples are where no symbol is known; --image, --guest-kallsyms or "
        "--symbols names a file with symbols\n",
        file, grouped(nameless.samples), grouped(all.samples));
  }
  return text;
}

}  // namespace vpmu::cli::report
