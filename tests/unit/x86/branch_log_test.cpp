// SPDX-License-Identifier: MIT
//
// What BranchLog makes of noted branches is what recording each of them at once would have made:
// every register, but for mispredictions, which are what the predictor has learnt by then.
#include "machine/x86/branch_log.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "machine/x86/observer.hpp"
#include "vpmu/silicon/retire_totals.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/silicon/x86/lbr_registers.hpp"
#include "vpmu/silicon/x86/msrs.hpp"

namespace vpmu::machine::x86 {
namespace {

using silicon::PredictedKind;
using silicon::Privilege;
using silicon::RawEvent;
using silicon::x86::BranchType;
using silicon::x86::LbrCtl;
using silicon::x86::LbrInfo;
using silicon::x86::LbrModel;
using silicon::x86::LbrSelect;
using silicon::x86::LbrStack;
using silicon::x86::LbrState;
using silicon::x86::TakenBranch;
namespace msr = silicon::x86::msr;

constexpr std::array kModels{"haswell-server", "skylake-server", "sapphire-rapids"};

/// A CPU's log and predictor, without the CPU.
struct Log {
  explicit Log(silicon::RetireTotals& totals) {
    core.totals = &totals;
    core.predictor = &predictor;
  }
  silicon::BranchPredictor predictor;
  Core core;
  BranchLog log{core};
};

/// What a block of that kind records.
BranchType type_of(BranchKind kind) {
  switch (kind) {
    case BranchKind::kDirect: return BranchType::kDirectJump;
    case BranchKind::kConditional: return BranchType::kConditional;
    case BranchKind::kIndirect: return BranchType::kIndirectJump;
    case BranchKind::kCall: return BranchType::kDirectCall;
    case BranchKind::kIndirectCall: return BranchType::kIndirectCall;
    case BranchKind::kReturn: return BranchType::kReturn;
    default: return BranchType::kOther;
  }
}

class BranchLogTest : public testing::TestWithParam<const char*> {
 protected:
  BranchLogTest() {
    constexpr std::array kKinds{BranchKind::kConditional, BranchKind::kConditional,
                                BranchKind::kDirect,      BranchKind::kIndirect,
                                BranchKind::kCall,        BranchKind::kIndirectCall,
                                BranchKind::kReturn};
    for (std::size_t n = 0; n < 64; ++n) {
      Block& block = *blocks_.emplace_back(std::make_unique<Block>());
      block.branch = kKinds[n % kKinds.size()];
      block.mode.bits = n % 3 == 0 ? Mode::kUser : 0;
      block.rip = 0x1000 + 0x40 * n;
      block.branch_offset = 7;
      block.byte_length = 9;
      block.cs_base = n % 5 == 0 ? 0x10000 : 0;
    }
    start();
  }

  void start() {
    set_filter(model_.architectural() ? LbrCtl::kAll & ~mask_of(LbrCtl::kCallStack) : 0);
    log().set_unit(&unit_);
    unit_.set_source(&source_);
  }

  std::uint64_t random(std::uint64_t below) { return numbers_() % below; }
  BranchLog& log() { return cpu_->log; }

  void near_branch() { branch_of(*blocks_[random(blocks_.size())]); }

  void branch_of_kind(BranchKind kind) {
    while (true) {
      Block& block = *blocks_[random(blocks_.size())];
      if (block.branch == kind) return branch_of(block);
    }
  }

