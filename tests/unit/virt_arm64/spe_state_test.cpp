// SPDX-License-Identifier: MIT
//
// A virtual SPE that is moved: whenever that is, it goes on as it would have; and states that no
// vCPU can have been in are refused.
#include <functional>
#include <string>

#include "unit/virt_arm64/spe_fixture.hpp"

namespace vpmu::virt::arm64 {
namespace {

constexpr SpeFlavour kFlavours[] = {SpeFlavour::kVhe, SpeFlavour::kNvhe, SpeFlavour::kProtected};

SpeVmConfig v1p2_host(SpeFlavour flavour = SpeFlavour::kVhe) {
  SpeVmConfig config = spe_everywhere(kSpeModelV1p2);
  config.flavour = flavour;
  config.exclusive = true;
  config.max_buffer_bytes = 0x10'0000;
  return config;
}

class SpeMoves : public SpeFixture {
 protected:
  /// The vCPU goes on as another one, whose unit has another seed.
  void move(SpeFlavour flavour = SpeFlavour::kVhe) {
    const SpeState state = spe().save();
    move_to(flavour);
    EXPECT_EQ(spe().save(), state);
  }
  /// Of perhaps another flavour, which has not everything in the same place.
  void move_to(SpeFlavour flavour) {
    const SpeState state = spe().save();
    auto next_vm = std::make_unique<SpeVm>(v1p2_host(flavour));
    next_vm->set_interrupt_controller(SpeVm::InterruptController::kInitialised);
    auto next = std::make_unique<SpeVcpu>(*next_vm, 99);
    set_up(next->spe);
    const Result<void> restored = next->spe.restore(state);
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(next->sink.line, state.asserted);
    next->buffer.writes = vcpu->buffer.writes;
    vcpu = std::move(next);
    vm = std::move(next_vm);
  }

  struct Step {
    const char* name;
    std::function<void(SpeMoves&)> run;
  };
  /// What a guest, its VMM and its host do.
  static std::vector<Step> steps() {
    return {
        {"entry", [](SpeMoves& on) { (void)on.spe().enter(kCpu); }},
        {"start",
         [](SpeMoves& on) {
           on.write(reg::PMSNEVFR_EL1, 0x80);
           on.profile();
           on.write(reg::PMSIRR_EL1, 0x101);
         }},
        {"samples", [](SpeMoves& on) { on.sample(3); }},
        {"mid-interval", [](SpeMoves& on) { on.unit().pass(100); }},
        {"in flight",
         [](SpeMoves& on) {
           silicon::arm64::SpeOperation slow = at_el0();
           slow.total_latency = 2000;
           on.sample(2, slow);
         }},
        {"exit", [](SpeMoves& on) { on.spe().exit(); }},
        {"entry again", [](SpeMoves& on) { (void)on.spe().enter(kCpu); }},
        {"scheduled out", [](SpeMoves& on) { on.spe().scheduled_out(); }},
        {"stop", [](SpeMoves& on) { ASSERT_TRUE(on.spe().set_stop(kSpeStopTrap)); }},
        {"entry while stopped", [](SpeMoves& on) { (void)on.spe().enter(kCpu); }},
        {"write while stopped", [](SpeMoves& on) { on.write(reg::PMSLATFR_EL1, 1); }},
        {"resume", [](SpeMoves& on) { ASSERT_TRUE(on.spe().set_stop(kSpeResume)); }},
        {"the host takes the unit", [](SpeMoves& on) { on.spe().set_host_has_unit(true); }},
        {"entry without it", [](SpeMoves& on) { (void)on.spe().enter(kCpu); }},
        {"the host is done", [](SpeMoves& on) { on.spe().set_host_has_unit(false); }},
        {"entry for more", [](SpeMoves& on) { (void)on.spe().enter(kCpu); }},
        {"full", [](SpeMoves& on) { on.sample(1000); }},
        {"off while pending", [](SpeMoves& on) { on.write(reg::PMBLIMITR_EL1, 0); }},
        {"done", [](SpeMoves& on) { on.write(reg::PMBSR_EL1, 0); }},
    };
  }

