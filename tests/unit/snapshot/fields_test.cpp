// SPDX-License-Identifier: MIT
//
// No member of any State is forgotten on the way into a message and back, and none takes another's
// place. States are plain data, so that this can be asked of their bytes, one after the other: a
// member that is added without a field fails here.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <type_traits>
#include <utility>

#include "machine/snapshot/arm64_messages.hpp"
#include "machine/snapshot/messages.hpp"

namespace vpmu::test {
namespace {

using namespace vpmu::machine;

template <class State>
State all_bytes_one() {
  static_assert(std::is_trivially_copyable_v<State>);
  State state;
  std::memset(static_cast<void*>(&state), 1, sizeof state);
  return state;
}

/// The state after a way through its message, as bytes.
template <class Message, class State>
State there_and_back(const State& state) {
  Message message;
  snapshot::encode(state, message);
  Message received;
  EXPECT_TRUE(received.ParseFromString(message.SerializeAsString()));
  State back{};
  const auto done = snapshot::decode(received, back);
  EXPECT_TRUE(done.has_value()) << done.error().message;
  return back;
}

/// `stride`: every so many bytes is looked at; members are longer.
template <class Message, class State>
void expect_every_byte_to_arrive(std::size_t stride = 1) {
  const State ones = all_bytes_one<State>();
  ASSERT_TRUE(there_and_back<Message>(ones) == ones) << "some member has no field";
  for (std::size_t n = 0; n < sizeof(State); n += stride) {
    State changed = ones;
    reinterpret_cast<unsigned char*>(&changed)[n] = 0;
    ASSERT_TRUE(there_and_back<Message>(changed) == changed) << "the member at byte " << n;
  }
}

TEST(SnapshotFields, AllOfAVcpuArrives) {
  // The predictor's tables are most of it, and all alike.
  expect_every_byte_to_arrive<snapshot::proto::Vcpu, VcpuState>(61);
}

TEST(SnapshotFields, AllOfAVcpuButItsTablesArrives) {
  VcpuState ones = all_bytes_one<VcpuState>();
  ones.cpu.predictor = {};
  auto* bytes = reinterpret_cast<unsigned char*>(&ones);
  const auto* tables = reinterpret_cast<unsigned char*>(&ones.cpu.predictor);
  for (std::size_t n = 0; n < sizeof ones; ++n) {
    if (bytes + n >= tables && bytes + n < tables + sizeof ones.cpu.predictor) continue;
    const unsigned char before = std::exchange(bytes[n], 0);
    ASSERT_TRUE(there_and_back<snapshot::proto::Vcpu>(ones) == ones) << "the member at byte " << n;
    bytes[n] = before;
  }
}

/// `part` of `state` is looked at byte by byte.
template <class Message, class State, class Part>
void expect_every_byte_of_a_part_to_arrive(const State& state, Part& part) {
  static_assert(std::is_trivially_copyable_v<Part>);
  auto* bytes = reinterpret_cast<unsigned char*>(&part);
  std::memset(bytes, 1, sizeof part);
  for (std::size_t n = 0; n < sizeof part; ++n) {
    const unsigned char before = std::exchange(bytes[n], 0);
    ASSERT_TRUE(there_and_back<Message>(state) == state) << "byte " << n;
    bytes[n] = before;
  }
}

TEST(SnapshotFields, AllOfTheMachineArrives) {
  using Message = snapshot::proto::Machine;
  MachineState state;
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.protocol);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.schedule);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.board);
}

TEST(SnapshotFields, AllOfAnArm64VcpuArrives) {
  using Message = snapshot::proto::Arm64Vcpu;
  arm64::VcpuState state;
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.retired);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.exits);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.cpu.core);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.cpu.registers);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.cpu.powered);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.cpu.sleep);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.cpu.event);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.cpu.delivered);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.cpu.exclusive);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.cpu.watched);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.redistributor);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.gic);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.timer);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.pmu);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.spe.emplace());
  state.counter_log.trouble_count = 3;
  for (std::uint32_t n = 0; n < state.counter_log.trouble_count; ++n) {
    expect_every_byte_of_a_part_to_arrive<Message>(state, state.counter_log.troubles[n]);
  }
}

TEST(SnapshotFields, AllOfAnArm64MachineArrives) {
  using Message = snapshot::proto::Arm64Machine;
  arm64::MachineState state;
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.protocol);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.schedule);
  expect_every_byte_of_a_part_to_arrive<Message>(state, state.board);
}

