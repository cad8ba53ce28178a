// SPDX-License-Identifier: MIT
#include "cli/host_events_option.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "cli/event_spec.hpp"

namespace vpmu::cli {

Result<std::vector<machine::HostEvent>> host_events(const GuestOptions& options,
                                                    const HostScriptMachine& machine) {
  std::vector<machine::HostEvent> events;
  for (const std::string& text : options.host_events) {
    auto event = parse_unsampled_event(text, machine.model);
    if (!event) return fail("--host-event: " + event.error().message);
    events.push_back({std::move(event->name), event->attr});
  }
  if (!options.given("--host-script")) return events;
  auto script = read_host_script(options.host_script, machine);
  if (!script) return script;
  std::ranges::move(*script, std::back_inserter(events));
  return events;
}

}  // namespace vpmu::cli
