// SPDX-License-Identifier: MIT
//
// The vectors of KVM's own test of its event filter (pmu_event_filter_test), numbered as our
// specification has them, on every CPU model: a guest counts (guests/x86/pmu/event_filter.c) while
// its filter is changed between its turns. All in sequence on one machine that is never reset, so
// that each also changes a filter under counters that run.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "guests/x86/pmu/filter_mailbox.h"
#include "machine/machine.hpp"
#include "unit/machine/machine_fixture.hpp"
#include "vpmu/virt/x86/pmu_request.hpp"

namespace vpmu::test {
namespace {

using silicon::x86::Vendor;
using virt::x86::EventFilter;
using virt::x86::FilterImage;
using Entries = std::vector<std::uint64_t>;

enum Action : std::uint32_t { kAllow = 0, kDeny = 1 };
enum Flags : std::uint32_t { kLegacy = 0, kMasked = FilterImage::kMaskedEvents };

constexpr std::uint64_t kExclude = std::uint64_t{1} << 55;

FilterImage filter_image(std::uint32_t action, std::uint32_t flags, const Entries& entries,
                         std::uint32_t fixed_bitmap = 0) {
  FilterImage image;
  image.action = action;
  image.flags = flags;
  image.fixed_bitmap = fixed_bitmap;
  image.count = static_cast<std::uint32_t>(entries.size());
  for (std::size_t i = 0; i < entries.size() && i < FilterImage::kMaxEntries; ++i) {
    image.entries[i] = entries[i];
  }
  return image;
}

/// The base list of the specification.
const Entries kBase = {0x003c, 0x00c0, 0x013c, 0x4f2e, 0x412e, 0x00c4, 0x00c5, 0x01a4, 0x00c2};
/// Without what the guest counts.
const Entries kBaseWithoutCounted = {0x003c, 0x013c, 0x4f2e, 0x412e, 0x00c5, 0x01a4};

class EventFilterVectors : public testing::TestWithParam<const char*> {
 protected:
  StringConsole console;
  std::unique_ptr<machine::Machine> machine;
  filter_mailbox mailbox{};

  [[nodiscard]] static const silicon::x86::CpuModel& model() {
    return *silicon::x86::find_cpu_model(GetParam());
  }
  [[nodiscard]] static bool is_intel() { return model().vendor == Vendor::kIntel; }

  /// A fresh machine, of which the guest is ready.
  void boot(std::optional<virt::x86::PmuConfig> pmu = std::nullopt,
            std::uint64_t quantum = machine::MachineConfig{}.quantum) {
    machine::MachineConfig config;
    config.quantum = quantum;
    config.model = &model();
    config.vcpus = 2;
    config.memory_bytes = std::uint64_t{32} << 20;
    config.pmu = pmu;
    auto created = machine::Machine::create(config, console);
    ASSERT_TRUE(created.has_value()) << created.error().message;
    machine = std::move(*created);
    const auto loaded = machine->load({VPMU_GUESTS "/event_filter.elf", "", {}});
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    run_to_ready();
  }

  void run_to_ready() {
    const auto outcome = machine->run({.instructions = machine->instructions() + 100'000'000});
    ASSERT_EQ(outcome.reason, machine::Outcome::Reason::kDebugExit) << console.output;
    at_ = machine->board().memory.host(outcome.value, sizeof mailbox);
    ASSERT_NE(at_, nullptr);
    std::memcpy(&mailbox, at_, sizeof mailbox);
  }

  void ask(filter_request what, std::uint32_t counter = 0) {
    mailbox = {what, counter, {~std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0}}};
    std::memcpy(at_, &mailbox, sizeof mailbox);
  }
  void request(filter_request what, std::uint32_t counter = 0) {
    ask(what, counter);
    ASSERT_NO_FATAL_FAILURE(run_to_ready());
  }

  /// As the ioctl would: what is refused changes nothing.
  bool set(const FilterImage& image) {
    auto filter = EventFilter::create(image, model().vendor);
    if (!filter) return false;
    machine->set_event_filter(std::move(*filter));
    return true;
  }

