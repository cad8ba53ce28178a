// SPDX-License-Identifier: MIT
#include "cli/annotate/function_samples.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/user_text.hpp"
#include "policy/nearest_names.hpp"
#include "profile/perf_data/reader.hpp"
#include "profile/views/call_chain.hpp"
#include "profile/views/event_choice.hpp"

namespace vpmu::cli::annotate {

namespace {
using profile::AddressInfo;
using profile::AddressOwner;
using profile::AddressSpaces;
using namespace profile::perf_data;

AddressOwner owner_of(const Task& task) {
  return profile::owner_of(task, task.mode);
}

/// Of code that a symbol file names, and that nothing is mapped at.
const profile::Image& nowhere() {
  static const profile::Image kNowhere = [] {
    profile::Image image;
    image.name = "[unmapped]";
    image.symbols = std::make_shared<profile::SymbolTable>();
    return image;
  }();
  return kNowhere;
}

/// Counts what is in the functions that were asked for.
class Counter final : public RecordVisitor {
 public:
  Counter(const SampleChoice& choice, std::uint32_t event, AddressSpaces& spaces)
      : choice_{choice}, event_{event}, spaces_{spaces} {}

  void on_comm(const CommRecord& comm) override {
    profile::forget_mappings(comm, spaces_);
    places_.clear();
  }
  void on_fork(const ForkRecord& fork) override {
    profile::share_mappings(fork, spaces_);
    places_.clear();
  }
  void on_mapping(const MappingRecord& mapping) override {
    if (!mapping.executable) return;
    spaces_.map(profile::code_of(mapping));
    places_.clear();
  }
  void on_sample(const SampleRecord& sample) override {
    if (sample.event != event_) return;
    vcpus.insert(sample.task.vcpu);
    if (choice_.vcpu && sample.task.vcpu != *choice_.vcpu) return;
    ++samples;
    weight += sample.period;
    const AddressOwner owner = owner_of(sample.task);
    if (const Place place = place_of(owner, sample.ip); place.function != nullptr) {
      AddressCounts& counts = place.function->counts[place.linked];
      ++counts.samples;
      counts.weight += sample.period;
      ++place.function->samples;
      place.function->weight += sample.period;
    }
    for (const BranchEntry& branch : sample.branches) count(owner, branch);
  }

  /// By image and first address: in user and in kernel mode it is the same code.
  std::map<std::pair<std::string, std::uint64_t>, FunctionSamples> functions;
  std::set<std::uint32_t> vcpus;
  std::set<std::string_view> names;  ///< of everything with samples or branches
  std::uint64_t samples = 0;
  std::uint64_t weight = 0;

 private:
  struct Place {
    FunctionSamples* function = nullptr;  ///< null: none that was asked for
    std::uint64_t linked = 0;
  };
  struct Key {
    AddressOwner owner;
    std::uint64_t address;
    bool operator==(const Key& other) const {
      return address == other.address && owner.mode == other.owner.mode &&
             owner.machine_pid == other.owner.machine_pid && owner.pid == other.owner.pid;
    }
  };
  struct Hash {
    std::size_t operator()(const Key& key) const {
      std::uint64_t hash = key.address * 0x9e3779b97f4a7c15;
      hash ^= (std::uint64_t{key.owner.machine_pid} << 32 | key.owner.pid) * 0xff51afd7ed558ccd;
      return hash ^ hash >> 32 ^ static_cast<std::uint64_t>(key.owner.mode);
    }
  };

  void count(const AddressOwner& owner, const BranchEntry& branch) {
    constexpr std::uint64_t kMispredicted = 1;
    const Place place = place_of(owner, branch.from);
    if (place.function == nullptr) return;
    AddressCounts& counts = place.function->counts[place.linked];
    ++counts.taken;
    if ((branch.flags & kMispredicted) != 0) ++counts.mispredicted;
  }

  /// The same few addresses come again and again.
  Place place_of(const AddressOwner& owner, std::uint64_t address) {
    const auto [known, added] = places_.try_emplace({owner, address});
    if (added) known->second = find(owner, address);
    return known->second;
  }

  Place find(const AddressOwner& owner, std::uint64_t address) {
    const AddressInfo info = spaces_.find(owner, address);
    if (info.symbol == nullptr) return {};
    names.insert(info.symbol->name);
    const NameMatch match = match_of(*info.symbol, choice_.symbol);
    if (match == NameMatch::kNone) return {};
    const std::uint64_t to_symbols = info.in_symbols - info.linked;
    const std::uint64_t start = info.symbol->start - to_symbols;
    const std::string image = info.image == nullptr      ? ""
                              : info.image->path.empty() ? info.image->name
                                                         : info.image->path;
    const auto [known, added] = functions.try_emplace({image, start});
    FunctionSamples& function = known->second;
    if (added) {
      function.image = info.image == nullptr ? &nowhere() : info.image;
      function.symbol = info.symbol;
      function.match = match;
      function.start = start;
      function.to_symbols = to_symbols;
    }
    return {&function, info.linked};
  }