  struct Outcome {
    SpeState state;
    std::vector<silicon::arm64::SpeMemory::Write> writes;
  };
  /// All steps, and moved behind those that `moves` says so.
  Outcome run(SpeFlavour flavour, const std::function<bool(std::size_t)>& moves) {
    make_ready(v1p2_host(flavour));
    const std::vector<Step> all = steps();
    for (std::size_t i = 0; i < all.size(); ++i) {
      SCOPED_TRACE(all[i].name);
      all[i].run(*this);
      if (moves(i)) move(flavour);
    }
    return {spe().save(), vcpu->buffer.writes};
  }
  static void expect_same(const Outcome& left, const Outcome& right) {
    EXPECT_EQ(left.state, right.state);
    ASSERT_EQ(left.writes.size(), right.writes.size());
    for (std::size_t i = 0; i < left.writes.size(); ++i) {
      EXPECT_EQ(left.writes[i].address, right.writes[i].address);
      EXPECT_EQ(left.writes[i].bytes, right.writes[i].bytes);
    }
  }
};

TEST_F(SpeMoves, GoOnAsIfNothingHadHappened) {
  for (const SpeFlavour flavour : kFlavours) {
    const Outcome stayed = run(flavour, [](std::size_t) { return false; });
    EXPECT_EQ(stayed.writes.size(), 64u);
    expect_same(run(flavour, [](std::size_t) { return true; }), stayed);
    for (std::size_t moved = 0; moved < steps().size(); ++moved) {
      SCOPED_TRACE(steps()[moved].name);
      expect_same(run(flavour, [&](std::size_t i) { return i == moved; }), stayed);
    }
  }
}

TEST_F(SpeMoves, FlavoursDifferInNothingThatTheGuestSees) {
  const Outcome vhe = run(SpeFlavour::kVhe, [](std::size_t) { return false; });
  for (const SpeFlavour flavour : kFlavours) {
    Outcome other = run(flavour, [](std::size_t) { return false; });
    EXPECT_NE(other.state.switches.moves(), 0u);
    other.state.switches = vhe.state.switches;
    other.state.place = vhe.state.place;
    other.state.unit = vhe.state.unit;
    other.state.guest = vhe.state.guest;
    expect_same(other, vhe);
  }
}

TEST_F(SpeMoves, BetweenFlavoursKeepTheGuest) {
  for (const SpeFlavour from : kFlavours) {
    for (const SpeFlavour to : kFlavours) {
      make_ready(v1p2_host(from));
      profile();
      write(reg::PMSNEVFR_EL1, 0x80);
      sample(2);
      move_to(to);
      spe().exit();
      move_to(from);
      ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
      sample(1);
      EXPECT_EQ(vcpu->buffer.writes.size(), 3u);
      EXPECT_EQ(read(reg::PMSNEVFR_EL1), 0x80u);
      EXPECT_EQ(read(reg::PMBPTR_EL1), kBase + 3 * 64);
    }
  }
}

TEST_F(SpeMoves, WhileStoppedProfilingContinuesOnTheOtherSide) {
  make_ready(v1p2_host());
  profile();
  sample(2);
  ASSERT_TRUE(spe().set_stop(kSpeStopExit));
  EXPECT_EQ(spe().enter(kCpu), SpeEntry::kStoppedAndProfiles);
  move();
  EXPECT_EQ(spe().enter(kCpu), SpeEntry::kStoppedAndProfiles);
  ASSERT_TRUE(spe().set_stop(kSpeResume));
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  sample(1000);
  EXPECT_EQ(vcpu->buffer.writes.size(), 64u);
  EXPECT_EQ(read(reg::PMBSR_EL1), 0x2'0001u);
  EXPECT_TRUE(vcpu->sink.line);
}

TEST_F(SpeMoves, NeverTakeAlongWhatIsTheHosts) {
  make_ready(v1p2_host());
  ASSERT_TRUE(unit().write(reg::PMSIRR_EL1, 0x4200).is_done());
  ASSERT_TRUE(unit().write(reg::PMBPTR_EL1, 0x4200).is_done());
  const SpeState state = spe().save();
  EXPECT_EQ(state.unit.pmsirr, 0u);
  EXPECT_EQ(state.unit.pmbptr, 0u);
  const SpeState other = [this] {
    profile();
    spe().scheduled_out();
    return spe().save();
  }();
  EXPECT_EQ(other.unit.pmsirr, 0u);
  EXPECT_EQ(other.guest.pmsirr, 0x400u);
}

TEST_F(SpeMoves, OfAVcpuWithoutSpeHaveLittleToSay) {
  make(v1p2_host());
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  const SpeState state = spe().save();
  make(v1p2_host());
  ASSERT_TRUE(spe().restore(state));
  EXPECT_TRUE(spe().is_entered());
  EXPECT_EQ(spe().save(), state);
}

// ---- What does not fit --------------------------------------------------------------------------

class SpeRefusals : public SpeMoves {
 protected:
  /// Profiling, and entered.
  SpeState good() {
    make_ready(v1p2_host());
    profile();
    sample(1);
    return spe().save();
  }
  void expect_refused(const SpeState& state, const char* words) {
    make_ready(v1p2_host());
    const SpeState before = spe().save();
    const Result<void> restored = spe().restore(state);
    ASSERT_FALSE(restored) << words;
    EXPECT_NE(restored.error().message.find(words), std::string::npos) << restored.error().message;
    EXPECT_EQ(spe().save(), before) << "nothing has changed";
    EXPECT_FALSE(vcpu->sink.line);
  }
};

TEST_F(SpeRefusals, OfAnotherVcpu) {
  const struct {
    const char* words;
    void (*spoil)(SpeState&);
  } cases[] = {
      {"SPE of the vCPU", [](SpeState& state) { state.has_feature = false; }},
      {"PMSVer", [](SpeState& state) { state.model.version = 2; }},
      {"PMSIDR_EL1", [](SpeState& state) { state.model.pmsidr ^= 1; }},
      {"PMBIDR_EL1", [](SpeState& state) { state.pmbidr ^= 1; }},
      {"initialised", [](SpeState& state) { state.initialised = false; }},
      {"the interrupt", [](SpeState& state) { state.irq = 22; }},
  };
  const SpeState fine = good();
  for (const auto& [words, spoil] : cases) {
    SpeState state = fine;
    spoil(state);
    expect_refused(state, words);
  }
}

TEST_F(SpeRefusals, OfWhatCannotBe) {
  const struct {
    const char* words;
    void (*spoil)(SpeState&);
  } cases[] = {
      {"stopped", [](SpeState& state) { state.stop = SpeStop{3}; }},
      {"cannot be", [](SpeState& state) { state.stop = SpeStop::kTrap; }},
      {"cannot be", [](SpeState& state) { state.host_has_unit = true; }},
      {"cannot be", [](SpeState& state) { state.asserted = true; }},
      {"cannot be", [](SpeState& state) { state.guest.pmbsr = 0x2'0000; }},
      {"cannot be", [](SpeState& state) { state.entered = false; }},
      {"cannot be", [](SpeState& state) { state.place.controls = false; }},
      {"cannot be", [](SpeState& state) { state.place.buffer = false; }},
      {"cannot be", [](SpeState& state) { state.place.host_stopped = true; }},
      {"cannot be", [](SpeState& state) { state.unit.pmblimitr ^= 0x1000; }},
      {"cannot be",
       [](SpeState& state) { state.unit.pmblimitr = state.guest.pmblimitr = 0x20'0000; }},
      {"PMSIRR_EL1", [](SpeState& state) { state.guest.pmsirr = 2; }},
      {"PMSCR_EL1", [](SpeState& state) { state.unit.pmscr = 4; }},
      {"gives none", [](SpeState& state) { state.unit.random = 0; }},
      {"gives none", [](SpeState& state) { state.guest.random = 0; }},
  };
  const SpeState fine = good();
  for (const auto& [words, spoil] : cases) {
    SpeState state = fine;
    spoil(state);
    expect_refused(state, words);
  }
}

TEST_F(SpeRefusals, OfAnInvertedFilterWhereThereIsNone) {
  make_ready(spe_everywhere());
  ASSERT_EQ(spe().enter(kCpu), SpeEntry::kDone);
  SpeState state = spe().save();
  make_ready(spe_everywhere());
  ASSERT_TRUE(spe().restore(state));
  state.place.inverted_filter = true;
  make_ready(spe_everywhere());
  EXPECT_FALSE(spe().restore(state));
}

TEST_F(SpeRefusals, OfAVcpuThatRanWithoutInit) {
  make(v1p2_host());
  ASSERT_TRUE(spe().init_vcpu({.spe = true}));
  SpeState state = spe().save();
  state.entered = true;
  EXPECT_FALSE(spe().restore(state));
  state.entered = false;
  state.stop = SpeStop::kTrap;
  EXPECT_FALSE(spe().restore(state));
}

}  // namespace
}  // namespace vpmu::virt::arm64
