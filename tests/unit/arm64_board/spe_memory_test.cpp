// SPDX-License-Identifier: MIT
//
// The memory of guests with SPE: what is locked when, what units find, and that nothing stays
// locked.
#include "machine/arm64_board/spe_memory.hpp"

#include <iterator>
#include <random>

#include "unit/arm64_board/machine_fixture.hpp"
#include "unit/virt_memory/lock_limit.hpp"
#include "vpmu/silicon/arm64/spe_registers.hpp"

namespace vpmu::machine::arm64 {
namespace {

namespace reg = silicon::arm64::reg;
using virt::memory::kPageBytes;

class SpeMemoryTest : public MachineFixture {
 protected:
  static constexpr std::uint64_t kBuffer = kBase + 0x20'0000;  ///< where nobody has been
  static constexpr std::uint64_t kPages = (4 << 20) / kPageBytes;
  static constexpr std::uint64_t kExternalAbort = 0x9006'0010, kTooLarge = 0x2'0004;
  static constexpr std::uint64_t kFull = 0x2'0001;
  static constexpr std::uint32_t kInvalidateAll = 0xd508'871f;  ///< TLBI VMALLE1

  static MachineConfig with(SpeLock lock, bool mlock = false) {
    MachineConfig made = config();
    made.spe.emplace().memory = {.lock = lock, .mlock = mlock};
    return made;
  }

  static std::uint32_t mrs(silicon::arm64::SystemRegister which, unsigned rt) {
    return msr(which, rt) | 1U << 21;
  }
  static void write(Code& code, silicon::arm64::SystemRegister which, std::uint64_t value) {
    set(code, 1, value);
    code.push_back(msr(which, 1));
  }
  static void enable(Code& code, std::uint64_t start, std::uint64_t limit) {
    write(code, reg::PMBPTR_EL1, start);
    write(code, reg::PMSIRR_EL1, 0x100);
    write(code, reg::PMSICR_EL1, 0);
    write(code, reg::PMBLIMITR_EL1, limit | 1);
    write(code, reg::PMSCR_EL1, 2);
  }
  static void disable(Code& code) {
    write(code, reg::PMSCR_EL1, 0);
    write(code, reg::PMBLIMITR_EL1, 0);
  }
  static void work(Code& code, std::uint64_t rounds) {
    set(code, 2, rounds);
    code.push_back(code::subs(2, 2, 1));
    code.push_back(code::b_ne(-1));
  }
  /// Ends with PMBSR_EL1.
  static void tell(Code& code) {
    code.push_back(mrs(reg::PMBSR_EL1, 3));
    exit_with(code, 3);
    code.push_back(code::kBranchToItself);
  }
  /// Samples into that buffer for so many rounds of two instructions.
  static Code sampling(std::uint64_t start, std::uint64_t limit, std::uint64_t rounds = 20'000) {
    Code code;
    enable(code, start, limit);
    work(code, rounds);
    tell(code);
    return code;
  }

  std::uint64_t syndrome() {
    const Outcome outcome = machine->run({.instructions = 1'000'000});
    EXPECT_EQ(outcome.reason, Outcome::Reason::kDebugExit);
    return outcome.value;
  }
  std::uint64_t run(const Code& code, SpeLock lock) {
    machine = loaded(code, with(lock));
    return syndrome();
  }
  [[nodiscard]] const SpeMemory& memory() const { return *machine->spe_memory(); }
  [[nodiscard]] const BufferPins& pins() const {
    return *machine->vcpus()[0]->spe()->buffer_pins();
  }

