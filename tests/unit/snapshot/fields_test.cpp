// SPDX-License-Identifier: MIT
//
// No member of any State is forgotten on the way into a message and back, and none takes another's
// place. States are plain data, so that this can be asked of their bytes, one after the other: a
// member that is added without a field fails here.
#include <gtest/gtest.h>

#include <cstring>

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

TEST(SnapshotFields, AllOfTheMachineArrives) {
  MachineState state;
  const auto look_at = [&state](auto& part) {
    static_assert(std::is_trivially_copyable_v<std::remove_cvref_t<decltype(part)>>);
    auto* bytes = reinterpret_cast<unsigned char*>(&part);
    std::memset(bytes, 1, sizeof part);
    for (std::size_t n = 0; n < sizeof part; ++n) {
      const unsigned char before = std::exchange(bytes[n], 0);
      ASSERT_TRUE(there_and_back<snapshot::proto::Machine>(state) == state) << "byte " << n;
      bytes[n] = before;
    }
  };
  look_at(state.protocol);
  look_at(state.schedule);
  look_at(state.board);
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
