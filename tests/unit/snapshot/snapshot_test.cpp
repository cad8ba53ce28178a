// SPDX-License-Identifier: MIT
//
// Snapshots that are not what they should be are refused with one line that says why.
#include "machine/snapshot/snapshot.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/machine/machine_fixture.hpp"

namespace vpmu::test {
namespace {

using namespace vpmu::machine;

class SnapshotTest : public MachineTest {
 protected:
  /// A guest that has run for a while.
  std::string saved() {
    run(print('a') + forever(), {.instructions = 1000});
    snapshot::StringOutput file;
    const auto done = snapshot::save(*machine, {"the image", "the arguments"}, file);
    EXPECT_TRUE(done.has_value());
    return file.bytes;
  }

  /// The error; empty if there is none.
  std::string refused(const std::string& bytes,
                      std::uint64_t most_memory = std::uint64_t{1} << 30) {
    snapshot::StringInput input{bytes};
    snapshot::Reader reader{input};
    const auto header = reader.header();
    if (!header) return header.error().message;
    const auto restored = reader.machine(console, nullptr, most_memory);
    return restored ? std::string{} : restored.error().message;
  }

  void expect_refused(const std::string& bytes, const std::string& part) {
    const std::string error = refused(bytes);
    EXPECT_NE(error.find(part), std::string::npos) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
};

TEST_F(SnapshotTest, HeaderSaysWhoTheGuestIs) {
  const std::string bytes = saved();
  snapshot::StringInput input{bytes};
  snapshot::Reader reader{input};
  const auto header = reader.header();
  ASSERT_TRUE(header.has_value()) << header.error().message;
  EXPECT_EQ(header->guest.image, "the image");
  EXPECT_EQ(header->guest.arguments, "the arguments");
  EXPECT_EQ(header->cpu_model, "icelake-server");
  EXPECT_EQ(header->vcpus, 1u);
  EXPECT_EQ(header->memory_bytes, config.memory_bytes);
  EXPECT_EQ(header->quantum, config.quantum);
  EXPECT_EQ(header->pmu, machine->pmu_config());
}

TEST_F(SnapshotTest, RestoredMachineGivesTheSameSnapshot) {
  const std::string bytes = saved();
  snapshot::StringInput input{bytes};
  snapshot::Reader reader{input};
  ASSERT_TRUE(reader.header().has_value());
  const auto restored = reader.machine(console, nullptr);
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  snapshot::StringOutput again;
  ASSERT_TRUE(snapshot::save(**restored, {"the image", "the arguments"}, again).has_value());
  EXPECT_TRUE(again.bytes == bytes);
}

TEST_F(SnapshotTest, EventFilterIsInForceAgainAndItsDenialsAreThere) {
  virt::x86::FilterImage image;
  image.action = static_cast<std::uint32_t>(virt::x86::FilterAction::kDeny);
  image.entries[image.count++] = 0x00c0;
  // Counter 0 counts instructions, which it may until after the first pause.
  load(wrmsr(0x186, 0x4300c0) + wrmsr(0x38f, 1) + forever());
  machine->run({.pause_at = 500});
  const auto set = [&] {
    auto filter = virt::x86::EventFilter::create(image, config.model->vendor);
    ASSERT_TRUE(filter.has_value());
    machine->set_event_filter(std::move(*filter), "the filter");
  };
  set();
  const std::uint64_t frozen = machine->vcpus()[0]->pmu().value(virt::x86::gp_counter(0));
  // At once, when no vCPU has heard of it yet; and later.
  for (const std::uint64_t at : {500, 800}) {
    machine->run({.pause_at = at});
    snapshot::StringOutput file;
    ASSERT_TRUE(snapshot::save(*machine, {}, file).has_value());
    snapshot::StringInput input{file.bytes};
    snapshot::Reader reader{input};
    ASSERT_TRUE(reader.header().has_value());
    auto restored = reader.machine(console, nullptr);
    ASSERT_TRUE(restored.has_value()) << restored.error().message;
    (*restored)->run({.pause_at = 1'000});
    EXPECT_EQ((*restored)->vcpus()[0]->pmu().value(virt::x86::gp_counter(0)), frozen);
    const auto& filters = (*restored)->filter_log().filters();
    ASSERT_EQ(filters.size(), 1u);
    EXPECT_EQ(filters[0].name, "the filter");
    EXPECT_EQ(filters[0].since, 500u);
    EXPECT_EQ(filters[0].image, image);
    EXPECT_EQ(filters[0].by_entry, std::vector<std::uint64_t>{1});
    ASSERT_EQ(filters[0].denials.size(), 1u);
    EXPECT_EQ(filters[0].denials[0].count, 1u);
  }
}

TEST_F(SnapshotTest, UntouchedMemoryTakesNoRoom) {
  config.memory_bytes = std::uint64_t{5} << 30;
  EXPECT_LT(saved().size(), 100'000u);
}

TEST_F(SnapshotTest, MemoryAboveFourGigabytesArrives) {
  config.memory_bytes = std::uint64_t{5} << 30;
  run(forever(), {.instructions = 10});
  const std::uint64_t last = GuestMemory::kHighBegin + machine->board().memory.high_size() - 1;
  *machine->board().memory.host(last, 1) = 0x5a;
  snapshot::StringOutput file;
  ASSERT_TRUE(snapshot::save(*machine, {}, file).has_value());
  snapshot::StringInput input{file.bytes};
  snapshot::Reader reader{input};
  ASSERT_TRUE(reader.header().has_value());
  const auto restored = reader.machine(console, nullptr);
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  EXPECT_EQ(*(*restored)->board().memory.host(last, 1), 0x5a);
}

TEST_F(SnapshotTest, OtherFilesAreRefused) {
  expect_refused("", "not a snapshot");
  expect_refused("\n", "not a snapshot");
  expect_refused("vpmu-snapshot", "not a snapshot");
  expect_refused("vpmu-snapshot \n", "not a snapshot");
  expect_refused("vpmu-snapshot x\n", "not a snapshot");
  expect_refused(std::string(1000, '\x7f'), "not a snapshot");
}

TEST_F(SnapshotTest, OtherVersionsAreRefused) {
  std::string bytes = saved();
  const std::string version = std::to_string(snapshot::kFormatVersion);
  ASSERT_EQ(bytes.substr(snapshot::kMagic.size(), version.size()), version);
  bytes.replace(snapshot::kMagic.size(), version.size(),
                std::to_string(snapshot::kFormatVersion + 1));
  expect_refused(bytes, "its format is version ");
}

TEST_F(SnapshotTest, EveryPrefixIsRefused) {
  const std::string bytes = saved();
  for (std::size_t n = 0; n < bytes.size(); n += n < 3000 || n + 50 > bytes.size() ? 1 : 97) {
    ASSERT_NE(refused(bytes.substr(0, n)), "") << n << " of " << bytes.size() << " bytes";
  }
  expect_refused(bytes.substr(0, bytes.size() / 2), "ends early");
  expect_refused(bytes.substr(0, bytes.size() - 1), "ends early");
}

TEST_F(SnapshotTest, EveryChangedByteIsNoticed) {
  const std::string bytes = saved();
  for (std::size_t n = 0; n < bytes.size(); n += n < 3000 ? 1 : 101) {
    std::string changed = bytes;
    changed[n] = static_cast<char>(changed[n] ^ 0x10);
    ASSERT_NE(refused(changed), "") << "byte " << n;
  }
  std::string changed = bytes;
  changed[bytes.size() / 2] ^= 1;
  expect_refused(changed, "its checksum is wrong");
}

TEST_F(SnapshotTest, NothingMayFollow) {
  expect_refused(saved() + "x", "something follows its end");
}

TEST_F(SnapshotTest, LengthsThatAreNotThereTakeNoMemory) {
  // A record of almost 16 MiB, and one of more, of which only a byte is there.
  const std::string line =
      std::string{snapshot::kMagic}.append(std::to_string(snapshot::kFormatVersion)).append("\n");
  expect_refused(line + "\xff\xff\xff\x07x", "ends early");
  expect_refused(line + "\xff\xff\xff\xff\x0fx", "too long");
  expect_refused(line + "\xff\xff\xff\xff\xff\xff\xff", "no length");
}

TEST_F(SnapshotTest, GuestsWithTooMuchMemoryAreRefused) {
  const std::string error = refused(saved(), config.memory_bytes - 1);
  EXPECT_NE(error.find("bytes of memory"), std::string::npos) << error;
}

}  // namespace
}  // namespace vpmu::test