  std::unique_ptr<Machine> machine;
};

TEST_F(SpeMemoryTest, IsNotThereWithoutSpe) {
  EXPECT_EQ(loaded({code::kNop})->spe_memory(), nullptr);
}

TEST_F(SpeMemoryTest, IsLockedAsAWholeBeforeTheFirstRun) {
  machine = loaded(sampling(kBuffer, kBuffer + kPageBytes), with(SpeLock::kAll));
  EXPECT_EQ(memory().locked_pages(), kPages);
  EXPECT_NE(memory().metadata_bytes(), 0u);
  EXPECT_TRUE(memory().deferred().empty()) << "caches are cleaned when a vCPU runs";
  EXPECT_EQ(syndrome(), kFull);
  EXPECT_EQ(memory().deferred(), std::vector{DeferredOperation::kDataCache}) << "once";
  EXPECT_EQ(memory().locked_pages(), kPages);
  EXPECT_EQ(memory().stage2_faults(), 0u);
  EXPECT_EQ(machine->vcpus()[0]->spe()->buffer_pins(), nullptr);
}

TEST_F(SpeMemoryTest, OfNoLockHasOnlyWhatTheCpuHasTouched) {
  EXPECT_EQ(run(sampling(kBuffer, kBuffer + kPageBytes), SpeLock::kNone), kExternalAbort);
  EXPECT_EQ(memory().locked_pages(), 0u);
  EXPECT_EQ(memory().stage2_faults(), 1u);
  EXPECT_EQ(memory().first_fault(), kBuffer);
  EXPECT_EQ(machine->vcpus()[0]->spe()->spe().exit_statistics().replaced, 1u);

  Code code;
  set(code, 1, kBuffer + 8);
  code.push_back(code::ldr(2, 1));
  const Code rest = sampling(kBuffer, kBuffer + kPageBytes);
  code.insert(code.end(), rest.begin(), rest.end());
  EXPECT_EQ(run(code, SpeLock::kNone), kFull) << "reading is enough";
  EXPECT_EQ(memory().stage2_faults(), 0u);
}

TEST_F(SpeMemoryTest, OfNoLockHasThePageOfTheCodeThatRuns) {
  // Behind the code, in its page.
  EXPECT_EQ(run(sampling(kBase + 0x800, kBase + kPageBytes), SpeLock::kNone), kFull);
}

TEST_F(SpeMemoryTest, OfBuffersIsLockedWhenTheyAreEnabled) {
  EXPECT_EQ(run(sampling(kBuffer, kBuffer + 2 * kPageBytes), SpeLock::kBuffer), kFull);
  EXPECT_EQ(memory().locked_pages(), 2u);
  EXPECT_EQ(memory().stage2_faults(), 0u);
  EXPECT_EQ(pins().statistics().pins, 1u);
  EXPECT_EQ(pins().statistics().hits, 0u) << "exits are no reason to ask";
}

TEST_F(SpeMemoryTest, OfABufferThatComesBackIsLockedStill) {
  constexpr unsigned kSwitches = 8;
  Code code;
  for (unsigned n = 0; n < kSwitches; ++n) {
    const std::uint64_t other = kBuffer + n % 2 * 0x1'0000;
    enable(code, other + n * 64, other + 2 * kPageBytes);
    work(code, 300);
    disable(code);
  }
  tell(code);
  EXPECT_EQ(run(code, SpeLock::kBuffer), 0u);
  EXPECT_EQ(pins().statistics().pins, 2u);
  EXPECT_EQ(pins().statistics().hits, kSwitches - 2);
  EXPECT_EQ(pins().statistics().rewalks, 0u);
  EXPECT_EQ(memory().locked_pages(), 4u) << "idle ones, too";
}

TEST_F(SpeMemoryTest, IsWalkedAgainAfterTlbMaintenance) {
  Code code;
  enable(code, kBuffer, kBuffer + kPageBytes);
  work(code, 1000);
  code.push_back(kInvalidateAll);
  work(code, 1000);
  tell(code);
  EXPECT_EQ(run(code, SpeLock::kBuffer), 0u);
  EXPECT_EQ(pins().statistics().pins, 1u);
  EXPECT_EQ(pins().statistics().rewalks, 1u) << "before the next record, which is no exit";
}

TEST_F(SpeMemoryTest, AtItsEndIsAnExternalAbortWhateverIsLocked) {
  constexpr std::uint64_t kEnd = kBase + (4 << 20);
  for (const SpeLock lock : {SpeLock::kAll, SpeLock::kBuffer}) {
    EXPECT_EQ(run(sampling(kEnd - kPageBytes, kEnd), lock), kFull);
    EXPECT_EQ(run(sampling(kEnd - kPageBytes, kEnd + kPageBytes), lock), kExternalAbort);
    EXPECT_EQ(run(sampling(kEnd, kEnd + kPageBytes), lock), kExternalAbort);
    EXPECT_EQ(run(sampling(Pl011::kAddress, Pl011::kAddress + kPageBytes), lock), kExternalAbort);
    EXPECT_TRUE(console.text.empty());
    EXPECT_EQ(memory().stage2_faults(), 0u);
  }
}

TEST_F(SpeMemoryTest, BuffersLargerThanItAreTooLargeToPin) {
  const Code code = sampling(kBuffer, kBuffer + (4 << 20) + kPageBytes);
  EXPECT_EQ(run(code, SpeLock::kBuffer), kTooLarge);
  EXPECT_EQ(pins().refused(), 1u);
  EXPECT_FALSE(pins().why_refused().empty());
  EXPECT_EQ(memory().locked_pages(), 0u);
  EXPECT_EQ(run(code, SpeLock::kAll), 0u) << "the unit is not there yet";
  // Everything from the first byte to the last.
  EXPECT_EQ(run(sampling(0, ~std::uint64_t{0xfff}), SpeLock::kBuffer), kTooLarge);
  EXPECT_EQ(run(sampling(kBuffer + kPageBytes, kBuffer), SpeLock::kBuffer), kFull) << "none";
}

TEST_F(SpeMemoryTest, IsReallyLockedIfThatIsWantedAndNothingIsLeft) {
  const std::uint64_t before = virt::memory::locked_bytes();
  const struct {
    SpeLock lock;
    std::uint64_t pages;
  } cases[] = {{SpeLock::kBuffer, 2}, {SpeLock::kAll, kPages}};
  for (const auto& [lock, pages] : cases) {
    auto made = Machine::create(with(lock, true), console);
    if (!made) GTEST_SKIP() << "this process may not lock 4 MiB: " << made.error().message;
    *made = nullptr;
    machine = loaded(sampling(kBuffer, kBuffer + 2 * kPageBytes), with(lock, true));
    EXPECT_EQ(syndrome(), kFull);
    EXPECT_EQ(memory().locked_pages(), pages);
    EXPECT_EQ(virt::memory::locked_bytes() - before, pages * kPageBytes);
    machine.reset();
    EXPECT_EQ(virt::memory::locked_bytes(), before);
  }
}

TEST_F(SpeMemoryTest, WithoutTheLimitForItIsOneErrorThatSaysWhatToDo) {
  const virt::memory::LockLimit limit{0x1'0000};
  const auto made = Machine::create(with(SpeLock::kAll, true), console);
  ASSERT_FALSE(made.has_value());
  const std::string& says = made.error().message;
  EXPECT_EQ(says.find('\n'), std::string::npos);
  for (const char* part :
       {"4096 KiB", "RLIMIT_MEMLOCK", "ulimit -l", "CAP_IPC_LOCK", "--guest-spe lock=buffer"}) {
    EXPECT_NE(says.find(part), std::string::npos) << says;
  }
}

TEST_F(SpeMemoryTest, WithoutTheLimitForABufferTellsTheGuestAndGoesOn) {
  const virt::memory::LockLimit limit{0x1'0000};
  const std::uint64_t before = virt::memory::locked_bytes();
  machine = loaded(sampling(kBuffer, kBuffer + 17 * kPageBytes), with(SpeLock::kBuffer, true));
  EXPECT_EQ(syndrome(), kTooLarge);
  EXPECT_EQ(pins().refused(), 1u);
  EXPECT_EQ(virt::memory::locked_bytes(), before);
}

TEST_F(SpeMemoryTest, SurvivesBuffersAnywhereAndNothingIsLeft) {
  constexpr std::uint64_t kEnd = kBase + (4 << 20);
  const std::uint64_t places[] = {0,
                                  kPageBytes,
                                  Pl011::kAddress,
                                  kBase,
                                  kBuffer,
                                  kBuffer + 64,
                                  kBuffer + 0x1'0000,
                                  kEnd - kPageBytes,
                                  kEnd - 64,
                                  kEnd,
                                  kEnd + kPageBytes,
                                  std::uint64_t{1} << 47,
                                  std::uint64_t{1} << 52,
                                  ~std::uint64_t{0} << 55,
                                  ~std::uint64_t{0xfff},
                                  ~std::uint64_t{0}};
  const std::uint64_t before = virt::memory::locked_bytes();
  std::mt19937 random{1};
  const auto place = [&] { return places[random() % std::size(places)]; };
  for (unsigned round = 0; round < 60; ++round) {
    Code code;
    for (unsigned n = 0; n < 12; ++n) {
      if (random() % 2 == 0) enable(code, place(), place());
      if (random() % 4 == 0) code.push_back(kInvalidateAll);
      if (random() % 4 == 0) write(code, reg::PMBSR_EL1, random() % 4 == 0 ? 0x2'0000 : 0);
      if (random() % 8 == 0) disable(code);
      work(code, 100 + random() % 1000);
    }
    tell(code);
    const auto lock = static_cast<SpeLock>(round % 3);
    machine = loaded(code, with(lock, lock == SpeLock::kBuffer));
    const Outcome outcome = machine->run({.instructions = 1'000'000});
    // Records over the code make it end in any way.
    EXPECT_TRUE(outcome.reason == Outcome::Reason::kDebugExit ||
                outcome.reason == Outcome::Reason::kInstructions ||
                outcome.reason == Outcome::Reason::kCrash)
        << round;
    if (lock == SpeLock::kBuffer) {
      EXPECT_EQ(virt::memory::locked_bytes() - before, memory().locked_pages() * kPageBytes);
    }
    if (lock != SpeLock::kNone) {
      EXPECT_EQ(memory().stage2_faults(), 0u) << round;
    }
    machine.reset();
    EXPECT_EQ(virt::memory::locked_bytes(), before) << round;
  }
}

TEST_F(SpeMemoryTest, GoesOnElsewhereAsItWas) {
  for (const SpeLock lock : {SpeLock::kAll, SpeLock::kBuffer, SpeLock::kNone}) {
    Code code;
    set(code, 1, kBuffer);
    code.push_back(code::str(31, 1));
    for (const std::uint64_t begin : {kBuffer, kBuffer + 0x1'0000, kBuffer}) {
      enable(code, begin, begin + 2 * kPageBytes);
      work(code, 600);
      code.push_back(kInvalidateAll);
      work(code, 600);
      disable(code);
      write(code, reg::PMBSR_EL1, 0);
    }
    tell(code);
    const auto whole = loaded(code, with(lock));
    EXPECT_EQ(whole->run({.instructions = 20'000}).reason, Outcome::Reason::kDebugExit);
    const MachineState end = whole->save();
    for (std::uint64_t at = 1; at < whole->instructions(); at += 601) {
      const auto first = loaded(code, with(lock));
      EXPECT_EQ(first->run({.instructions = at}).reason, Outcome::Reason::kInstructions);
      machine = create(with(lock));
      const std::size_t bytes = kPages * kPageBytes;
      std::memcpy(machine->board().memory.host(kBase, bytes),
                  first->board().memory.host(kBase, bytes), bytes);
      const MachineState between = first->save();
      const auto restored = machine->restore(between);
      ASSERT_TRUE(restored.has_value()) << restored.error().message;
      EXPECT_TRUE(machine->save() == between) << at;
      EXPECT_EQ(memory().locked_pages(), first->spe_memory()->locked_pages()) << at;
      EXPECT_EQ(machine->run({.instructions = 20'000}).reason, Outcome::Reason::kDebugExit);
      EXPECT_TRUE(machine->save().spe_memory == end.spe_memory) << at;
      EXPECT_TRUE(machine->save().buffer_pins == end.buffer_pins) << at;
      EXPECT_TRUE(machine->save() == end) << at;
    }
  }
}

TEST_F(SpeMemoryTest, RefusesStatesOfOtherMemory) {
  machine = loaded(sampling(kBuffer, kBuffer + kPageBytes), with(SpeLock::kBuffer));
  EXPECT_EQ(syndrome(), kFull);
  const MachineState state = machine->save();
  const auto refused = [&](SpeLock lock, auto change) {
    MachineState other = state;
    change(other);
    return !create(with(lock))->restore(other).has_value();
  };
  const auto nothing = [](MachineState&) {};
  EXPECT_FALSE(refused(SpeLock::kBuffer, nothing));
  EXPECT_TRUE(refused(SpeLock::kAll, nothing));
  EXPECT_TRUE(refused(SpeLock::kNone, nothing));
  const auto changed = [&](auto change) { return refused(SpeLock::kBuffer, change); };
  EXPECT_TRUE(changed([](MachineState& other) { other.spe_memory.reset(); }));
  EXPECT_TRUE(changed([](MachineState& other) { other.spe_memory->mapped.push_back(0); }));
  EXPECT_TRUE(changed([](MachineState& other) { other.buffer_pins.clear(); }));
  EXPECT_TRUE(changed([](MachineState& other) { other.buffer_pins[0].in_use.reset(); }) ||
              !state.buffer_pins[0].in_use);
  EXPECT_TRUE(changed(
      [](MachineState& other) { other.buffer_pins[0].cache.buffers.at(0).runs.at(0).begin = 0; }));
  EXPECT_TRUE(changed([](MachineState& other) {
    other.buffer_pins[0].cache.buffers.at(0).runs.at(0).pages = ~std::uint64_t{0};
  }));
}

TEST_F(SpeMemoryTest, HasNothingLockedAfterRunsThatEndAnywhere) {
  const std::uint64_t before = virt::memory::locked_bytes();
  for (std::uint64_t instructions = 1; instructions < 400; instructions += 13) {
    machine = loaded(sampling(kBuffer, kBuffer + 2 * kPageBytes), with(SpeLock::kBuffer, true));
    EXPECT_EQ(machine->run({.instructions = instructions}).reason, Outcome::Reason::kInstructions);
    machine.reset();
    EXPECT_EQ(virt::memory::locked_bytes(), before);
  }
}

}  // namespace
}  // namespace vpmu::machine::arm64
