// SPDX-License-Identifier: MIT
//
// Several who profile at the same time: two machines with guests that have SPE, and the host, which
// profiles one of them. Nobody sees a record of another's: each has, byte for byte, what it has
// when it runs alone.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "machine/arm64_board/machine.hpp"
#include "profile/spe/record_decoder.hpp"
#include "unit/arm64_board/machine_fixture.hpp"
#include "vpmu/silicon/arm64/spe_registers.hpp"

namespace vpmu::machine::arm64 {
namespace {

using profile::spe::Record;
using Bytes = std::vector<std::uint8_t>;

/// Records by vCPU.
class Streams final : public SpeRecordSink {
 public:
  void on_record(unsigned vcpu, std::span<const std::uint8_t> bytes) override {
    if (vcpu >= of.size()) of.resize(vcpu + 1);
    of[vcpu].insert(of[vcpu].end(), bytes.begin(), bytes.end());
  }
  [[nodiscard]] std::vector<Record> records(unsigned vcpu) const {
    std::vector<Record> records;
    if (vcpu >= of.size()) return records;
    profile::spe::RecordDecoder decoder;
    decoder.decode(of[vcpu], [&records](const Record& record) { records.push_back(record); });
    EXPECT_EQ(decoder.totals().bad_bytes, 0U);
    EXPECT_FALSE(decoder.totals().cut_short);
    return records;
  }

  std::vector<Bytes> of;
};

/// One in 512 operations at both levels, with their contexts.
SpeProfile hosts_profile(bool models_memory) {
  using namespace silicon::arm64;
  Pmscr pmscr;
  pmscr.set(Pmscr::kE0spe, 1);
  pmscr.set(Pmscr::kE1spe, 1);
  pmscr.set(Pmscr::kCx, 1);
  pmscr.set(Pmscr::kTs, 1);
  return {.pmscr = pmscr.raw, .pmsirr = 512 | 1, .models_memory = models_memory};
}

/// A guest with SPE on a machine of its own, which the host may profile.
class Guest {
 public:
  struct Setup {
    std::string image, arguments;
    unsigned vcpus = 1;
    SpeOffer offer{};
  };
  explicit Guest(const Setup& setup) : Guest{setup, true} {}
  /// Where `from` went on.
  Guest(const Setup& setup, Guest& from) : Guest{setup, false} {
    const GuestMemory& memory = from.machine->board().memory;
    std::memcpy(machine->board().memory.host(memory.begin(), memory.low_size()),
                memory.host(memory.begin(), memory.low_size()), memory.low_size());
    const auto restored = machine->restore(from.machine->save());
    EXPECT_TRUE(restored.has_value()) << restored.error().message;
  }

  void profile(bool models_memory) {
    for (const auto& vcpu : machine->vcpus()) vcpu->profile(hosts_profile(models_memory), hosts);
  }
  void end_profile() {
    for (const auto& vcpu : machine->vcpus()) vcpu->end_profile();
  }
  /// False: it has come to its end.
  bool go_on(std::uint64_t instructions) {
    const Outcome outcome = machine->run(
        {.instructions = 100'000'000, .pause_at = machine->instructions() + instructions});
    if (outcome.reason == Outcome::Reason::kPaused) return true;
    EXPECT_EQ(outcome.reason, Outcome::Reason::kDebugExit);
    return false;
  }
  void expect_passed() const {
    EXPECT_NE(console.text.find(" 0 failed"), std::string::npos) << console.text;
  }

  TextConsole console;
  Streams own, hosts;
  std::unique_ptr<Machine> machine;

