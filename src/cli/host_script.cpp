// SPDX-License-Identifier: MIT
#include "cli/host_script.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/read_all.hpp"
#include "base/user_text.hpp"
#include "cli/branch_filter.hpp"
#include "cli/event_spec.hpp"
#include "policy/nearest_names.hpp"
#include "policy/number.hpp"
#include "policy/toml_text.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/silicon/cycle_conditions.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/retire_totals.hpp"
#include "vpmu/silicon/x86/canonical.hpp"

namespace vpmu::cli {

namespace {
using hostperf::ModelledHostPerf;
using machine::HostBranches;
using machine::HostEvent;
using policy::kind_of;
using policy::Place;
using policy::place_of;

/// An [[event]] or [[trace]] as it was written, and where.
struct Entry {
  Place place;
  Place until, every, cpu;
  HostEvent event;
  unsigned count = 1;
};

/// A host on which nothing runs: what it opens, a machine's opens.
class TrialHost final : private hostperf::OverflowHandler {
 public:
  explicit TrialHost(const hostperf::HostCpuModel& model) : perf_{model, {&vcpu_, 1}} {}

  [[nodiscard]] bool opens(const hostperf::EventAttr& attr) {
    const auto id = perf_.open(attr, hostperf::Target::of(hostperf::HostCpu{0}), *this);
    if (id) perf_.close(*id);
    return id.has_value();
  }

 private:
  void on_overflow(hostperf::EventId, std::uint64_t) override {}

  silicon::RetireTotals totals_;
  silicon::Deadlines deadlines_{totals_};
  silicon::CycleConditions conditions_{totals_};
  hostperf::ModelledVcpu vcpu_{&totals_, &deadlines_, &conditions_};
  ModelledHostPerf perf_;
};

class ScriptReader {
 public:
  ScriptReader(std::string_view file, const HostScriptMachine& machine)
      : file_{file}, machine_{machine}, host_{machine.model} {}

  Result<std::vector<HostEvent>> read(const toml::table& script) {
    constexpr std::array<std::string_view, 2> kKeys{"event", "trace"};
    for (const auto& [key, value] : script) {
      if (std::ranges::find(kKeys, key.str()) == kKeys.end()) {
        return unknown(key.str(), place_of(key.source()), kKeys);
      }
      const toml::array* list = value.as_array();
      if (list == nullptr || !std::ranges::all_of(*list, &toml::node::is_table)) {
        return wrong(place_of(value.source()),
                     fmt::format("'{0}' is {1}; write [[{0}]] on a line of its own", key.str(),
                                 kind_of(value)));
      }
      for (const toml::node& node : *list) {
        if (auto done = read_entry(*node.as_table(), key.str() == "trace"); !done) {
          return tl::unexpected(done.error());
        }
      }
    }
    // Tables of both names, as they follow each other in the file.
    std::ranges::stable_sort(entries_, {}, [](const Entry& entry) {
      return std::tuple{entry.place.line, entry.place.column};
    });
    return events();
  }

 private:
  [[nodiscard]] tl::unexpected<Error> wrong(Place place, std::string_view message) const {
    return fail(policy::at(file_, place, message));
  }

  [[nodiscard]] tl::unexpected<Error> unknown(std::string_view key, Place place,
                                              std::span<const std::string_view> known) const {
    return wrong(place, policy::unknown_key(key, known));
  }

  // ---- Tables -----------------------------------------------------------------------------------

  Result<void> read_entry(const toml::table& table, bool trace) {
    Entry entry;
    entry.place = place_of(table.source());
    entry.event.trace = trace;
    if (trace) entry.event.name = "trace";
    if (trace && machine_.model.arm64() != nullptr) {
      return wrong(entry.place, fmt::format("{} has no last branch records that a trace could use; "
                                            "leave [[trace]] out",
                                            machine_.model.name()));
    }
    // A key that is misspelled rather than one that is missing.
    for (const auto& [key, value] : table) {
      if (std::ranges::find(known_keys(trace), key.str()) == known_keys(trace).end())
        return unknown(key.str(), place_of(key.source()), known_keys(trace));
    }
    // The event first: other keys add to what it says.
    if (!trace) {
      const toml::node* event = table.get("event");
      if (event == nullptr) {
        return wrong(entry.place, R"('event' is missing; write event = "cycles:D")");
      }
      if (auto done = read_event(*event, entry); !done) return done;
    }
    for (const auto& [key, value] : table) {
      if (!trace && key.str() == "event") continue;
      if (auto done = read_key(key.str(), place_of(key.source()), value, entry); !done) return done;
    }
    if (auto fits = check(entry); !fits) return fits;
    entries_.push_back(std::move(entry));
    return {};
  }

