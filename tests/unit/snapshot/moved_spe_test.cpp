// SPDX-License-Identifier: MIT
//
// Guests with SPE that are saved to a file and go on from it: what they record is what they would
// have recorded, and all else is, too. And files of such guests that are not what they should be.
#include <functional>

#include "machine/snapshot/records.hpp"
#include "machine/snapshot/snapshot.hpp"
#include "unit/arm64_board/spe_guest.hpp"

namespace vpmu::machine::arm64 {
namespace {

using snapshot::proto::Record;
using virt::arm64::kSpeResume;
using virt::arm64::kSpeStopExit;
using virt::arm64::kSpeStopTrap;

class MovedSpeTest : public SpeGuestFixture {
 protected:
  static constexpr std::uint64_t kEnd = 60'000;

  /// A machine, and what it has recorded so far.
  struct Running {
    std::unique_ptr<Machine> machine;
    std::unique_ptr<RecordedStreams> recorded;
  };
  static Running listened_to(std::unique_ptr<Machine> machine) {
    Running running{std::move(machine), std::make_unique<RecordedStreams>()};
    running.recorded->listen_to(*running.machine);
    return running;
  }
  Running start(const Guest& guest, const MachineConfig& made) {
    return listened_to(loaded(guest.code, made));
  }

  static std::string file_of(Machine& machine) {
    snapshot::StringOutput output;
    const auto saved = snapshot::save(machine, {"words", ""}, output);
    EXPECT_TRUE(saved.has_value()) << saved.error().message;
    return output.bytes;
  }
  Result<std::unique_ptr<Machine>> from_file(const std::string& bytes) {
    snapshot::StringInput input{bytes};
    snapshot::Reader reader{input};
    if (const auto header = reader.header(); !header) return tl::unexpected(header.error());
    return reader.arm64_machine(console);
  }
  /// Saved to a file, and gone on from there: another process knows no more.
  void move(Running& running) {
    auto elsewhere = from_file(file_of(*running.machine));
    ASSERT_TRUE(elsewhere.has_value()) << elsewhere.error().message;
    auto before = running.recorded->streams;
    running = listened_to(std::move(*elsewhere));
    running.recorded->streams = std::move(before);
  }
  static void run_to(Running& running, std::uint64_t at) {
    if (running.machine->instructions() == at) return;
    ASSERT_EQ(running.machine->run({.pause_at = at}).reason, Outcome::Reason::kPaused);
  }

  /// The run, at whose instructions `acts` are done.
  using Act = std::pair<std::uint64_t, std::function<void(Running&)>>;
  Running run(const Guest& guest, const MachineConfig& made, const std::vector<Act>& acts) {
    Running running = start(guest, made);
    for (const auto& [at, act] : acts) {
      run_to(running, at);
      act(running);
    }
    run_to(running, kEnd);
    return running;
  }
  static auto stop(virt::arm64::SpeStopRequest request) {
    return [request](Running& running) {
      ASSERT_TRUE(running.machine->set_spe_stop(request).has_value());
    };
  }
  auto moved() {
    return [this](Running& running) { move(running); };
  }