TEST(SnapshotFields, AllOfAnArm64PmusConfigurationArrives) {
  expect_every_byte_to_arrive<snapshot::proto::Arm64PmuConfig, virt::arm64::PmuConfig>();
}

TEST(SnapshotFields, MemoryOfGuestsWithSpeArrives) {
  using Message = snapshot::proto::Arm64Machine;
  arm64::MachineState state;
  arm64::SpeMemoryState& memory = state.spe_memory.emplace();
  EXPECT_TRUE(there_and_back<Message>(state) == state);
  memory = {.mapped = {1, ~std::uint64_t{0}, 0},
            .stage2_faults = 2,
            .first_fault = 3,
            .deferred = {arm64::DeferredOperation::kTags, arm64::DeferredOperation::kDataCache,
                         arm64::DeferredOperation::kInstructionCache}};
  arm64::BufferPinsState& pins = state.buffer_pins.emplace_back();
  pins.cache.buffers = {{{1, 2, 3, ~std::uint64_t{0}}, 5, {{6, 7}, {8, 9}}},
                        {{10, 11, 12, 13}, 14, {}}};
  pins.cache.in_use = true;
  pins.cache.statistics = {15, 16, 17, 18};
  pins.in_use = {19, 20, 21, 22};
  pins.refused = 23;
  state.buffer_pins.emplace_back();
  EXPECT_TRUE(there_and_back<Message>(state) == state);

  Message whole;
  snapshot::encode(state, whole);
  const auto refused = [&](auto change) {
    Message message = whole;
    change(*message.mutable_spe_memory());
    arm64::MachineState back;
    return !snapshot::decode(message, back).has_value();
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& of) { of.mutable_deferred()->push_back(3); }));
  EXPECT_TRUE(refused([](auto& of) { of.mutable_pins(0)->clear_statistics(); }));
  EXPECT_TRUE(refused([](auto& of) { of.mutable_pins(0)->mutable_buffers(1)->clear_key(); }));
  EXPECT_TRUE(refused([](auto& of) { of.mutable_pins(0)->mutable_buffers(1)->add_runs(1); }));
}

TEST(SnapshotFields, WhatIsOfferedOfSpeArrives) {
  using virt::arm64::SpeFlavour;
  const arm64::SpeOffer offers[] = {
      {},
      {SpeFlavour::kNvhe, false, false, 0, "", "", {arm64::SpeLock::kBuffer, true}},
      {SpeFlavour::kProtected, true, false, 1, "0-3,5", "", {arm64::SpeLock::kNone, false}},
      {SpeFlavour::kVhe, false, true, ~std::uint64_t{0}, std::nullopt, "1", {}},
  };
  for (const arm64::SpeOffer& offer : offers) {
    snapshot::proto::SpeOffer message;
    snapshot::encode(offer, message);
    arm64::SpeOffer back{SpeFlavour::kProtected,       true, true, 5, "7", "8",
                         {arm64::SpeLock::kNone, true}};
    ASSERT_TRUE(snapshot::decode(message, back).has_value());
    EXPECT_TRUE(back == offer);
  }
  snapshot::proto::SpeOffer message;
  for (const std::uint32_t flavour : {3U, 0x100U}) {
    message.set_flavour(flavour);
    arm64::SpeOffer back;
    EXPECT_FALSE(snapshot::decode(message, back).has_value()) << flavour;
  }
  message.set_flavour(0);
  for (const std::uint32_t lock : {3U, 0x100U}) {
    message.set_lock(lock);
    arm64::SpeOffer back;
    EXPECT_FALSE(snapshot::decode(message, back).has_value()) << lock;
  }
}

/// Bytes are 0 or 1, as those of truth values have to be.
template <class State>
void set_at_random(State& state, std::mt19937_64& random) {
  static_assert(std::is_trivially_copyable_v<State>);
  auto* bytes = reinterpret_cast<unsigned char*>(&state);
  for (std::size_t n = 0; n < sizeof state; ++n) bytes[n] = random() & 1;
}