  // Each asks twice: of counters that are on since before the filter changed, and programmed anew.
  void expect_branches(bool counted, const std::string& vector) {
    for (const auto how : {REQUEST_MEASURE_BRANCHES, REQUEST_COUNT_BRANCHES}) {
      ASSERT_NO_FATAL_FAILURE(request(how));
      EXPECT_EQ(mailbox.results[0], counted ? MEASURED_BRANCHES : 0) << vector;
      EXPECT_EQ(mailbox.results[1], counted ? MEASURED_INSTRUCTIONS : 0) << vector;
    }
  }
  void expect_memory(bool loads, bool stores, bool both, const std::string& vector) {
    const unsigned accesses = MEASURED_LOADS + MEASURED_STORES;
    for (const auto how : {REQUEST_MEASURE_MEMORY, REQUEST_COUNT_MEMORY}) {
      ASSERT_NO_FATAL_FAILURE(request(how));
      EXPECT_EQ(mailbox.results[0], loads ? MEASURED_LOADS : 0) << vector;
      EXPECT_EQ(mailbox.results[1], stores ? MEASURED_STORES : 0) << vector;
      EXPECT_EQ(mailbox.results[2], !both        ? 0
                                    : is_intel() ? accesses
                                                 : unsigned{MEASURED_READ_MODIFY_WRITES})
          << vector;
    }
  }
  void expect_sane(bool sane) {
    ASSERT_NO_FATAL_FAILURE(request(REQUEST_SANITY));
    EXPECT_EQ(mailbox.results[0], sane ? 1u : 0u);
  }

  void legacy_vectors();
  void masked_vectors(std::size_t dummies);
  void ioctl_vectors();

 private:
  std::uint8_t* at_ = nullptr;  ///< of the guest's mailbox
};

/// Vectors 1 to 6.
void EventFilterVectors::legacy_vectors() {
  // Counters are off: the first measurement would have nothing to measure.
  ASSERT_NO_FATAL_FAILURE(request(REQUEST_COUNT_BRANCHES));
  expect_branches(true, "1: no filter");
  if (!is_intel()) {
    ASSERT_TRUE(set(filter_image(kDeny, kLegacy, {0x1'0000'00c2})));
    expect_branches(true, "2: another event of 12 bits");
  }
  ASSERT_TRUE(set(filter_image(kDeny, kLegacy, kBase)));
  expect_branches(false, "3: deny the base list");
  ASSERT_TRUE(set(filter_image(kAllow, kLegacy, kBase)));
  expect_branches(true, "4: allow the base list");
  ASSERT_TRUE(set(filter_image(kDeny, kLegacy, kBaseWithoutCounted)));
  expect_branches(true, "5: deny the others");
  ASSERT_TRUE(set(filter_image(kAllow, kLegacy, kBaseWithoutCounted)));
  expect_branches(false, "6: allow the others");
}

struct MaskedVector {
  unsigned number;
  Entries intel, amd;
  bool loads, stores, both;
};
const MaskedVector kMaskedVectors[] = {
    {7, {0xff000000000081d0}, {0xff00000000000129}, true, false, false},
    {8, {0xff000000000082d0}, {0xff00000000000229}, false, true, false},
    {9, {0xff000000000083d0}, {0xff00000000000429}, false, false, true},
    {10,
     {0x7c000000000000d0, 0xff000000000083d0 | kExclude},
     {0xfc00000000000029},
     true,
     true,
     false},
    {11,
     {0x7c000000000000d0, 0xff000000000082d0 | kExclude},
     {0xf800000000000029, 0xff00000000000229 | kExclude},
     true,
     false,
     true},
    {12,
     {0xfe000000000082d0},
     {0xf800000000000029, 0xff00000000000129 | kExclude},
     false,
     true,
     true},
    {13, {0x7c000000000000d0}, {0xf800000000000029}, true, true, true},
};

/// Entries of every event select but those of the vectors; a quarter of them excludes.
Entries dummy_entries(std::size_t count) {
  Entries entries;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t event = i % 0xff;
    if (event == 0xd0 || event == 0x29) ++event;
    entries.push_back(event | (i % 4 == 0 ? kExclude : 0));
  }
  return entries;
}