  const SampleChoice& choice_;
  std::uint32_t event_;
  AddressSpaces& spaces_;
  std::unordered_map<Key, Place, Hash> places_;
};

std::string nearest(std::string_view wanted, const std::set<std::string_view>& names) {
  std::vector<std::string> quoted;
  for (const std::string_view name : policy::nearest_names(wanted, {names.begin(), names.end()})) {
    quoted.push_back(in_quotes(name));
  }
  return fmt::format("{}", fmt::join(quoted, ", "));
}

/// Why there is nothing to show.
tl::unexpected<Error> nothing(const SampleChoice& choice, const Counter& counter,
                              const std::string& event) {
  if (counter.samples == 0 && choice.vcpu && !counter.vcpus.empty()) {
    constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
    std::vector<std::uint32_t> known;
    std::ranges::copy_if(counter.vcpus, std::back_inserter(known),
                         [](std::uint32_t vcpu) { return vcpu != kNone; });
    if (known.empty()) {
      return fail(fmt::format("{} does not say of which vCPUs its samples are; leave --vcpu out",
                              in_quotes(choice.file)));
    }
    return fail(fmt::format("{} has no samples of vCPU {}; it has of {}", in_quotes(choice.file),
                            *choice.vcpu, fmt::join(known, ", ")));
  }
  if (counter.samples == 0) {
    return fail(
        fmt::format("{} has no samples of event {}; record for longer, or with a shorter "
                    "period",
                    in_quotes(choice.file), in_quotes(event)));
  }
  if (counter.names.empty()) {
    return fail(
        fmt::format("no address in {} has a symbol; name the image with --image, or a file "
                    "with symbols with --symbols",
                    in_quotes(choice.file)));
  }
  return fail(fmt::format("no samples of {} in a function called {}; there are of {}",
                          in_quotes(event), in_quotes(choice.symbol),
                          nearest(choice.symbol, counter.names)));
}

/// Of different functions that were not named in full, none is chosen for the user.
Result<void> one_meant(const std::vector<FunctionSamples>& functions, const std::string& wanted) {
  std::set<std::string_view> names;
  for (const FunctionSamples& function : functions) names.insert(function.symbol->name);
  if (names.size() < 2 || functions.front().match == NameMatch::kWhole) return {};
  return fail(fmt::format("{} may be {}; write one of them in full", in_quotes(wanted),
                          nearest(functions.front().symbol->name, names)));
}
}  // namespace

Result<SampledFunctions> read_samples(const SampleChoice& choice) {
  auto reader = Reader::open(choice.file);
  if (!reader) return tl::unexpected{reader.error()};
  const FileInfo& info = (*reader)->info();
  const auto event = profile::choose_event(info, choice.event, choice.file);
  if (!event) return tl::unexpected{event.error()};
  profile::SymbolSources sources = choice.sources;
  sources.recorded_guest_kallsyms = (*reader)->guest_kallsyms();
  auto spaces = AddressSpaces::create(std::move(sources));
  if (!spaces) return tl::unexpected{spaces.error()};

  Counter counter{choice, *event, *spaces};
  if (auto read = (*reader)->read(counter); !read) return tl::unexpected{read.error()};
  SampledFunctions result{
      std::move(*spaces), {},           one_line(info.events[*event].name), counter.samples,
      counter.weight,     info.complete};
  auto best = NameMatch::kNone;
  for (const auto& [key, function] : counter.functions) {
    if (function.samples > 0) best = std::max(best, function.match);
  }
  for (auto& [key, function] : counter.functions) {
    if (function.samples > 0 && function.match == best) {
      result.functions.push_back(std::move(function));
    }
  }
  if (result.functions.empty()) return nothing(choice, counter, result.event);
  std::ranges::sort(result.functions, [](const FunctionSamples& a, const FunctionSamples& b) {
    return std::tie(b.weight, b.samples, a.start, a.image->name) <
           std::tie(a.weight, a.samples, b.start, b.image->name);
  });
  if (auto one = one_meant(result.functions, choice.symbol); !one) {
    return tl::unexpected{one.error()};
  }
  return result;
}

}  // namespace vpmu::cli::annotate