  Result<void> read_key(std::string_view key, Place place, const toml::node& value, Entry& entry) {
    HostEvent& event = entry.event;
    if (key == "name") return read_text(value, R"(name = "profiler")", event.name);
    if (key == "cpu") return read_cpus(value, entry);
    if (key == "at") return read_number(value, key, {0, HostEvent::kForever - 1}, event.at);
    if (key == "until") {
      entry.until = place_of(value.source());
      return read_number(value, key, {1, HostEvent::kForever - 1}, event.until);
    }
    if (key == "every") {
      entry.every = place_of(value.source());
      return read_number(value, key, {HostEvent::kShortestRound, HostEvent::kForever - 1},
                         event.every);
    }
    if (!event.trace) {
      if (key == "period") return read_number(value, key, {1, ~0ull}, event.attr.period);
      if (key == "count") return read_count(value, entry);
      if (key == "branches") return read_branches(value, event);
      if (key == "host_branches") return read_host_branches(value, event);
    }
    return unknown(key, place, known_keys(event.trace));
  }

  static std::span<const std::string_view> known_keys(bool trace) {
    static constexpr std::array<std::string_view, 10> kKeys{
        "name",  "cpu",    "at",    "until",    "every",
        "event", "period", "count", "branches", "host_branches"};
    return std::span{kKeys}.first(trace ? 5 : kKeys.size());
  }

  // ---- Values -----------------------------------------------------------------------------------

  Result<void> read_text(const toml::node& value, std::string_view example, std::string& to) const {
    const Place place = place_of(value.source());
    const toml::value<std::string>* text = value.as_string();
    if (text == nullptr) {
      return wrong(place, fmt::format("this is {}; write {}", kind_of(value), example));
    }
    to = text->get();
    const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
    constexpr std::size_t kLongest = 200;
    if (to.empty() || to.size() > kLongest || !std::ranges::all_of(to, printable)) {
      return wrong(place, fmt::format("this is not 1 to {} printable characters; write {}",
                                      kLongest, example));
    }
    return {};
  }

  struct Range {
    std::uint64_t least;
    std::uint64_t most;
  };
  /// TOML's numbers end at 2^63 - 1: larger ones are strings.
  Result<void> read_number(const toml::node& value, std::string_view key, Range range,
                           std::uint64_t& to) const {
    std::optional<std::uint64_t> number;
    if (const auto* integer = value.as_integer(); integer != nullptr && integer->get() >= 0) {
      number = static_cast<std::uint64_t>(integer->get());
    } else if (const auto* text = value.as_string()) {
      number = policy::number(text->get());
    } else if (integer == nullptr) {
      return wrong(place_of(value.source()),
                   fmt::format("'{0}' is {1}; write {0} = {2}", key, kind_of(value), range.least));
    }
    if (!number || *number < range.least || *number > range.most) {
      return wrong(place_of(value.source()),
                   fmt::format("'{}' is no whole number from {} to {}; write one", key, range.least,
                               range.most));
    }
    to = *number;
    return {};
  }

  Result<void> read_event(const toml::node& value, Entry& entry) {
    std::string text;
    if (auto done = read_text(value, R"(event = "cycles:D")", text); !done) return done;
    auto spec = parse_unsampled_event(text, machine_.model);
    if (!spec) return wrong(place_of(value.source()), spec.error().message);
    entry.event.name = std::move(spec->name);
    entry.event.attr = spec->attr;
    if (!host_.opens(spec->attr)) {
      return wrong(place_of(value.source()),
                   fmt::format("event '{}': {} cannot count it; `vpmu cpu show {} --events` lists "
                               "what it can",
                               text, machine_.model.name(), machine_.model.name()));
    }
    return {};
  }

  Result<void> read_count(const toml::node& value, Entry& entry) const {
    std::uint64_t count = 1;
    auto done = read_number(value, "count", {1, ModelledHostPerf::kEventsPerHostCpu}, count);
    entry.count = static_cast<unsigned>(count);
    return done;
  }

  Result<void> read_branches(const toml::node& value, HostEvent& event) {
    std::string text;
    if (auto done = read_text(value, R"(branches = "any,u")", text); !done) return done;
    const Place place = place_of(value.source());
    if (!machine_.model.lbr().exists()) {
      return wrong(place, fmt::format("{} has no last branch records; leave 'branches' out",
                                      machine_.model.name()));
    }
    const auto type = parse_branch_filter(text);
    if (!type) return wrong(place, type.error().message);
    event.attr.branch_type = *type;
    if (!host_.opens(event.attr)) {
      return wrong(place, fmt::format("branches '{}': {} cannot record these; write \"any\"", text,
                                      machine_.model.name()));
    }
    return {};
  }