/// Vectors 7 to 13, behind so many others.
void EventFilterVectors::masked_vectors(std::size_t dummies) {
  for (const MaskedVector& vector : kMaskedVectors) {
    Entries entries = dummy_entries(dummies);
    const Entries& own = is_intel() ? vector.intel : vector.amd;
    entries.insert(entries.end(), own.begin(), own.end());
    ASSERT_TRUE(set(filter_image(kAllow, kMasked, entries)));
    expect_memory(vector.loads, vector.stores, vector.both,
                  std::to_string(vector.number) + ", behind " + std::to_string(dummies));
  }
}

/// Vectors 14 to 20: what may be set, and that what may not leaves the filter as it was.
void EventFilterVectors::ioctl_vectors() {
  constexpr std::uint64_t kAllOnes = ~std::uint64_t{0};
  EXPECT_TRUE(set(filter_image(kAllow, kLegacy, {kAllOnes}))) << "14: dropped as impossible";
  expect_branches(false, "14: allows nothing");
  ASSERT_TRUE(set(filter_image(kAllow, kLegacy, kBase)));
  EXPECT_FALSE(set(filter_image(kAllow, kMasked, {kAllOnes}))) << "15: reserved bits";
  expect_branches(true, "15: the filter before");
  EXPECT_TRUE(set(filter_image(kAllow, kMasked, {0xff8000000000ffff}))) << "16";
  expect_branches(false, "16: allows nothing");
  EXPECT_FALSE(set(filter_image(2, kLegacy, kBase))) << "17: action";
  EXPECT_FALSE(set(filter_image(kAllow, 2, kBase))) << "18: flags";
  EXPECT_FALSE(set(filter_image(kAllow, kLegacy, Entries(301, 0x00c0)))) << "19: 301 entries";
  expect_branches(false, "17 to 19: the filter before");
  const unsigned there = machine->pmu_config().fixed_counters;
  EXPECT_TRUE(set(filter_image(kAllow, kLegacy, kBase, ~0u << there))) << "20";
  expect_branches(true, "20: bits of fixed counters that are not there");
}

TEST_P(EventFilterVectors, OneToTwentyInSequenceOnOneMachine) {
  ASSERT_NO_FATAL_FAILURE(boot());
  ASSERT_NO_FATAL_FAILURE(expect_sane(true));
  ASSERT_NO_FATAL_FAILURE(legacy_vectors());
  // On the other vCPU: its counters are on from here.
  ASSERT_NO_FATAL_FAILURE(request(REQUEST_COUNT_MEMORY));
  ASSERT_NO_FATAL_FAILURE(masked_vectors(0));
  ASSERT_NO_FATAL_FAILURE(masked_vectors(290));
  ASSERT_NO_FATAL_FAILURE(ioctl_vectors());
}

TEST_P(EventFilterVectors, DenialsNameTheEntriesThatDidIt) {
  ASSERT_NO_FATAL_FAILURE(boot());
  ASSERT_TRUE(set(filter_image(kDeny, kLegacy, kBase)));
  ASSERT_NO_FATAL_FAILURE(request(REQUEST_COUNT_BRANCHES));
  const auto& filter = machine->filter_log().filters().back();
  // Both counters, once: they start with the same write or each with its own.
  ASSERT_EQ(filter.denials.size(), 2u);
  for (const auto& denial : filter.denials) {
    const std::uint64_t code = denial.event.event | unsigned{denial.event.unit_mask} << 8;
    EXPECT_EQ(filter.image->entries.at(denial.verdict.entry), code);
    EXPECT_EQ(filter.by_entry.at(denial.verdict.entry), 1u);
    EXPECT_EQ(denial.count, 1u);
    EXPECT_EQ(denial.vcpu, 0u);
  }
}