  static void expect_same(const Running& one, const Running& other, std::uint64_t at) {
    EXPECT_TRUE(one.recorded->streams == other.recorded->streams) << at;
    EXPECT_TRUE(file_of(*one.machine) == file_of(*other.machine)) << at;
  }
};

TEST_F(MovedSpeTest, FromAnywhereItGoesOnAsIfNothingHadHappened) {
  const Guest guest = sampling({});
  for (const SpeFlavour flavour : kFlavours) {
    const MachineConfig made = spe_config(flavour);
    const Running whole = run(guest, made, {});
    ASSERT_GT(whole.recorded->streams[0].size(), 200 * kRecordBytes);
    // Around each register that is written, around a sample, in the middle of an interval.
    std::vector<std::uint64_t> cuts;
    for (std::uint64_t at = 0; at <= guest.set_up[0] + 2; ++at) cuts.push_back(at);
    for (std::uint64_t near = 0; near < 3; ++near) {
      cuts.push_back(guest.set_up[0] + 100 * kPeriod - 1 + near);
    }
    for (std::uint64_t at = 999; at < kEnd; at += 9'973) cuts.push_back(at);
    for (const std::uint64_t at : cuts) expect_same(run(guest, made, {{at, moved()}}), whole, at);
  }
}

TEST_F(MovedSpeTest, RandomIntervalsGoOnWithTheNextRandomByte) {
  const Guest guest = sampling({.pmsirr = kInterval | 1}, 2);
  for (const char* model : {"neoverse-n1", "neoverse-v1", "armv8.5"}) {
    MachineConfig made = spe_config(SpeFlavour::kVhe, 2);
    made.model = silicon::arm64::find_cpu_model(model);
    made.host_cpus = 1;
    const Running whole = run(guest, made, {});
    ASSERT_GT(whole.recorded->streams[1].size(), 10 * kRecordBytes);
    std::vector<Act> moves;
    for (std::uint64_t at = 777; at < kEnd; at += 7'919) {
      expect_same(run(guest, made, {{at, moved()}}), whole, at);
      moves.emplace_back(at, moved());
    }
    expect_same(run(guest, made, moves), whole, 0);
  }
}

TEST_F(MovedSpeTest, PagesThatAreMappedOnDemandAreMappedThere) {
  // The first record finds no page, unless a CPU was there before.
  const Guest guest = sampling({.buffer_bytes = 4096, .passes = 5'000});
  for (const SpeLock lock : {SpeLock::kBuffer, SpeLock::kNone}) {
    MachineConfig made = spe_config();
    made.spe->memory.lock = lock;
    const Running whole = run(guest, made, {});
    ASSERT_EQ(whole.machine->spe_memory()->stage2_faults() != 0, lock == SpeLock::kNone);
    const auto mapped = whole.machine->save().spe_memory->mapped;
    ASSERT_FALSE(mapped.empty());
    for (const std::uint64_t at : {0UL, 100UL, 1'000UL, 20'000UL, 45'678UL}) {
      expect_same(run(guest, made, {{at, moved()}}), whole, at);
    }
  }
}

TEST_F(MovedSpeTest, WithAFullBufferTheInterruptIsPendingThere) {
  // Full behind 64 records, which the guest looks after each 5,000 passes or 30,000 instructions.
  const Guest guest = sampling({.buffer_bytes = 4096, .passes = 5'000});
  const std::uint64_t full = guest.set_up[0] + 64 * kPeriod;
  for (const SpeFlavour flavour : kFlavours) {
    const MachineConfig made = spe_config(flavour);
    const Running whole = run(guest, made, {});
    ASSERT_GT(whole.recorded->streams[0].size(), 100 * kRecordBytes);
    ASSERT_LT(whole.recorded->streams[0].size(), kEnd / kPeriod * kRecordBytes - 4096);
    for (const std::uint64_t at : {full - 1, full, full + 1, 20'000UL, 29'998UL, 30'030UL}) {
      const auto check_and_move = [&](Running& running) {
        const auto state = running.machine->save().vcpus[0].spe;
        ASSERT_EQ(state->asserted, at >= full && at < 30'000) << at;
        ASSERT_EQ(silicon::arm64::Pmbsr{state->guest.pmbsr}.get(silicon::arm64::Pmbsr::kS) != 0,
                  state->asserted);
        move(running);
        ASSERT_EQ(running.machine->vcpus()[0]->spe()->spe().buffer_line(), state->asserted);
      };
      expect_same(run(guest, made, {{at, check_and_move}}), whole, at);
    }
  }
}

TEST_F(MovedSpeTest, WhileItIsStoppedItGoesOnOnTheOtherSide) {
  const Guest guest = sampling({.pmsirr = kInterval | 1});
  constexpr std::uint64_t kStopped = 20'000, kResumed = 33'333;
  for (const SpeFlavour flavour : kFlavours) {
    const MachineConfig made = spe_config(flavour);
    const Running stayed =
        run(guest, made, {{kStopped, stop(kSpeStopTrap)}, {kResumed, stop(kSpeResume)}});
    for (const std::uint64_t at : {kStopped, kStopped + 1, 25'001UL, kResumed}) {
      expect_same(
          run(guest, made,
              {{kStopped, stop(kSpeStopTrap)}, {at, moved()}, {kResumed, stop(kSpeResume)}}),
          stayed, at);
    }
    // Nothing comes while nobody lets it go on.
    const Running forever = run(guest, made, {{kStopped, stop(kSpeStopTrap)}, {25'000, moved()}});
    const std::string& records = forever.recorded->streams[0];
    EXPECT_TRUE(records == stayed.recorded->streams[0].substr(0, records.size()));
    EXPECT_LT(records.size(), stayed.recorded->streams[0].size());
  }
}

TEST_F(MovedSpeTest, WhereItIsNotEnteredItIsNotEnteredThereEither) {
  const Guest guest = sampling({});
  const MachineConfig made = spe_config();
  const Running whole = run(guest, made, {});
  Running running = start(guest, made);
  ASSERT_TRUE(running.machine->set_spe_stop(kSpeStopExit).has_value());
  for (unsigned again = 0; again < 2; ++again) {
    ASSERT_EQ(running.machine->run({}).reason, Outcome::Reason::kRefused);
    EXPECT_EQ(running.machine->instructions(), guest.set_up[0]);
    move(running);
  }
  ASSERT_TRUE(running.machine->set_spe_stop(kSpeResume).has_value());
  run_to(running, kEnd);
  EXPECT_TRUE(running.recorded->streams == whole.recorded->streams);
}

// ---- Files that are not what they should be -----------------------------------------------------

/// Each record of a file, changed.
std::string changed(const std::string& bytes, const std::function<void(Record&)>& change) {
  snapshot::StringOutput output;
  snapshot::RecordWriter writer{output};
  EXPECT_TRUE(writer.begin().has_value());
  for (std::size_t at = bytes.find('\n') + 1;;) {
    std::size_t length = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes.at(at++));
      length |= static_cast<std::size_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    Record record;
    EXPECT_TRUE(record.ParseFromString(bytes.substr(at, length)));
    at += length;
    if (record.has_end()) break;
    change(record);
    EXPECT_TRUE(writer.write(record).has_value());
  }
  EXPECT_TRUE(writer.end().has_value());
  return output.bytes;
}

class BadSpeFileTest : public MovedSpeTest {
 protected:
  void SetUp() override {
    Running running = start(sampling({}), spe_config());
    run_to(running, 20'000);
    bytes_ = file_of(*running.machine);
  }
  void expect_refused(const std::function<void(Record&)>& change, const std::string& says) {
    const auto machine = from_file(changed(bytes_, change));
    ASSERT_FALSE(machine.has_value()) << says;
    EXPECT_NE(machine.error().message.find(says), std::string::npos) << machine.error().message;
    EXPECT_EQ(machine.error().message.find('\n'), std::string::npos) << machine.error().message;
  }
  /// `change` is of the vCPU's SPE.
  void expect_spe_refused(const std::function<void(snapshot::proto::Spe&)>& change,
                          const std::string& says) {
    expect_refused(
        [&](Record& record) {
          if (record.has_arm64_vcpu()) change(*record.mutable_arm64_vcpu()->mutable_spe());
        },
        says);
  }
  /// `change` is of what the header says was offered.
  void expect_offer_refused(const std::function<void(snapshot::proto::SpeOffer&)>& change,
                            const std::string& says) {
    expect_refused(
        [&](Record& record) {
          if (record.has_header()) change(*record.mutable_header()->mutable_spe());
        },
        says);
  }

  std::string bytes_;
};

TEST_F(BadSpeFileTest, UnchangedItIsTheSameFile) {
  EXPECT_TRUE(changed(bytes_, [](Record&) {}) == bytes_);
  EXPECT_TRUE(from_file(bytes_).has_value());
}

TEST_F(BadSpeFileTest, WithoutSpeOfTheGuestOrOfTheVcpuItIsRefused) {
  const auto of_header = [](Record& record) {
    if (record.has_header()) record.mutable_header()->clear_spe();
  };
  const auto of_vcpu = [](Record& record) {
    if (record.has_arm64_vcpu()) record.mutable_arm64_vcpu()->clear_spe();
  };
  expect_refused(of_header, "the file is damaged: save the guest again");
  expect_refused(of_vcpu, "SPE: one has it, the other has not; the file is damaged");
  expect_refused(
      [&](Record& record) {
        of_header(record);
        of_vcpu(record);
      },
      "the file is damaged: save the guest again");
}

TEST_F(BadSpeFileTest, WhatNoVcpuCanHaveIsRefused) {
  const char* const registers = "SPE state: registers where they cannot be";
  expect_spe_refused([](auto& spe) { spe.clear_guest(); }, "a part is missing");
  expect_spe_refused([](auto& spe) { spe.set_irq(0x115); }, "a number is too large");
  expect_spe_refused([](auto& spe) { spe.set_irq(20); }, "the interrupt of SPE");
  expect_spe_refused([](auto& spe) { spe.set_initialised(false); }, "SPE initialised");
  expect_spe_refused([](auto& spe) { spe.set_has_feature(false); }, "SPE of the vCPU");
  expect_spe_refused([](auto& spe) { spe.mutable_model()->set_version(2); }, "PMSVer");
  expect_spe_refused([](auto& spe) { spe.mutable_model()->set_pmsidr(0); }, "PMSIDR_EL1");
  expect_spe_refused([](auto& spe) { spe.set_pmbidr(0); }, "PMBIDR_EL1");
  expect_spe_refused([](auto& spe) { spe.set_stop(3); }, "stopped in a way that there is not");
  expect_spe_refused([](auto& spe) { spe.set_stop(1); }, registers);
  expect_spe_refused([](auto& spe) { spe.set_asserted(true); }, registers);
  expect_spe_refused([](auto& spe) { spe.mutable_place()->set_inverted_filter(true); }, registers);
  expect_spe_refused([](auto& spe) { spe.mutable_place()->clear_buffer(); }, registers);
  expect_spe_refused([](auto& spe) { spe.mutable_unit()->set_pmblimitr(0); }, registers);
  expect_spe_refused([](auto& spe) { spe.mutable_unit()->set_pmscr(~0ULL); }, "PMSCR_EL1");
  expect_spe_refused([](auto& spe) { spe.mutable_unit()->set_random(0); }, "random bytes");
  expect_spe_refused([](auto& spe) { spe.mutable_unit()->set_in_flight(1ULL << 40); }, "in flight");
  for (const auto count :
       {&snapshot::proto::SpeStatistics::set_feed, &snapshot::proto::SpeStatistics::set_records,
        &snapshot::proto::SpeStatistics::set_lost,
        &snapshot::proto::SpeStatistics::set_misprogrammed}) {
    expect_spe_refused(
        [&](auto& spe) { (spe.mutable_unit()->mutable_statistics()->*count)(1'000'000); },
        "counts of SPE samples");
  }
}

TEST_F(BadSpeFileTest, PagesThatAreNotThereAreRefused) {
  // 4 MiB: 16 words with a bit for each page, where pages are mapped on demand.
  const auto expect = [&](unsigned words, SpeLock lock, const std::string& says) {
    expect_refused(
        [&](Record& record) {
          if (record.has_header()) {
            record.mutable_header()->mutable_spe()->set_lock(static_cast<std::uint32_t>(lock));
          }
          if (!record.has_arm64_machine()) return;
          auto& memory = *record.mutable_arm64_machine()->mutable_spe_memory();
          for (unsigned n = 0; n < words; ++n) memory.add_mapped(~0ULL);
        },
        says);
  };
  expect(16, SpeLock::kAll, "its pages are not those of this memory");
  expect(15, SpeLock::kNone, "its pages are not those of this memory");
  expect(17, SpeLock::kNone, "its pages are not those of this memory");
  expect(16, SpeLock::kBuffer, "vCPUs with pinned buffers");
  expect_refused(
      [](Record& record) {
        if (record.has_arm64_machine()) record.mutable_arm64_machine()->clear_spe_memory();
      },
      "memory for SPE: one has it, the other has not");
}

TEST_F(BadSpeFileTest, WhatNoHostCanOfferIsRefused) {
  expect_offer_refused([](auto& offer) { offer.set_flavour(3); }, "a flavour that there is not");
  expect_offer_refused([](auto& offer) { offer.set_host_cpus("0-\x01\n"); }, "--spe-cpus");
  expect_offer_refused([](auto& offer) { offer.set_host_cpus("1"); }, "--spe-cpus");
  expect_offer_refused([](auto& offer) { offer.set_host_cpus(""); }, "the file is damaged");
  expect_offer_refused([](auto& offer) { offer.set_supported_cpus("x"); }, "--spe-supported");
  expect_offer_refused([](auto& offer) { offer.set_supported_cpus(std::string(100'000, '0')); },
                       "--spe-supported");
  expect_offer_refused([](auto& offer) { offer.set_max_buffer_bytes(4096); }, "PMBIDR_EL1");
}

}  // namespace
}  // namespace vpmu::machine::arm64