  Result<void> read_host_branches(const toml::node& value, HostEvent& event) const {
    const toml::table* table = value.as_table();
    if (table == nullptr) {
      return wrong(place_of(value.source()),
                   fmt::format("'host_branches' is {}; write host_branches = {{ count = 32, from "
                               "= \"0xffffffff81000000\", to = \"0xffffffff81000100\" }}",
                               kind_of(value)));
    }
    HostBranches& branches = event.branches;
    std::uint64_t count = 1;
    constexpr Range kAddresses{0, ~0ull};
    for (const auto& [key, number] : *table) {
      Result<void> done;
      if (key.str() == "count") {
        done = read_number(number, key.str(), {1, HostBranches::kMost}, count);
      } else if (key.str() == "from" || key.str() == "to") {
        std::uint64_t& to = key.str() == "from" ? branches.from : branches.to;
        done = read_number(number, key.str(), kAddresses, to);
        if (done && !silicon::x86::canonical(to)) {
          done = wrong(place_of(number.source()),
                       fmt::format("{:#x} is no canonical address of 48 bits; write \"{:#x}\"", to,
                                   (to & 0x7fff'ffff'ffff) | 0xffff'8000'0000'0000));
        }
      } else {
        constexpr std::array<std::string_view, 3> kKeys{"count", "from", "to"};
        return unknown(key.str(), place_of(key.source()), kKeys);
      }
      if (!done) return done;
    }
    branches.count = static_cast<std::uint32_t>(count);
    return {};
  }

  Result<void> read_cpus(const toml::node& value, Entry& entry) const {
    entry.cpu = place_of(value.source());
    if (const auto* text = value.as_string(); text != nullptr && text->get() == "all") return {};
    entry.event.cpus = 0;
    if (const toml::array* list = value.as_array()) {
      for (const toml::node& each : *list) {
        if (auto done = read_cpu(each, entry.event.cpus); !done) return done;
      }
    } else {
      if (auto done = read_cpu(value, entry.event.cpus); !done) return done;
    }
    if (entry.event.cpus != 0) return {};
    return wrong(entry.cpu,
                 "'cpu' names no host CPU; write cpu = 0, cpu = [0, 1] or cpu = \"all\"");
  }

  Result<void> read_cpu(const toml::node& value, std::uint64_t& cpus) const {
    const Place place = place_of(value.source());
    const auto* number = value.as_integer();
    if (number == nullptr) {
      return wrong(place, fmt::format("'cpu' is {}; write cpu = 0, cpu = [0, 1] or cpu = \"all\"",
                                      kind_of(value)));
    }
    if (number->get() < 0 || number->get() >= machine_.host_cpus) {
      return wrong(place, fmt::format("there is no host CPU {}; the last one is {}: give "
                                      "--host-cpus more, or another one here",
                                      number->get(), machine_.host_cpus - 1));
    }
    cpus |= std::uint64_t{1} << number->get();
    return {};
  }

  // ---- All together -----------------------------------------------------------------------------

  [[nodiscard]] Result<void> check(const Entry& entry) const {
    const HostEvent& event = entry.event;
    if (event.until <= event.at) {
      return wrong(entry.until, fmt::format("until = {} is not after at = {}; write a later cycle, "
                                            "or none for an event that stays",
                                            event.until, event.at));
    }
    if (event.every != 0 && event.until == HostEvent::kForever) {
      return wrong(entry.every, "what comes again must end before; write until = ... as well");
    }
    if (event.every != 0 && event.until - event.at >= event.every) {
      return wrong(entry.every, fmt::format("it comes again every {} cycles, but lasts {}; write "
                                            "an earlier 'until' or a larger 'every'",
                                            event.every, event.until - event.at));
    }
    if (event.branches.count != 0 && event.attr.branch_type == 0) {
      return wrong(entry.place,
                   "an event has 'host_branches' only with branches; write branches "
                   "= \"any\" as well");
    }
    return {};
  }

  Result<std::vector<HostEvent>> events() {
    std::vector<HostEvent> events;
    std::vector<unsigned> open(machine_.host_cpus);
    for (const Entry& entry : entries_) {
      for (unsigned cpu = 0; cpu < open.size(); ++cpu) {
        if ((entry.event.cpus >> cpu & 1) == 0) continue;
        open[cpu] += entry.count;
        if (open[cpu] > ModelledHostPerf::kEventsPerHostCpu) {
          return wrong(entry.place, fmt::format("host CPU {} has more than {} events with this "
                                                "one; write fewer, some of them with 'every'",
                                                cpu, ModelledHostPerf::kEventsPerHostCpu));
        }
      }
      events.insert(events.end(), entry.count, entry.event);
    }
    return events;
  }

  std::string_view file_;
  HostScriptMachine machine_;
  TrialHost host_;
  std::vector<Entry> entries_;
};
}  // namespace

Result<std::vector<HostEvent>> parse_host_script(std::string_view text, std::string_view file,
                                                 const HostScriptMachine& machine) {
  const auto table = policy::parse_toml(text, file, "a host script");
  if (!table) return tl::unexpected(table.error());
  return ScriptReader{file, machine}.read(*table);
}

Result<std::vector<HostEvent>> read_host_script(const std::string& path,
                                                const HostScriptMachine& machine) {
  const auto text = read_all(path, policy::kLargestToml);
  if (!text) return fail(fmt::format("host script '{}': {}", path, text.error().message));
  return parse_host_script(*text, path, machine);
}

}  // namespace vpmu::cli