 private:
  Guest(const Setup& setup, bool loads) {
    MachineConfig config;
    config.model = silicon::arm64::find_cpu_model("neoverse-n1");
    config.vcpus = setup.vcpus;
    config.quantum = 1000;
    config.spe = setup.offer;
    auto created = Machine::create(config, console);
    EXPECT_TRUE(created.has_value());
    machine = std::move(*created);
    for (const auto& vcpu : machine->vcpus()) vcpu->spe()->set_record_sink(&own);
    if (!loads) return;
    const auto loaded = machine->load({.image = VPMU_GUESTS "/" + setup.image + ".elf",
                                       .arguments = setup.arguments,
                                       .modules = {}});
    EXPECT_TRUE(loaded.has_value()) << loaded.error().message;
  }
};

void run_alone(Guest& guest) {
  while (guest.go_on(1'000'000)) {
  }
  guest.expect_passed();
}

/// In turns of so many instructions each, until all have ended.
void run_in_turns(std::span<Guest* const> guests, std::uint64_t turn) {
  std::vector<bool> ended(guests.size());
  for (bool any = true; any;) {
    any = false;
    for (std::size_t n = 0; n < guests.size(); ++n) {
      if (ended[n]) continue;
      ended[n] = !guests[n]->go_on(turn + 1000 * n);
      any = true;
    }
  }
  for (const Guest* guest : guests) guest->expect_passed();
}

constexpr std::uint32_t kFirstContext = 0xa000, kSecondContext = 0xb000;
const Guest::Setup kFirst{.image = "spe_smp", .arguments = "cpus=2 context=40960", .vcpus = 2};
const Guest::Setup kSecond{.image = "spe_smp", .arguments = "cpus=3 context=45056", .vcpus = 3};
const Guest::Setup kThird{.image = "spe_wrap", .arguments = "", .vcpus = 1};

/// All are of the vCPU whose context that is; the host's may be older than the guest's setting it.
void expect_context(const Streams& streams, std::uint32_t first, unsigned vcpus, bool hosts) {
  ASSERT_EQ(streams.of.size(), vcpus);
  for (unsigned vcpu = 0; vcpu < vcpus; ++vcpu) {
    const auto records = streams.records(vcpu);
    EXPECT_GT(records.size(), 100U);
    std::size_t own = 0;
    for (const Record& record : records) {
      ASSERT_TRUE(record.has(Record::kContextEl1));
      if (record.context[0] == first + vcpu) ++own;
      const bool early = hosts && record.context[0] == 0;
      ASSERT_TRUE(early || record.context[0] == first + vcpu);
    }
    EXPECT_GT(own, 100U);
  }
}

class SpeNeighbours : public testing::TestWithParam<std::uint64_t> {};

TEST_P(SpeNeighbours, HaveTheRecordsThatTheyHaveAlone) {
  Guest first_alone{kFirst}, second_alone{kSecond}, third_alone{kThird};
  first_alone.profile(true);
  for (Guest* guest : {&first_alone, &second_alone, &third_alone}) run_alone(*guest);

  Guest first{kFirst}, second{kSecond}, third{kThird};
  first.profile(true);
  run_in_turns(std::array{&first, &second, &third}, GetParam());

  EXPECT_EQ(first.own.of, first_alone.own.of);
  EXPECT_EQ(first.hosts.of, first_alone.hosts.of);
  EXPECT_EQ(second.own.of, second_alone.own.of);
  EXPECT_EQ(third.own.of, third_alone.own.of);
  EXPECT_TRUE(second.hosts.of.empty());
  expect_context(first.own, kFirstContext, 2, false);
  expect_context(first.hosts, kFirstContext, 2, true);
  expect_context(second.own, kSecondContext, 3, false);
}
INSTANTIATE_TEST_SUITE_P(Turns, SpeNeighbours, testing::Values(997, 12'345, 250'001),
                         testing::PrintToStringParamName());

TEST(SpeOfGuestAndHost, DoNotChangeEachOther) {
  Guest guest{kFirst}, profiled{kFirst};
  profiled.profile(false);
  run_alone(guest);
  run_alone(profiled);
  EXPECT_EQ(profiled.own.of, guest.own.of) << "what the guest finds";

  EXPECT_FALSE(profiled.hosts.of.empty());
  EXPECT_NE(profiled.hosts.of, profiled.own.of);
}

TEST(SpeOfGuestAndHost, BeginsAndEndsWhereTheHostWants) {
  Guest guest{kThird};
  guest.go_on(1'000'000);
  EXPECT_TRUE(guest.hosts.of.empty());
  guest.profile(false);
  guest.go_on(1'000'000);
  const auto records = guest.hosts.records(0);
  // With random intervals of 512 to 767 operations.
  EXPECT_GT(records.size(), 1'000'000U / 769);
  EXPECT_LT(records.size(), 1'000'000U / 512);
  guest.end_profile();
  run_alone(guest);
  EXPECT_EQ(guest.hosts.records(0), records);
}

// ---- A unit that host and guest cannot have at the same time ------------------------------------

using virt::arm64::SpeFlavour;
constexpr SpeFlavour kFlavours[] = {SpeFlavour::kVhe, SpeFlavour::kNvhe, SpeFlavour::kProtected};
std::string flavour_name(const testing::TestParamInfo<SpeFlavour>& tested) {
  constexpr const char* kNames[] = {"vhe", "nvhe", "protected"};
  return kNames[static_cast<std::size_t>(tested.param)];
}

Guest::Setup exclusive(SpeFlavour flavour) {
  Guest::Setup setup{.image = "spe_exclusive", .arguments = "", .vcpus = 1};
  setup.offer.flavour = flavour;
  setup.offer.exclusive = true;
  return setup;
}

class ExclusiveSpe : public testing::TestWithParam<SpeFlavour> {
 protected:
  /// What the guest asks for since it was looked at last.
  bool asks(const std::string& what) {
    const std::size_t at = guest.console.text.find(what, seen);
    if (at == std::string::npos) return false;
    seen = at + what.size();
    return true;
  }

