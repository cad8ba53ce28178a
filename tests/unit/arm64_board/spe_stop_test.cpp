// SPDX-License-Identifier: MIT
//
// Guests whose SPE the host stops in the middle: what is lost, and what is not.
#include <cerrno>

#include "profile/spe/record_decoder.hpp"
#include "unit/arm64_board/spe_guest.hpp"

namespace vpmu::machine::arm64 {
namespace {

using virt::arm64::kSpeResume;
using virt::arm64::kSpeStopExit;
using virt::arm64::kSpeStopTrap;

class SpeStopTest : public SpeGuestFixture {
 protected:
  /// From `begin` to `end`, in instructions of all vCPUs.
  struct Window {
    std::uint64_t begin, end;
  };
  struct Run {
    std::map<unsigned, std::string> streams;
    std::vector<std::uint64_t> before, within, all;  ///< by vCPU: instructions
  };

  static void pause(Machine& machine, std::uint64_t at) {
    if (machine.instructions() == at) return;
    ASSERT_EQ(machine.run({.pause_at = at}).reason, Outcome::Reason::kPaused);
  }
  static std::vector<std::uint64_t> counts(const Machine& machine) {
    std::vector<std::uint64_t> found;
    for (const auto& vcpu : machine.vcpus()) found.push_back(vcpu->instructions());
    return found;
  }

  Run run(const Guest& guest, const MachineConfig& made, Window stop, std::uint64_t end) {
    const auto machine = loaded(guest.code, made);
    RecordedStreams recorded;
    recorded.listen_to(*machine);
    Run result;
    pause(*machine, stop.begin);
    result.before = counts(*machine);
    EXPECT_TRUE(machine->set_spe_stop(kSpeStopTrap).has_value());
    pause(*machine, stop.end);
    result.within = counts(*machine);
    for (std::size_t n = 0; n < result.within.size(); ++n) result.within[n] -= result.before[n];
    EXPECT_TRUE(machine->set_spe_stop(kSpeResume).has_value());
    pause(*machine, end);
    result.all = counts(*machine);
    result.streams = recorded.streams;
    expect_buffers_to_have(*machine, result);
    return result;
  }

  /// The guest finds just those records in its memory, and nothing behind them.
  static void expect_buffers_to_have(const Machine& machine, const Run& run) {
    for (const auto& [vcpu, stream] : run.streams) {
      const auto* buffer = reinterpret_cast<const char*>(
          machine.board().memory.host(kBuffer + vcpu * kBufferBytes, kBufferBytes));
      ASSERT_LT(stream.size(), kBufferBytes);
      EXPECT_TRUE(std::string(buffer, stream.size()) == stream);
      EXPECT_EQ(std::string(buffer + stream.size(), kBufferBytes - stream.size()),
                std::string(kBufferBytes - stream.size(), '\0'));
    }
  }

  static std::vector<profile::spe::Record> decoded(const std::string& stream) {
    std::vector<profile::spe::Record> records;
    profile::spe::RecordDecoder decoder;
    decoder.decode({reinterpret_cast<const std::uint8_t*>(stream.data()), stream.size()},
                   [&](const profile::spe::Record& record) { records.push_back(record); });
    const profile::spe::DecoderTotals& totals = decoder.finish();
    EXPECT_EQ(totals.bad_bytes + totals.reserved_packets, 0u);
    EXPECT_FALSE(totals.cut_short);
    EXPECT_EQ(stream.size(), records.size() * kRecordBytes);
    return records;
  }

