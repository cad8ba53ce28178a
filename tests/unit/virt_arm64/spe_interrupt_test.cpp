// SPDX-License-Identifier: MIT
//
// The buffer of the virtual SPE and its interrupt: what kvm-unit-tests expect of it, syndromes that
// a guest must not see or makes up itself, and limits of size.
#include "unit/virt_arm64/spe_fixture.hpp"

namespace vpmu::virt::arm64 {
namespace {

using silicon::arm64::Pmbidr;
using silicon::arm64::Pmsidr;
using silicon::arm64::SpeBuffer;
using silicon::arm64::SpeOperation;

constexpr std::uint64_t kFull = 0x2'0001;
constexpr std::uint64_t kExternalAbort = 0x9006'0010;
constexpr std::uint64_t kCollision = 0x1'0000;

class SpeInterrupts : public SpeFixture {
 protected:
  SpeInterrupts() { make_ready(); }
  [[nodiscard]] bool line() const { return vcpu->sink.line; }
};

// ---- As kvm-unit-tests look at it ---------------------------------------------------------------

TEST_F(SpeInterrupts, IntrospectionFindsAUnitThatADriverTakes) {
  const Pmbidr buffers{read(reg::PMBIDR_EL1)};
  EXPECT_EQ(buffers.get(Pmbidr::kP), 0u);
  EXPECT_LE(buffers.get(Pmbidr::kAlign), 11u);
  const Pmsidr id{read(reg::PMSIDR_EL1)};
  EXPECT_EQ(id.get(Pmsidr::kCountSize), 2u);
  EXPECT_GE(id.get(Pmsidr::kMaxSize), 4u);
  EXPECT_LE(id.get(Pmsidr::kMaxSize), 11u);
  EXPECT_LE(id.get(Pmsidr::kInterval), 8u);
  EXPECT_EQ(id.raw & 7, 7u) << "all filters";
}

TEST_F(SpeInterrupts, ServiceBitWrittenByTheGuestRaisesIt) {
  write(reg::PMBSR_EL1, 0x1006'5678);
  EXPECT_TRUE(line());
  EXPECT_EQ(read(reg::PMBSR_EL1), 0x1006'5678u) << "exactly";
  EXPECT_TRUE(line()) << "until it is cleared";
  write(reg::PMBSR_EL1, 0x1004'5678);
  EXPECT_FALSE(line());
  EXPECT_EQ(vcpu->sink.changes, 2);
  EXPECT_EQ(spe().exit_statistics().interrupts, 1u);
  EXPECT_EQ(spe().exit_statistics().events, 0u) << "none of the unit's";
}

TEST_F(SpeInterrupts, FullBufferSaysSoAndNothingElse) {
  profile(0x1000);
  sample(1000);
  EXPECT_TRUE(line());
  EXPECT_EQ(read(reg::PMBSR_EL1), kFull);
  EXPECT_EQ(read(reg::PMBPTR_EL1), kBase + 0x1000);
  EXPECT_EQ(vcpu->buffer.writes.size(), 64u);
  EXPECT_FALSE(unit().profiles(0)) << "nothing is sampled while it is pending";

  // The driver gives it the buffer anew, and clears S last.
  write(reg::PMBPTR_EL1, kBase);
  write(reg::PMBLIMITR_EL1, (kBase + 0x1000) | kEnable);
  EXPECT_FALSE(unit().profiles(0));
  write(reg::PMBSR_EL1, 0);
  EXPECT_FALSE(line());
  sample(1000);
  EXPECT_EQ(vcpu->buffer.writes.size(), 128u);
  EXPECT_EQ(spe().exit_statistics().events, 2u);
  EXPECT_EQ(spe().exit_statistics().full, 2u);
}

TEST_F(SpeInterrupts, LooksTheSameToAGuestThatStartsStopped) {
  for (const std::int32_t request : {kSpeStopTrap, kSpeStopExit, kSpeResume}) {
    SCOPED_TRACE(request);
    make_ready();
    ASSERT_TRUE(spe().set_stop(request));
    ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
    EXPECT_EQ(read(reg::PMSIDR_EL1), kSpeModelV1p1.pmsidr);
    EXPECT_EQ(read(reg::PMBIDR_EL1), kSpeModelV1p1.pmbidr);
    write(reg::PMBSR_EL1, 0x1006'5678);
    EXPECT_TRUE(line());
    EXPECT_EQ(read(reg::PMBSR_EL1), 0x1006'5678u);
    write(reg::PMBSR_EL1, 0);
    EXPECT_FALSE(line());

    profile();
    EXPECT_EQ(entry, request == kSpeStopExit ? SpeEntry::kStoppedAndProfiles : SpeEntry::kDone);
    sample(1000);
    const bool runs = request == kSpeResume;
    EXPECT_EQ(line(), runs);
    EXPECT_EQ(vcpu->buffer.writes.size(), runs ? 64u : 0u);
    EXPECT_EQ(read(reg::PMBPTR_EL1), runs ? kBase + 0x1000 : kBase);
    EXPECT_EQ(read(reg::PMSCR_EL1), 3u);

    // Whoever was stopped gets everything once it is resumed.
    ASSERT_TRUE(spe().set_stop(kSpeResume));
    ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
    sample(1000);
    EXPECT_TRUE(line());
    EXPECT_EQ(read(reg::PMBSR_EL1), kFull);
    EXPECT_EQ(vcpu->buffer.writes.size(), 64u);
  }
}

TEST_F(SpeInterrupts, AbortAtStage1IsTheGuestsToSee) {
  vcpu->buffer.fault = SpeBuffer::Fault{.address = kBase, .status = 0x07};
  profile();
  sample(1);
  EXPECT_TRUE(line());
  EXPECT_EQ(read(reg::PMBSR_EL1), 0x9002'0007u);
  EXPECT_EQ(read(reg::PMBPTR_EL1), kBase);
  EXPECT_EQ(spe().exit_statistics().stage1_faults, 1u);
  EXPECT_EQ(spe().exit_statistics().replaced, 0u);
}

TEST_F(SpeInterrupts, MemoryThatIsInNoSlotIsAnExternalAbort) {
  vcpu->buffer.fault = SpeBuffer::Fault{.address = kBase, .stage2 = true, .status = 0x07};
  profile();
  sample(1);
  EXPECT_TRUE(line());
  EXPECT_EQ(read(reg::PMBSR_EL1), kExternalAbort);
  EXPECT_EQ(spe().exit_statistics().replaced, 1u) << "for the host to warn of";
  write(reg::PMBSR_EL1, 0);
  EXPECT_FALSE(line());
}

TEST_F(SpeInterrupts, ExternalAbortsAreTheGuestsToSee) {
  vcpu->buffer.fault = SpeBuffer::Fault{.address = kBase, .external = true, .status = 0x10};
  profile();
  sample(1);
  EXPECT_EQ(read(reg::PMBSR_EL1), kExternalAbort);
  EXPECT_EQ(spe().exit_statistics().external_aborts, 1u);
  EXPECT_EQ(spe().exit_statistics().replaced, 0u);
}

// ---- Who else is told ---------------------------------------------------------------------------

/// Remembers what it was told.
class Troubles final : public SpeObserver {
 public:
  void spe_trouble(const SpeTrouble& trouble) override { told.push_back(trouble); }

  std::vector<SpeTrouble> told;
};

TEST_F(SpeInterrupts, FirstTroubleOfEachKindIsReported) {
  using Kind = SpeTrouble::Kind;
  SpeVmConfig config = spe_everywhere();
  config.max_buffer_bytes = 0x2'0000;
  make_ready(config);
  Troubles troubles;
  spe().set_observer(&troubles);
  profile();
  sample(1000);
  EXPECT_EQ(read(reg::PMBSR_EL1), kFull);
  EXPECT_TRUE(troubles.told.empty()) << "a buffer is full now and then";

  const SpeBuffer::Fault stage1{.address = kBase, .status = 0x07};
  const SpeBuffer::Fault external{.address = kBase, .external = true, .status = 0x10};
  const SpeBuffer::Fault stage2{.address = kBase, .stage2 = true, .status = 0x06};
  for (const auto& fault : {stage1, external, stage2, stage2}) {
    write(reg::PMBSR_EL1, 0);
    vcpu->buffer.fault = fault;
    profile();
    sample(1);
  }
  vcpu->buffer.fault.reset();
  for (int twice = 0; twice < 2; ++twice) {
    write(reg::PMBSR_EL1, 0);
    profile();
    write(reg::PMBPTR_EL1, kBase + 1);
    sample(1);
    EXPECT_EQ(read(reg::PMBSR_EL1), kFull);
    write(reg::PMBSR_EL1, 0);
    profile(0x2'1000);
    write(reg::PMBLIMITR_EL1, 0);
  }

  ASSERT_EQ(troubles.told.size(), 4u);
  EXPECT_EQ(troubles.told[0].kind, Kind::kFault);
  EXPECT_EQ(troubles.told[0].syndrome.raw, 0x9002'0007u);
  EXPECT_EQ(troubles.told[0].pointer, kBase);
  EXPECT_EQ(troubles.told[0].limit, kBase + 0x1000);
  EXPECT_EQ(troubles.told[1].kind, Kind::kReplaced);
  EXPECT_EQ(troubles.told[1].syndrome.raw, 0x9402'0006u) << "as the unit says it";
  EXPECT_EQ(troubles.told[2].kind, Kind::kMisprogrammed);
  EXPECT_EQ(troubles.told[2].pointer, kBase + 1);
  EXPECT_EQ(troubles.told[3].kind, Kind::kTooLarge);
  EXPECT_EQ(troubles.told[3].limit, kBase + 0x2'1000);
  EXPECT_EQ(troubles.told[3].syndrome.raw, 0x2'0004u);

  const SpeExitStatistics& exits = spe().exit_statistics();
  EXPECT_EQ(exits.replaced, 2u);
  EXPECT_EQ(exits.misprogrammed, 2u);
  EXPECT_EQ(exits.too_large, 2u);
  EXPECT_EQ(exits.events, exits.full + exits.misprogrammed + exits.stage1_faults +
                              exits.external_aborts + exits.replaced);
  EXPECT_EQ(unit().statistics().lost, 6u) << "each of which has cost a record";
}

// ---- Forged syndromes ---------------------------------------------------------------------------

TEST_F(SpeInterrupts, ForgedStage2AbortStaysAsItWasWritten) {
  constexpr std::uint64_t kStage2 = 0x9402'0007;
  profile();
  write(reg::PMBSR_EL1, kStage2);
  EXPECT_TRUE(line());
  EXPECT_FALSE(unit().profiles(0)) << "S stops sampling, whoever wrote it";
  spe().exit();
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  EXPECT_EQ(read(reg::PMBSR_EL1), kStage2) << "not mistaken for a real one";
  EXPECT_EQ(spe().exit_statistics().events, 0u);
  EXPECT_EQ(spe().exit_statistics().replaced, 0u);
}

TEST_F(SpeInterrupts, EventsAreNotMixedWithWhatTheGuestLeft) {
  write(reg::PMBSR_EL1, 0x9408'0007);  // without S
  EXPECT_FALSE(line());
  profile();
  sample(1000);
  EXPECT_EQ(read(reg::PMBSR_EL1), kFull);
}

TEST_F(SpeInterrupts, CollisionsAreNotForgottenWithoutAnEvent) {
  profile(0x1000, 1);
  write(reg::PMSIRR_EL1, 0x100);
  SpeOperation slow = at_el0();
  slow.total_latency = 1000;
  sample(2, slow);
  EXPECT_EQ(unit().statistics().collisions, 1u);
  EXPECT_EQ(read(reg::PMBSR_EL1), kCollision);
  EXPECT_FALSE(line());
  sample(1000);
  EXPECT_EQ(read(reg::PMBSR_EL1), kFull | kCollision);
}

// ---- Sizes --------------------------------------------------------------------------------------

TEST_F(SpeInterrupts, LimitOfSizeIsShownAndHolds) {
  SpeVmConfig config = spe_everywhere();
  config.max_buffer_bytes = 0x2'0000;
  make_ready(config);
  EXPECT_EQ(read(reg::PMBIDR_EL1), kSpeModelV1p1.pmbidr | std::uint64_t{0x20} << 32);
  EXPECT_EQ(spe().exit_statistics().identification_traps, 1u);
  profile(0x2'0000);
  EXPECT_TRUE(unit().profiles(0)) << "just small enough";

  write(reg::PMBLIMITR_EL1, (kBase + 0x2'1000) | kEnable);
  EXPECT_TRUE(line());
  EXPECT_EQ(read(reg::PMBSR_EL1), 0x2'0004u);
  EXPECT_FALSE(unit().profiles(0));
  EXPECT_EQ(spe().exit_statistics().too_large, 1u);
  write(reg::PMBLIMITR_EL1, (kBase + 0x1000) | kEnable);
  write(reg::PMBSR_EL1, 0);
  EXPECT_TRUE(unit().profiles(0));
}

TEST(SpeBufferLimits, AreAsPmbidrSaysThem) {
  constexpr std::uint64_t kMiB = 1 << 20;
  const struct {
    std::uint64_t bytes;
    std::uint16_t field;
  } cases[] = {
      {1, 0x0001},           {0x1000, 0x0001},        {0x1fff, 0x0001},       {128 * 1024, 0x0020},
      {kMiB, 0x0100},        {2 * kMiB, 0x0200},      {2 * kMiB - 1, 0x01ff}, {4 * kMiB, 0x0400},
      {1024 * kMiB, 0x1400}, {4092ull << 40, 0x3fff}, {~0ull, 0x3fff},
  };
  for (const auto& [bytes, field] : cases) EXPECT_EQ(max_buffer_field(bytes), field) << bytes;
}

TEST(SpeBufferLimits, AreNeverMoreThanWasAskedFor) {
  for (std::uint64_t bytes = 0x1000; bytes < (1ull << 50); bytes += bytes / 7 + 1) {
    Pmbidr shown;
    shown.set(Pmbidr::kMaxBuffSize, max_buffer_field(bytes));
    EXPECT_LE(shown.max_buffer_bytes(), bytes);
    EXPECT_GT(shown.max_buffer_bytes(), bytes - std::max<std::uint64_t>(bytes >> 9, 0x1000));
  }
}

// ---- What records say ---------------------------------------------------------------------------

struct TimeCase {
  bool perfmon_capable;
  std::uint64_t pct;  ///< PMSCR_EL1.PCT
  std::uint64_t time;
};

TEST_F(SpeInterrupts, PhysicalTimeIsForThosePermittedOnly) {
  constexpr std::uint64_t kVirtual = 0x1111, kPhysical = 0x2222, kTs = 1 << 5;
  for (const TimeCase& each : {TimeCase{false, 0, kVirtual}, TimeCase{false, 1, kVirtual},
                               TimeCase{true, 0, kVirtual}, TimeCase{true, 1, kPhysical}}) {
    SpeVmConfig config = spe_everywhere();
    config.perfmon_capable = each.perfmon_capable;
    make_ready(config);
    profile(0x1000, 3 | kTs | each.pct << 6);
    EXPECT_EQ(read(reg::PMSCR_EL1), 3 | kTs | each.pct << 6) << "the guest does not see which";
    SpeOperation timed = at_el0();
    timed.virtual_count = kVirtual;
    timed.physical_count = kPhysical;
    sample(1, timed);
    const std::vector<std::uint8_t>& record = vcpu->buffer.writes.at(0).bytes;
    const auto packet = std::find(record.begin(), record.end(), 0x71);
    ASSERT_GE(record.end() - packet, 9);
    EXPECT_EQ(packet[1] | packet[2] << 8, static_cast<int>(each.time));
  }
}

TEST_F(SpeInterrupts, PhysicalAddressesAreTheGuestsOwnAndPermitted) {
  constexpr std::uint64_t kPa = 1 << 4;
  SpeOperation load = at_el0();
  load.loads = load.has_address = true;
  load.type.of = silicon::arm64::SpeOperationType::Class::kLoadStore;
  load.physical_address = 0x4567'8000;
  for (const std::uint64_t asked : {std::uint64_t{0}, kPa}) {
    make_ready();
    profile(0x1000, 3 | asked);
    sample(1, load);
    const std::vector<std::uint8_t>& record = vcpu->buffer.writes.at(0).bytes;
    const std::uint8_t packet[] = {0xb3, 0x00, 0x80, 0x67, 0x45};
    const auto found =
        std::search(record.begin(), record.end(), std::begin(packet), std::end(packet));
    EXPECT_EQ(found != record.end(), asked != 0);
  }
}

}  // namespace
}  // namespace vpmu::virt::arm64
