// SPDX-License-Identifier: MIT
#include "profile/views/pprof.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <set>

#include "profile/views/profile.pb.h"
#include "unit/profile/views/recording.hpp"

namespace vpmu::profile {
namespace {

using namespace test;

std::string unpacked(const std::string& bytes) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  std::string text(1u << 20, '\0');
  std::string packed = bytes;
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  return text;
}

pprof::Profile message_of(Recording& recording) {
  AddressSpaces spaces = recording.spaces();
  pprof::Profile message;
  EXPECT_TRUE(message.ParseFromString(unpacked(pprof_bytes(recording.profile(spaces), spaces))));
  return message;
}

class PprofTest : public testing::Test {
 protected:
  void read() { message = message_of(recording); }
  [[nodiscard]] std::string text(std::int64_t index) const {
    return message.string_table(static_cast<int>(index));
  }
  /// Names of a sample's functions, in the message's order.
  [[nodiscard]] std::string stack(const pprof::Sample& sample) const {
    std::string names;
    for (const std::uint64_t id : sample.location_id()) {
      for (const auto& location : message.location()) {
        if (location.id() != id) continue;
        for (const auto& line : location.line()) {
          for (const auto& function : message.function()) {
            if (function.id() == line.function_id()) names += text(function.name());
          }
        }
      }
    }
    return names;
  }
  Recording recording;
  pprof::Profile message;
};

TEST_F(PprofTest, StacksBeginWithTheInnermost) {
  recording.shots = {{"cba", 100}, {"cba", 50}};
  read();
  ASSERT_EQ(message.sample_size(), 1);
  EXPECT_EQ(stack(message.sample(0)), "cba");
  ASSERT_EQ(message.sample(0).value_size(), 2);
  EXPECT_EQ(message.sample(0).value(0), 2);
  EXPECT_EQ(message.sample(0).value(1), 150);
}

TEST_F(PprofTest, EachEventHasItsValues) {
  recording.info.events.push_back({"branches", {}, {}});
  recording.shots = {{"a", 9}, {.stack = "a", .period = 4, .event = 1}};
  read();
  ASSERT_EQ(message.sample_type_size(), 4);
  EXPECT_EQ(text(message.sample_type(0).type()), "cycles samples");
  EXPECT_EQ(text(message.sample_type(1).type()), "cycles");
  EXPECT_EQ(text(message.sample_type(3).type()), "branches");
  EXPECT_EQ(text(message.sample_type(3).unit()), "count");
  ASSERT_EQ(message.sample_size(), 2);
  EXPECT_EQ(message.sample(1).value(1), 0);
  EXPECT_EQ(message.sample(1).value(2), 1);
  EXPECT_EQ(message.sample(1).value(3), 4);
}

TEST_F(PprofTest, LabelsSayGuestVcpuAndMode) {
  recording.shots = {{.stack = "a", .vcpu = 3}};
  read();
  const auto& sample = message.sample(0);
  ASSERT_EQ(sample.label_size(), 3);
  EXPECT_EQ(text(sample.label(0).key()), "vm");
  EXPECT_EQ(text(sample.label(0).str()), "demo");
  EXPECT_EQ(text(sample.label(1).key()), "vcpu");
  EXPECT_EQ(sample.label(1).num(), 3);
  EXPECT_EQ(text(sample.label(2).str()), "guest kernel");
}

TEST_F(PprofTest, IdsAreUniqueAndNotZeroAndTheFirstStringIsEmpty) {
  recording.shots = {{"abc"}, {"bd"}, {"?"}};
  read();
  EXPECT_EQ(text(0), "");
  std::set<std::uint64_t> ids;
  for (const auto& location : message.location()) ids.insert(location.id());
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(message.location_size()));
  EXPECT_FALSE(ids.contains(0));
}

TEST_F(PprofTest, ACallersAddressIsInItsCall) {
  recording.shots = {{"ba"}};
  read();
  std::set<std::uint64_t> addresses;
  for (const auto& location : message.location()) addresses.insert(location.address());
  EXPECT_EQ(addresses, (std::set{in('b'), in('a')})) << "recorded: the byte behind the call";
}

TEST_F(PprofTest, HugeCountsAreTheLargestNumber) {
  recording.shots = {{"a", ~std::uint64_t{0}}};
  read();
  EXPECT_EQ(message.sample(0).value(1), std::numeric_limits<std::int64_t>::max());
}

TEST_F(PprofTest, TheSameProfileGivesTheSameBytes) {
  recording.shots = {{"abc"}, {"bd"}};
  AddressSpaces spaces = recording.spaces();
  EXPECT_EQ(pprof_bytes(recording.profile(spaces), spaces),
            pprof_bytes(recording.profile(spaces), spaces));
}

}  // namespace
}  // namespace vpmu::profile