  /// Without random part, the operation of the population that is sampled is every 257th; what the
  /// vCPU does while it is stopped is not in the population.
  static void expect_every_period(const Guest& guest, const Run& run) {
    for (unsigned vcpu = 0; vcpu < run.all.size(); ++vcpu) {
      const auto records = decoded(run.streams.contains(vcpu) ? run.streams.at(vcpu) : "");
      const std::uint64_t set_up = guest.set_up[vcpu];
      const auto in_loop = [&](std::uint64_t count) { return count < set_up ? 0 : count - set_up; };
      const std::uint64_t before = in_loop(run.before[vcpu]);
      const std::uint64_t lost = in_loop(run.before[vcpu] + run.within[vcpu]) - before;
      ASSERT_EQ(records.size(), (in_loop(run.all[vcpu]) - lost) / kPeriod) << "vCPU " << vcpu;
      std::uint64_t last_time = 0;
      for (std::uint64_t n = 0; n < records.size(); ++n) {
        const std::uint64_t sampled = kPeriod * (n + 1);  // of the population
        const std::uint64_t operation = sampled <= before ? sampled : sampled + lost;
        ASSERT_EQ(records[n].address[0] & profile::spe::kAddressMask,
                  guest.loop + 4 * ((operation - 1) % kLoop))
            << "vCPU " << vcpu << ", record " << n;
        ASSERT_GE(records[n].timestamp, last_time);
        last_time = records[n].timestamp;
      }
    }
  }
};

TEST_F(SpeStopTest, WhatIsOutsideOfItIsTheSameWhereItLastsWholeIntervals) {
  const Guest guest = sampling({});
  constexpr std::uint64_t kEnd = 300'000;
  for (const SpeFlavour flavour : kFlavours) {
    const MachineConfig made = spe_config(flavour);
    const std::string whole = run(guest, made, {1000, 1000}, kEnd).streams[0];
    ASSERT_EQ(whole.size(), (kEnd - guest.set_up[0]) / kPeriod * kRecordBytes);
    const std::uint64_t sample = guest.set_up[0] + 300 * kPeriod;  // retired then
    for (const std::uint64_t begin : {guest.set_up[0], sample - 1, sample, sample + 1, 123'456UL}) {
      for (const std::uint64_t lost : {1U, 2U, 77U}) {
        const Window stop{begin, begin + lost * kPeriod};
        const std::uint64_t before = (begin - guest.set_up[0]) / kPeriod * kRecordBytes;
        const std::string expected =
            whole.substr(0, before) + whole.substr(before + lost * kRecordBytes);
        EXPECT_TRUE((run(guest, made, stop, kEnd).streams[0] == expected))
            << "from " << stop.begin << " to " << stop.end;
      }
    }
  }
}

TEST_F(SpeStopTest, OperationsMeanwhileAreNotOfThePopulation) {
  // Random intervals: the random bytes are taken in the same order. Without time, nothing says when
  // it was.
  for (const char* model : {"neoverse-n1", "neoverse-v1"}) {
    const Guest guest = sampling({.pmsirr = kInterval | 1, .pmscr = 0b10});
    MachineConfig made = spe_config();
    made.model = silicon::arm64::find_cpu_model(model);
    const std::string whole = run(guest, made, {1000, 1000}, 300'000).streams[0];
    ASSERT_GT(whole.size(), 500 * kRecordBytes);
    for (const std::uint64_t length : {kLoop, 7 * kLoop, 20'001 * kLoop}) {
      for (const std::uint64_t begin : {guest.set_up[0], 5'000UL, 77'777UL}) {
        const std::string stopped =
            run(guest, made, {begin, begin + length}, 300'000 + length).streams[0];
        EXPECT_TRUE(stopped == whole) << length << " from " << begin;
      }
    }
  }
}

TEST_F(SpeStopTest, WhereverItIsEveryPeriodOfTheRestIsSampled) {
  for (const unsigned vcpus : {1U, 2U}) {
    const Guest guest = sampling({}, vcpus);
    for (const SpeFlavour flavour : kFlavours) {
      MachineConfig made = spe_config(flavour, vcpus);
      made.host_cpus = 1;
      for (std::uint64_t n = 0; n < 12; ++n) {
        const std::uint64_t begin = n * 7'919, length = n * n * 331 % 50'000 + n;
        const Run stopped = run(guest, made, {begin, begin + length}, 200'000);
        expect_every_period(guest, stopped);
      }
    }
  }
}

TEST_F(SpeStopTest, WithExitTheInstructionThatStartsProfilingIsTheLastOne) {
  for (const std::uint64_t pmscr : {0b10ULL, 0b01ULL, 0b11ULL}) {  // E0SPE alone, too
    const Guest guest = sampling({.pmscr = pmscr});
    const auto machine = loaded(guest.code, spe_config());
    RecordedStreams recorded;
    recorded.listen_to(*machine);
    ASSERT_TRUE(machine->set_spe_stop(kSpeStopExit).has_value());
    for (unsigned again = 0; again < 3; ++again) {
      const Outcome refused = machine->run({.pause_at = 100'000});
      ASSERT_EQ(refused.reason, Outcome::Reason::kRefused);
      EXPECT_EQ(refused.value, 0u);
      EXPECT_EQ(machine->vcpus()[0]->refused(), virt::arm64::SpeEntry::kStoppedAndProfiles);
      EXPECT_EQ(machine->instructions(), guest.set_up[0]);
      EXPECT_EQ(machine->vcpus()[0]->spe()->spe().exit_statistics().refused, again + 1);
    }
    ASSERT_TRUE(machine->set_spe_stop(kSpeStopTrap).has_value());
    ASSERT_EQ(machine->run({.pause_at = 10'000}).reason, Outcome::Reason::kPaused);
    EXPECT_TRUE(recorded.streams.empty());
    ASSERT_TRUE(machine->set_spe_stop(kSpeStopExit).has_value());
    EXPECT_EQ(machine->run({}).reason, Outcome::Reason::kRefused);
    ASSERT_TRUE(machine->set_spe_stop(kSpeResume).has_value());
    ASSERT_EQ(machine->run({.pause_at = 10'000 + 10 * kPeriod}).reason, Outcome::Reason::kPaused);
    EXPECT_EQ(recorded.streams[0].size(), (pmscr & 0b10) != 0 ? 10 * kRecordBytes : 0);
  }
}

TEST_F(SpeStopTest, ANewTrapOrResumeChangesNothing) {
  const Guest guest = sampling({});
  const std::string whole = run(guest, spe_config(), {1000, 1000}, 100'000).streams[0];
  const auto machine = loaded(guest.code, spe_config());
  RecordedStreams recorded;
  recorded.listen_to(*machine);
  for (const auto request : {kSpeResume, kSpeStopTrap, kSpeStopTrap, kSpeStopExit, kSpeResume}) {
    ASSERT_TRUE(machine->set_spe_stop(request).has_value());
  }
  pause(*machine, 50'000);
  for (const auto request : {kSpeStopTrap, kSpeStopExit, kSpeStopTrap, kSpeResume, kSpeResume}) {
    ASSERT_TRUE(machine->set_spe_stop(request).has_value());
  }
  pause(*machine, 100'000);
  EXPECT_TRUE(recorded.streams[0] == whole);
}

TEST_F(SpeStopTest, AGuestWithoutSpeCannotBeStopped) {
  const auto machine = loaded({code::kBranchToItself}, config());
  const auto stopped = machine->set_spe_stop(kSpeStopTrap);
  ASSERT_FALSE(stopped.has_value());
  EXPECT_EQ(stopped.error().number, ENXIO);
}

}  // namespace
}  // namespace vpmu::machine::arm64