/// Only Intel's have fixed counters.
class EventFilterFixedVectors : public EventFilterVectors {};

TEST_P(EventFilterFixedVectors, TwentyOneToTwentyFourFollowTheFixedBitmap) {
  // Newer versions offer all that the model has.
  const auto pmu = virt::x86::restrict_pmu(model(), {.version = model().pmu.version});
  ASSERT_TRUE(pmu.has_value()) << pmu.error().message;
  const unsigned there = pmu->fixed_counters;
  ASSERT_GE(there, 3u);
  const std::pair<Action, Entries> filters[] = {
      {kAllow, {}}, {kDeny, {}}, {kAllow, kBase}, {kDeny, kBase}};
  for (unsigned k = 0; k < there; ++k) {
    ASSERT_NO_FATAL_FAILURE(boot(*pmu));
    ASSERT_NO_FATAL_FAILURE(request(REQUEST_COUNT_FIXED, k));
    EXPECT_GT(mailbox.results[0], 0u) << "no filter, fixed counter " << k;
    for (unsigned i = 0; i < 1u << there; ++i) {
      for (const auto& [action, entries] : filters) {
        ASSERT_TRUE(set(filter_image(action, kLegacy, entries, 1u << i)));
        ASSERT_NO_FATAL_FAILURE(request(REQUEST_COUNT_FIXED, k));
        EXPECT_EQ(mailbox.results[0] > 0, (i == k) == (action == kAllow))
            << "fixed counter " << k << ", bit " << i << ", action " << action << ", "
            << entries.size() << " entries";
      }
    }
  }
}

TEST_P(EventFilterVectors, OtherVcpusFreezeWhereTheyAre) {
  constexpr std::uint64_t kQuantum = 7;
  ASSERT_NO_FATAL_FAILURE(boot(std::nullopt, kQuantum));
  // CPU 1 counts while it waits for work in a loop, which loads. CPU 0 does something else.
  ASSERT_NO_FATAL_FAILURE(request(REQUEST_COUNT_MEMORY));
  ask(REQUEST_SANITY);
  const auto counts = [this] {
    std::vector<std::uint64_t> values;
    for (unsigned i = 0; i < 3; ++i) {
      values.push_back(machine->vcpus()[1]->pmu().value(virt::x86::gp_counter(i)));
    }
    return values;
  };
  const auto run_for = [this](std::uint64_t instructions) {
    const auto outcome = machine->run({.pause_at = machine->instructions() + instructions});
    ASSERT_EQ(outcome.reason, machine::Outcome::Reason::kPaused);
  };
  // Both have had a turn, and the pause is anywhere in one.
  for (std::uint64_t length = 2 * kQuantum; length < 4 * kQuantum; ++length) {
    const auto before = counts();
    ASSERT_TRUE(set(filter_image(kAllow, kLegacy, {})));
    ASSERT_NO_FATAL_FAILURE(run_for(length));
    EXPECT_EQ(counts(), before);
    machine->set_event_filter(nullptr);
    ASSERT_NO_FATAL_FAILURE(run_for(length));
    EXPECT_NE(counts(), before);
  }
}

TEST_P(EventFilterVectors, TwentyFiveWithoutAPmuTheRegistersDoNotKeepWhatIsWritten) {
  ASSERT_NO_FATAL_FAILURE(boot(virt::x86::no_pmu(model().vendor)));
  expect_sane(false);
}

std::string name_of_model(const testing::TestParamInfo<const char*>& model) {
  std::string name = model.param;
  std::erase(name, '-');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Models, EventFilterVectors,
                         testing::Values("skylake-server", "icelake-server", "sapphire-rapids",
                                         "zen2", "zen4"),
                         name_of_model);
INSTANTIATE_TEST_SUITE_P(Models, EventFilterFixedVectors,
                         testing::Values("skylake-server", "icelake-server", "sapphire-rapids"),
                         name_of_model);

}  // namespace
}  // namespace vpmu::test