TEST(SnapshotFields, RandomArm64StatesArrive) {
  std::mt19937_64 random{64};
  for (unsigned round = 0; round < 200; ++round) {
    arm64::VcpuState vcpu;
    set_at_random(vcpu, random);
    vcpu.spe.reset();
    if (random() % 2 != 0) set_at_random(vcpu.spe.emplace(), random);
    vcpu.counter_log = {};
    vcpu.counter_log.trouble_count = random() % (arm64::CounterLog::kMaxTroubles + 1);
    for (std::uint32_t n = 0; n < vcpu.counter_log.trouble_count; ++n) {
      set_at_random(vcpu.counter_log.troubles[n], random);
    }
    ASSERT_TRUE(there_and_back<snapshot::proto::Arm64Vcpu>(vcpu) == vcpu) << round;

    arm64::MachineState machine;
    set_at_random(machine.schedule, random);
    set_at_random(machine.board, random);
    machine.host.cpus.resize(random() % 4);
    for (auto& cpu : machine.host.cpus) {
      cpu.vcpu = static_cast<std::int32_t>(random());
      cpu.events.resize(random() % 3);
      for (auto& event : cpu.events) set_at_random(event, random);
    }
    machine.caches.resize(random() % 3);
    for (auto& caches : machine.caches) caches.l1d.assign(random() % 5, random());
    machine.last_level_cache.assign(random() % 5, random());
    if (random() % 2 != 0) machine.filter.emplace().name = "filter";
    if (machine.filter) {
      machine.filter->since = random();
      machine.past_filters.resize(random() % 3, *machine.filter);
    }
    if (machine.filter && random() % 2 != 0) {
      auto& ranges = machine.filter->ranges.emplace(random() % 5);
      for (auto& range : ranges) set_at_random(range, random);
    }
    ASSERT_TRUE(there_and_back<snapshot::proto::Arm64Machine>(machine) == machine) << round;
  }
}

TEST(SnapshotFields, Arm64PartsThatAreMissingOrTooManyAreRefused) {
  arm64::VcpuState state;
  state.spe.emplace();
  snapshot::proto::Arm64Vcpu whole;
  snapshot::encode(state, whole);
  const auto refused = [&](auto change) {
    snapshot::proto::Arm64Vcpu message = whole;
    change(message);
    arm64::VcpuState decoded;
    return !snapshot::decode(message, decoded).has_value();
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& vcpu) { vcpu.clear_cpu(); }));
  EXPECT_TRUE(refused([](auto& vcpu) { vcpu.clear_pmu(); }));
  EXPECT_TRUE(refused([](auto& vcpu) { vcpu.clear_timer(); }));
  EXPECT_TRUE(refused([](auto& vcpu) { vcpu.add_exits(0); }));
  EXPECT_TRUE(refused([](auto& vcpu) { vcpu.mutable_pmu()->add_counters(); }));
  EXPECT_TRUE(refused([](auto& vcpu) { vcpu.mutable_cpu()->mutable_registers()->add_x(0); }));
  EXPECT_TRUE(refused([](auto& vcpu) { vcpu.mutable_cpu()->set_sleep(0x100); }));
  EXPECT_FALSE(refused([](auto& vcpu) { vcpu.clear_spe(); }));
  EXPECT_TRUE(refused([](auto& vcpu) { vcpu.mutable_spe()->clear_unit(); }));
  EXPECT_TRUE(refused([](auto& vcpu) { vcpu.mutable_spe()->mutable_guest()->clear_statistics(); }));
  EXPECT_TRUE(refused([](auto& vcpu) { vcpu.mutable_spe()->set_stop(0x100); }));
  EXPECT_TRUE(refused([](auto& vcpu) {
    for (std::size_t n = 0; n <= arm64::CounterLog::kMaxTroubles; ++n) {
      vcpu.mutable_counter_log()->add_troubles();
    }
  }));
}

TEST(SnapshotFields, AllOfThePmusConfigurationArrives) {
  expect_every_byte_to_arrive<snapshot::proto::PmuConfig, virt::x86::PmuConfig>();
}

TEST(SnapshotFields, NumbersThatDoNotFitAreRefused) {
  snapshot::proto::Machine message;
  snapshot::encode(MachineState{}, message);
  MachineState state;
  ASSERT_TRUE(snapshot::decode(message, state).has_value());
  message.mutable_board()->mutable_fw_cfg()->set_key(0x10000);
  EXPECT_FALSE(snapshot::decode(message, state).has_value());
  message.mutable_board()->mutable_fw_cfg()->set_key(0xffff);
  EXPECT_TRUE(snapshot::decode(message, state).has_value());
  message.mutable_board()->mutable_io_apic()->add_entry(0);
  EXPECT_FALSE(snapshot::decode(message, state).has_value()) << "a 25th pin";
  message.mutable_board()->mutable_io_apic()->mutable_entry()->RemoveLast();
  message.mutable_board()->clear_pit();
  EXPECT_FALSE(snapshot::decode(message, state).has_value()) << "no 8254";
}

}  // namespace
}  // namespace vpmu::test
