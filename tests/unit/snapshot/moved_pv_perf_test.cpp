// SPDX-License-Identifier: MIT
//
// Guests with PV perf that move: on hosts of one kind they end as if they had never moved, byte for
// byte; on hosts of other CPU models nothing differs but what the host calls its events.
#include "unit/snapshot/moved_guest.hpp"

namespace vpmu::test {
namespace {

using silicon::x86::CpuModel;
using Json = nlohmann::ordered_json;

/// What samples with short periods on purpose is not to be slowed down.
const virt::x86::PvPerfRequest kUnlimited{.interrupts_per_ms = 1'000'000};

const MovingGuest kPvGuests[] = {
    {"pv_sampling", "", 1, 10'000, false, kUnlimited, 0},
    {"pv_sampling", "nmi", 1, 10'000, true, virt::x86::PvPerfRequest{kUnlimited}, 0},
    {"pv_sampling", "shared", 3, 123, false, kUnlimited, 1},
    {"pv_interrupts", "", 1, 10'000, false, kUnlimited, 0},
    {"pv_throttle", "", 1, 10'000, false, virt::x86::PvPerfRequest{.minimum_period = 1}, 0},
    {"pv_calls", "", 1, 10'000, false, virt::x86::PvPerfRequest{}, 0},
    {"pv_batch", "", 1, 10'000, false, virt::x86::PvPerfRequest{}, 0},
    {"pv_tasks", "", 2, 1'000, false, virt::x86::PvPerfRequest{}, 0},
    {"pv_smp", "", 2, 123, false, virt::x86::PvPerfRequest{.publish_us = 100}, 0},
};

class PvGuest : public MovedGuestTest, public testing::WithParamInterface<MovingGuest> {
 protected:
  /// A report without what is the host's.
  static Json without_host(Json report) {
    report["cpu"].erase("host_model");
    for (Json& vcpu : report["vcpus"]) {
      for (Json& event : vcpu["pv_perf"]["events"]) event.erase("host_event");
    }
    return report;
  }
};

TEST_P(PvGuest, MovedAtRandomInstructionsEndsAsIfItNeverWas) {
  expect_moves_not_to_matter(GetParam(), 6);
}

TEST_P(PvGuest, PausingChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(start(GetParam()));
  const std::string report = finish();
  const std::uint64_t length = machine->instructions();
  ASSERT_NO_FATAL_FAILURE(start(GetParam()));
  for (std::uint64_t at = 1; run_to(at); at += length / 300 + 1) {
    machine::snapshot::StringOutput file;
    ASSERT_TRUE(machine::snapshot::save(*machine, {}, file).has_value());
  }
  EXPECT_EQ(finish(), report);
}

TEST_P(PvGuest, OnOtherHostsNothingDiffersButWhatTheyCallTheirEvents) {
  if (GetParam().pmu) GTEST_SKIP() << "a PMU is its host's";
  MovingGuest guest = GetParam();
  if (guest.image == "pv_batch") GTEST_SKIP() << "its events starve where there are few counters";
  guest.pv_perf->pool = true;
  ASSERT_NO_FATAL_FAILURE(start(guest));
  const Json report = without_host(finish_as_json());
  const std::string output = console.output;
  const std::uint64_t length = machine->instructions();
  ASSERT_NO_FATAL_FAILURE(start(guest));
  const auto models = silicon::x86::cpu_models();
  unsigned moves = 0;
  for (std::uint64_t at = 1; !HasFailure() && run_to(at); at += length / 60 + 1, ++moves) {
    move(models[moves % models.size()]);
  }
  ASSERT_FALSE(HasFailure());
  EXPECT_GE(moves, 30u);
  EXPECT_EQ(without_host(finish_as_json()).dump(1), report.dump(1));
  EXPECT_EQ(console.output, output);
}

INSTANTIATE_TEST_SUITE_P(Guests, PvGuest, testing::ValuesIn(kPvGuests), name_of_guest);

TEST_F(MovedGuestTest, AThousandMovesBetweenTwoKindsOfHostsLoseNoInterruptAndDoubleNone) {
  constexpr unsigned kMoves = 1000;
  const MovingGuest guest{"pv_sampling", "", 1, 10'000, false, kUnlimited, 0};
  const CpuModel* const hosts[] = {silicon::x86::find_cpu_model("zen4"),
                                   silicon::x86::find_cpu_model("icelake-server")};
  ASSERT_NO_FATAL_FAILURE(start(guest));
  const Json whole = finish_as_json();
  const std::string output = console.output;
  const std::uint64_t length = machine->instructions();
  ASSERT_NO_FATAL_FAILURE(start(guest));
  unsigned moves = 0;
  std::uint64_t overflows = 0;
  std::mt19937_64 random{kMoves};
  for (std::uint64_t at = 1; !HasFailure() && run_to(at); ++moves) {
    move(hosts[moves % 2]);
    const std::uint64_t now = machine->vcpus()[0]->pv_perf()->unit().statistics().overflows;
    EXPECT_GE(now, overflows) << "at " << at;
    overflows = now;
    at += random() % (2 * length / kMoves) + 1;
  }
  ASSERT_FALSE(HasFailure());
  EXPECT_GE(moves, kMoves * 9 / 10);
  const Json moved = finish_as_json();
  EXPECT_EQ(moved["vcpus"][0]["pv_perf"]["pmis"], whole["vcpus"][0]["pv_perf"]["pmis"]);
  EXPECT_EQ(moved["vcpus"][0]["pv_perf"]["overflows"], whole["vcpus"][0]["pv_perf"]["overflows"]);
  EXPECT_EQ(moved["vcpus"][0]["retired"], whole["vcpus"][0]["retired"]);
  EXPECT_EQ(console.output, output);
}

TEST_F(MovedGuestTest, AGuestWithAPmuStaysOnItsKindOfHost) {
  const MovingGuest guest{"pv_sampling", "", 1, 10'000, true, kUnlimited, 0};
  ASSERT_NO_FATAL_FAILURE(start(guest));
  ASSERT_TRUE(run_to(1000));
  machine::snapshot::StringOutput file;
  ASSERT_TRUE(machine::snapshot::save(*machine, {}, file).has_value());
  machine::snapshot::StringInput input{file.bytes};
  machine::snapshot::Reader reader{input};
  ASSERT_TRUE(reader.header().has_value());
  const auto restored = reader.machine(console, nullptr, machine::snapshot::kLargestMemory, nullptr,
                                       {.model = silicon::x86::find_cpu_model("zen4")});
  ASSERT_FALSE(restored.has_value());
  EXPECT_NE(restored.error().message.find("--pmu off"), std::string::npos)
      << restored.error().message;
}

}  // namespace
}  // namespace vpmu::test