  Guest guest{exclusive(GetParam())};
  std::size_t seen = 0;
};

TEST_P(ExclusiveSpe, IsTheGuestsWhileTheHostDoesNotProfile) {
  guest.profile(false);
  unsigned stops = 0, starts = 0;
  std::vector<std::size_t> guests_records, hosts_records;
  while (guest.go_on(5'000)) {
    if (asks("HOST STOPS")) {
      guest.end_profile();
      ++stops;
    } else if (asks("HOST STARTS")) {
      guest.profile(false);
      ++starts;
    } else {
      continue;
    }
    guests_records.push_back(guest.own.records(0).size());
    hosts_records.push_back(guest.hosts.records(0).size());
  }
  guest.expect_passed();
  EXPECT_EQ(stops, 2U);
  EXPECT_EQ(starts, 1U);
  // Of each, only the other's time passes without one.
  ASSERT_EQ(guests_records.size(), 3U);
  EXPECT_EQ(guests_records[0], 0U);
  EXPECT_GT(guests_records[1], 100U);
  EXPECT_EQ(guests_records[2], guests_records[1]);
  EXPECT_GT(guest.own.records(0).size(), guests_records[2] + 100);
  EXPECT_GT(hosts_records[0], 50U);
  EXPECT_EQ(hosts_records[1], hosts_records[0]);
  EXPECT_GT(hosts_records[2], hosts_records[1] + 50);
  EXPECT_EQ(guest.hosts.records(0).size(), hosts_records[2]);
}
TEST_P(ExclusiveSpe, IsTheGuestsAgainWhereNobodyProfilesIt) {
  guest.profile(false);
  while (guest.go_on(5'000) && !asks("HOST STOPS")) {
  }
  // The host does not stop, but the guest moves to one that has not begun.
  Guest moved{exclusive(GetParam()), guest};
  EXPECT_EQ(moved.console.text, "");
  while (moved.go_on(5'000) && moved.console.text.find("HOST STARTS") == std::string::npos) {
  }
  EXPECT_NE(moved.console.text.find("PASS: what was programmed takes effect then"),
            std::string::npos)
      << moved.console.text;
  EXPECT_GT(moved.own.records(0).size(), 100U);
  EXPECT_TRUE(moved.hosts.of.empty());
}

INSTANTIATE_TEST_SUITE_P(Flavours, ExclusiveSpe, testing::ValuesIn(kFlavours), flavour_name);

}  // namespace
}  // namespace vpmu::machine::arm64