  void branch_of(Block& block) {
    const bool taken = block.branch != BranchKind::kConditional || random(2) != 0;
    const std::uint64_t to = taken ? 0x9000 + 0x10 * random(40) : block.rip + block.byte_length;
    const Privilege privilege =
        block.mode.bits & Mode::kUser ? Privilege::kUser : Privilege::kKernel;
    cycle_ += 1 + random(random(50) == 0 ? 100'000 : 20);
    if (room_ == 0) make_room();
    --room_;
    cpu_->core.block = &block;
    cpu_->core.budget = budget::lanes(0, 77, 0, 0);
    cpu_->core.cycles_at_end = cycle_ + 77;
    observe_branch(cpu_->core, taken, to);
    const std::uint64_t from = block.rip + block.branch_offset;
    if (taken)
      expect(from, to, block.rip + block.byte_length, block.cs_base, type_of(block.branch),
             privilege);
  }

  void far_branch() {
    const auto privilege = static_cast<Privilege>(random(2));
    cycle_ += 60;
    const bool aborted = random(4) == 0;
    log().add({.branch = {PredictedKind::kFar, true, 0x5000, 0x5002, 0x6000},
               .cycle = cycle_,
               .ends_in = privilege,
               .aborted = aborted});
    room_ = 0;
    expect(0x5000, 0x6000, 0x5002, 0, BranchType::kOther, privilege, aborted);
  }

  void expect(std::uint64_t from, std::uint64_t to, std::uint64_t next, std::uint64_t base,
              BranchType type, Privilege privilege, bool aborted = false) {
    if (!model_.architectural()) base = 0;
    expected_.record({.from = from + base,
                      .to = to + base,
                      .next = next + base,
                      .cycle = cycle_,
                      .type = type,
                      .ends_in = privilege,
                      .aborted = aborted});
  }

  void make_room() {
    log().make_room();
    room_ = log().room();
  }

  void set_filter(std::uint64_t value) {
    const MsrIndex msr = model_.architectural() ? msr::IA32_LBR_CTL : msr::MSR_LBR_SELECT;
    ASSERT_TRUE(unit_.write(msr, value));
    ASSERT_TRUE(expected_.write(msr, value));
  }

  std::uint64_t some_filter() {
    const std::uint64_t all = model_.architectural() ? LbrCtl::kAll : LbrSelect::kAll;
    std::uint64_t value = random(3) == 0 ? 0 : numbers_() & all;
    if (model_.architectural() && random(8) != 0) value |= mask_of(LbrCtl::kEn, LbrCtl::kOs);
    return value;
  }

  static LbrState without_predictions(LbrState state) {
    for (LbrState::Record& record : state.records) {
      record.info &= ~mask_of(LbrInfo::kMispredicted);
      record.from = record.from << 1 >> 1;  // the flag, where FROM has it
    }
    return state;
  }

  void look() {
    ASSERT_EQ(without_predictions(unit_.save()), without_predictions(expected_.save()));
  }

  /// The CPU goes on elsewhere: another log, on another unit with the same registers.
  void move() {
    const BranchLog::State held = log().save();
    const LbrState registers = unit_.held();
    auto other = std::make_unique<Log>(totals_);
    other->predictor = cpu_->predictor;
    ASSERT_TRUE(other->log.restore(held));
    unit_.set_source(nullptr);
    log().set_unit(nullptr);
    cpu_ = std::move(other);
    ASSERT_TRUE(unit_.restore(registers));
    log().set_unit(&unit_);
    unit_.set_source(&source_);
    room_ = 0;
    EXPECT_EQ(log().save(), held);
  }

  /// What the blocks were is no longer known.
  void let_go_of_blocks() {
    log().let_go_of_blocks();
    for (auto& block : blocks_) {
      auto copy = std::make_unique<Block>(*block);
      *block = Block{};
      block = std::move(copy);
    }
  }

  class Source final : public silicon::x86::BranchSource {
   public:
    explicit Source(BranchLogTest& test) : test_{test} {}
    void hand_over_branches() override {
      test_.log().hand_over();
      test_.room_ = 0;
    }

   private:
    BranchLogTest& test_;
  };

  std::mt19937_64 numbers_{7};
  silicon::RetireTotals totals_;
  const LbrModel model_ = silicon::x86::find_cpu_model(GetParam())->lbr;
  LbrStack unit_{model_};
  LbrStack expected_{model_};
  std::unique_ptr<Log> cpu_ = std::make_unique<Log>(totals_);
  Source source_{*this};
  std::vector<std::unique_ptr<Block>> blocks_;
  std::size_t room_ = 0;  ///< near branches until make_room()
  std::uint64_t cycle_ = 0;
};

TEST_P(BranchLogTest, RecordsWhatRecordingAtOnceWould) {
  for (int round = 0; round < 4000; ++round) {
    const std::uint64_t branches = random(random(10) == 0 ? 5000 : 60);
    for (std::uint64_t n = 0; n < branches; ++n) random(30) == 0 ? far_branch() : near_branch();
    switch (random(8)) {
      case 0: set_filter(some_filter()); break;
      case 1: let_go_of_blocks(); break;
      case 2: move(); break;
      case 3: make_room(); break;
      default: look();
    }
    if (HasFatalFailure()) FAIL() << "round " << round;
  }
}

/// The oldest record's cycles are counted from a branch that is no longer kept.
TEST_P(BranchLogTest, CountsTheCyclesOfTheOldestRecordFromTheBranchBeforeIt) {
  const std::uint64_t only_returns =
      model_.architectural() ? mask_of(LbrCtl::kEn, LbrCtl::kOs, LbrCtl::kUsr, LbrCtl::kNearRet)
                             : 0x1fc & ~mask_of(LbrSelect::kNearRet);
  for (const int more : {-1, 0, 1, 2}) {
    set_filter(only_returns);
    log().set_unit(nullptr);  // a new log begins
    log().set_unit(&unit_);
    room_ = 0;
    for (std::size_t n = 1; n <= BranchLog::kHalf; ++n)
      branch_of_kind(n == BranchLog::kHalf ? BranchKind::kReturn : BranchKind::kDirect);
    const std::size_t returns = unit_.depth() + static_cast<std::size_t>(more);
    for (std::size_t n = 0; n < BranchLog::kHalf; ++n)
      branch_of_kind(n < returns ? BranchKind::kReturn : BranchKind::kDirect);
    make_room();
    look();
  }
}

/// Looks are what matters, not where the run was cut, nor where it went on.
TEST_P(BranchLogTest, SaysTheSameOfMispredictionsWhereverTheRunIsCut) {
  const auto records = [this](int every, bool moves) {
    numbers_.seed(11);
    cycle_ = 0;
    unit_.set_source(nullptr);
    log().set_unit(nullptr);
    cpu_ = std::make_unique<Log>(totals_);
    unit_.reset();
    expected_.reset();
    room_ = 0;
    start();
    std::vector<LbrState> seen;
    for (int n = 1; n <= 60'000; ++n) {
      near_branch();
      if (n % every == 0) moves ? move() : make_room();
      if (n % 7001 == 0) seen.push_back(unit_.save());
    }
    return seen;
  };
  const auto whole = records(100'000, false);
  EXPECT_TRUE(records(37, false) == whole);
  EXPECT_TRUE(records(1021, true) == whole);
}

/// While they are counted as well, every one of them is seen by the same predictor.
TEST_P(BranchLogTest, FlagsAsManyMispredictionsAsAreCounted) {
  log().count_mispredictions(true);
  std::uint64_t flagged = 0;
  for (int n = 0; n < 20'000; ++n) {
    const unsigned before = static_cast<unsigned>(
        totals_.held(RawEvent::kMispredictedBranches, silicon::kAllPrivileges));
    const LbrState::Record newest = unit_.newest(0);
    near_branch();
    log().count();
    room_ = 0;
    const bool wrong =
        totals_.held(RawEvent::kMispredictedBranches, silicon::kAllPrivileges) > before;
    const auto now = LbrStack::decode(model_, unit_.newest(0));
    if (unit_.newest(0) == newest) continue;  // not taken
    EXPECT_EQ(now.mispredicted, wrong);
    flagged += wrong ? 1 : 0;
  }
  EXPECT_GT(flagged, 1000u);
}

TEST_P(BranchLogTest, HoldsNothingBackOnceNobodyRecords) {
  near_branch();
  EXPECT_TRUE(log().in_use());
  EXPECT_EQ(log().save().held.size(), 1u);
  log().set_unit(nullptr);
  EXPECT_FALSE(log().in_use());
  EXPECT_EQ(log().save(), BranchLog::State{});
  unit_.set_source(nullptr);
  look();
}

/// A damaged snapshot: branches are held for a unit, and there is none.
TEST_P(BranchLogTest, ForgetsWhatIsHeldForNobody) {
  for (int n = 0; n < 100; ++n) near_branch();
  Log other{totals_};
  ASSERT_TRUE(other.log.restore(log().save()));
  other.log.count_mispredictions(true);
  EXPECT_EQ(totals_.held(RawEvent::kMispredictedBranches, silicon::kAllPrivileges), 0u);
  EXPECT_EQ(other.log.save(), BranchLog::State{});
}

TEST_P(BranchLogTest, RefusesAStateThatItCannotHold) {
  const auto refused = [this](auto damage) {
    BranchLog::State state = log().save();
    damage(state);
    Log other{totals_};
    return !other.log.restore(state);
  };
  for (int n = 0; n < 100; ++n) near_branch();
  EXPECT_FALSE(refused([](BranchLog::State&) {}));
  EXPECT_TRUE(refused([](auto& state) { state.in_current_half = BranchLog::kHalf; }));
  EXPECT_TRUE(refused([](auto& state) { state.held.resize(3 * BranchLog::kHalf); }));
  EXPECT_TRUE(refused([](auto& state) { state.held[3].branch.kind = PredictedKind{99}; }));
  EXPECT_TRUE(refused([](auto& state) { state.held[3].ends_in = Privilege{2}; }));
}

INSTANTIATE_TEST_SUITE_P(Models, BranchLogTest, testing::ValuesIn(kModels), [](const auto& model) {
  std::string name = model.param;
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name;
});

}  // namespace
}  // namespace vpmu::machine::x86
