// SPDX-License-Identifier: MIT
#include "machine/profiler/opening.hpp"

#include <string_view>

namespace vpmu::machine {

namespace {
using hostperf::EventAttr;
using hostperf::OpenError;
using hostperf::Target;

std::string why(OpenError error, const EventAttr& attr, std::string_view model) {
  const std::string show = "`vpmu cpu show " + std::string{model};
  switch (error) {
    case OpenError::kNoSuchEvent:
    case OpenError::kNotSupported:
      if (attr.branch_type != 0) {
        return std::string{model} + " cannot count it and record such branches; " + show +
               "` says which it can";
      }
      return std::string{model} + " cannot count it; " + show + " --events` lists what it can";
    case OpenError::kNoSpace: return "too many other events are open; give fewer";
    case OpenError::kBusy: return "the branch records are used for a trace; leave one of them out";
    case OpenError::kNoSuchTarget: return "there is no such CPU";
  }
  return "it cannot be opened";
}
}  // namespace

Result<void> check_number(std::size_t events) {
  if (events <= kMostEvents) return {};
  return fail(std::to_string(events) + " events: give at most " + std::to_string(kMostEvents));
}

Result<hostperf::EventId> open_event(GuestMachine& machine, const std::string& name,
                                     const EventAttr& attr, Target target,
                                     hostperf::OverflowHandler& handler) {
  const auto opened = machine.host_perf().open(attr, target, handler);
  if (opened) return *opened;
  const std::string_view model = machine.facts().host_cpu_model;
  return fail("event '" + name + "': " + why(opened.error(), attr, model));
}

}  // namespace vpmu::machine
