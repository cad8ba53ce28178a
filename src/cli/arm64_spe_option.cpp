// SPDX-License-Identifier: MIT
#include "cli/arm64_spe_option.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/key_values.hpp"

namespace vpmu::cli {

namespace {
using machine::arm64::SpeLock;
using machine::arm64::SpeOffer;
using virt::arm64::SpeFlavour;

struct Request {
  std::optional<bool> physical_time{}, exclusive{};
  std::optional<unsigned> max_buffer_kib{};
  std::optional<bool> mlock{};
  std::optional<std::string> flavour{}, lock{};
};

using Keys = RequestKeys<Request>;
constexpr Keys::Number kNumbers[] = {{"max-buffer-kib", &Request::max_buffer_kib}};
constexpr Keys::Switch kSwitches[] = {{"physical-time", &Request::physical_time},
                                      {"exclusive", &Request::exclusive},
                                      {"mlock", &Request::mlock}};
constexpr Keys::Text kTexts[] = {{"flavour", &Request::flavour}, {"lock", &Request::lock}};

Result<SpeFlavour> flavour(const std::string& text) {
  for (const SpeFlavour each : {SpeFlavour::kVhe, SpeFlavour::kNvhe, SpeFlavour::kProtected}) {
    if (text == name(each)) return each;
  }
  return fail(fmt::format("--guest-spe: flavour={}: give vhe, nvhe or protected", text));
}

Result<SpeLock> lock(const std::string& text) {
  for (const SpeLock each : {SpeLock::kAll, SpeLock::kBuffer, SpeLock::kNone}) {
    if (text == name(each)) return each;
  }
  return fail(fmt::format("--guest-spe: lock={}: give all, buffer or none", text));
}

Result<machine::arm64::SpeMemoryOffer> memory(const Request& request) {
  const auto locked = lock(request.lock.value_or("all"));
  if (!locked) return tl::unexpected(locked.error());
  const bool mlock = request.mlock.value_or(false);
  if (!mlock || *locked != SpeLock::kNone) return {{.lock = *locked, .mlock = mlock}};
  return fail("--guest-spe: mlock=on: nothing is locked with lock=none; give lock=all or buffer");
}

Result<void> take(const Request& request, SpeOffer& offer) {
  if (request.flavour) {
    const auto found = flavour(*request.flavour);
    if (!found) return tl::unexpected(found.error());
    offer.flavour = *found;
  }
  const auto memory_offer = memory(request);
  if (!memory_offer) return tl::unexpected(memory_offer.error());
  offer.memory = *memory_offer;
  offer.physical_time = request.physical_time.value_or(false);
  offer.exclusive = request.exclusive.value_or(false);
  constexpr unsigned kSmallest = 4;
  if (request.max_buffer_kib && *request.max_buffer_kib < kSmallest) {
    return fail(fmt::format("--guest-spe: max-buffer-kib={}: give {} or more",
                            *request.max_buffer_kib, kSmallest));
  }
  offer.max_buffer_bytes = std::uint64_t{request.max_buffer_kib.value_or(0)} << 10;
  return {};
}

constexpr const char* kSpeAt = "--spe-at";

Result<virt::arm64::SpeStopRequest> stop_request(const std::string& value,
                                                 const std::string& word) {
  if (word == "trap") return virt::arm64::kSpeStopTrap;
  if (word == "exit") return virt::arm64::kSpeStopExit;
  if (word == "resume") return virt::arm64::kSpeResume;
  return fail(fmt::format("{} '{}': give trap, exit or resume behind =", kSpeAt, value));
}
}  // namespace

const char* name(SpeFlavour flavour) {
  switch (flavour) {
    case SpeFlavour::kVhe: return "vhe";
    case SpeFlavour::kNvhe: return "nvhe";
    case SpeFlavour::kProtected: return "protected";
  }
  return "?";
}

const char* name(SpeLock lock) {
  switch (lock) {
    case SpeLock::kAll: return "all";
    case SpeLock::kBuffer: return "buffer";
    case SpeLock::kNone: return "none";
  }
  return "?";
}

Result<std::optional<SpeOffer>> arm64_spe_offer(const GuestOptions& options) {
  if (options.guest_spe == "off") {
    for (const char* option : {"--spe-cpus", "--spe-supported"}) {
      if (!options.given(option)) continue;
      return fail(
          fmt::format("{}: is for guests with SPE; give --guest-spe on, or leave it out", option));
    }
    return std::nullopt;
  }
  SpeOffer offer;
  if (options.guest_spe != "on") {
    const auto request =
        parse_request<Request>(options.guest_spe, {kNumbers, kSwitches, false, kTexts});
    if (!request) return fail("--guest-spe: " + request.error().message);
    if (auto taken = take(*request, offer); !taken) return tl::unexpected(taken.error());
  }
  if (options.given("--spe-cpus")) offer.host_cpus = options.spe_cpus;
  offer.supported_cpus = options.spe_supported;
  return offer;
}

Result<void> check_spe_unit(const silicon::arm64::CpuModel& model, const char* option) {
  if (model.spe.version != 0) return {};
  std::vector<std::string_view> with;
  for (const silicon::arm64::CpuModel* each : silicon::arm64::cpu_models()) {
    if (each->spe.version != 0) with.push_back(each->name);
  }
  return fail(fmt::format("{}: {} has no SPE unit; give --cpu {}", option, model.name,
                          fmt::join(with, " or ")));
}

Result<void> check_has_spe(const machine::arm64::Machine& machine, const char* option) {
  if (machine.vcpus().front()->spe() != nullptr) return {};
  return fail(fmt::format(
      "{}: this guest has no SPE; give --guest-spe on and a CPU model that has it, e.g. "
      "--cpu neoverse-n1",
      option));
}

Result<void> add_spe_stops(const GuestOptions& options, machine::arm64::Machine& machine,
                           std::vector<Stop>& stops) {
  if (options.spe_at.empty()) return {};
  if (auto has = check_has_spe(machine, kSpeAt); !has) return has;
  std::vector<Stop> asked;
  for (const std::string& value : options.spe_at) {
    const auto point =
        parse_stop_point(kSpeAt, value, {.what = "trap, exit or resume", .example = "trap"});
    if (!point) return tl::unexpected(point.error());
    const auto request = stop_request(value, point->what);
    if (!request) return tl::unexpected(request.error());
    asked.push_back({.instructions = point->instructions,
                     .option = fmt::format("{} {}", kSpeAt, value),
                     .action = [&machine, value, request = *request]() -> Result<void> {
                       const auto done = machine.set_spe_stop(request);
                       if (done) return {};
                       return fail(fmt::format("{} {}: {}", kSpeAt, value, done.error().message));
                     }});
  }
  if (auto distinct = check_distinct(asked); !distinct) return distinct;
  std::ranges::move(asked, std::back_inserter(stops));
  return {};
}

}  // namespace vpmu::cli
