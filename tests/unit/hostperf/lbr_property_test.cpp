// SPDX-License-Identifier: MIT
//
// Random sequences of all that can happen to last branch records on two host CPUs with three vCPUs,
// against a reference that decides everything anew at every step. Every guest has a stack of its
// own beside the host's, which records what the guest alone does: what the host shows the guest
// must be that, always. Branches that are recorded for the host's events are all different, and are
// noted with who may see them.
#include <random>

#include "unit/hostperf/lbr_reference.hpp"

namespace vpmu::hostperf {
namespace {

constexpr unsigned kVcpus = 3;
constexpr unsigned kCpus = LbrReference::kCpus;
constexpr std::uint64_t kRotation = 50;
constexpr MsrIndex kSelect = silicon::x86::msr::MSR_LBR_SELECT;
constexpr MsrIndex kTos = silicon::x86::msr::MSR_LASTBRANCH_TOS;
constexpr MsrIndex kCtl = silicon::x86::msr::IA32_LBR_CTL;
constexpr MsrIndex kDepth = silicon::x86::msr::IA32_LBR_DEPTH;

class Sequence {
 public:
  Sequence(std::uint32_t seed, const LbrModel& lbr)
      : random_{seed}, host_{kVcpus, kCpus, kRotation, small_model(lbr)} {}

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      one_step();
      check();
      if (testing::Test::HasFailure()) {
        ADD_FAILURE() << "step " << step;
        return;
      }
    }
  }
  /// That the sequences come by what they are for.
  struct Reached {
    unsigned guests_active = 0, guests_lost = 0, shared = 0, records_compared = 0, seen = 0,
             skipped = 0;
  };
  [[nodiscard]] Reached reached() {
    reached_.skipped += static_cast<unsigned>(host_.switches(0).skipped_restores);
    return reached_;
  }

 private:
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  [[nodiscard]] const LbrModel& lbr() const { return host_.model.lbr; }

  EventId any() {
    return std::next(reference_.events.begin(),
                     static_cast<std::ptrdiff_t>(
                         below(static_cast<std::uint32_t>(reference_.events.size()))))
        ->first;
  }

  void one_step() {
    const std::uint32_t choice = below(32);
    if (choice < 12) return branch(below(kCpus));
    if (choice < 15) return guest_writes();
    if (choice < 18) return switch_in();
    if (choice == 18) return switch_out();
    if (choice < 21) return tick();
    if (choice == 21) return trace();
    if (reference_.events.size() < 5 || choice < 25) return open();
    const EventId event = any();
    if (choice == 25) return close(event);
    if (choice == 26) return set_state(event);
    if (choice < 29) return disable(event);
    host_.perf->enable(event);
    reference_.enable(event);
  }

  // ---- Events -----------------------------------------------------------------------------------

  EventAttr some_attr() {
    constexpr std::uint32_t kTypes[] = {kBranchAny, kBranchCallStack | kBranchUser,
                                        kBranchCall | kBranchUser};
    const bool pinned = below(2) == 0;
    if (below(3) == 0) {
      EventAttr guests = kGuestLbr;
      guests.pinned = pinned || below(4) != 0;
      return guests;
    }
    EventAttr attr = branch_stack(kTypes[below(3)], pinned);
    if (below(3) == 0) attr.branch_type = 0;
    if (below(4) == 0) attr.config = kInstructions;
    attr.exclusive = below(16) == 0;
    attr.exclude_guest = below(8) == 0;
    return attr;
  }

  void open() {
    const EventAttr attr = some_attr();
    const Target target = below(3) != 0 ? task(below(kVcpus)) : cpu(below(kCpus));
    const auto event = host_.perf->open(attr, target, host_.handler);
    const bool traced = std::ranges::any_of(reference_.traced, [](bool used) { return used; });
    if (attr.branch_type != 0 && traced) {
      EXPECT_EQ(event, tl::make_unexpected(OpenError::kBusy));
      return;
    }
    if (!event) {
      EXPECT_EQ(event.error(), OpenError::kNoSpace);
      return;
    }
    std::vector<int> counters{0, 1};
    if (attr.config == kInstructions) counters.push_back(2);
    reference_.events[*event] = {.attr = attr, .target = target, .counters = counters};
    if (attr.config == kGuestLbrEvent) guests_.emplace(*event, lbr());
  }

  void close(EventId event) {
    host_.perf->close(event);
    reference_.close(event);
    guests_.erase(event);
    visible_.erase(event);
  }
  void disable(EventId event) {
    host_.perf->disable(event);
    reference_.disable(event);
  }

  void set_state(EventId event) {
    const auto guest = guests_.find(event);
    if (guest == guests_.end()) return;
    LbrState state{.depth = lbr().depth};
    for (unsigned n = 0; n < state.depth; ++n) state.records[n] = {fresh(), fresh(), 0};
    EXPECT_TRUE(host_.perf->set_lbr_state(event, state));
    ASSERT_TRUE(guest->second.restore(state));
  }

  // ---- Time and place ---------------------------------------------------------------------------

  void switch_in() {
    const unsigned vcpu = below(kVcpus), to = below(kCpus);
    switches_ = true;
    host_.on(vcpu, to);
    reference_.switch_in(vcpu, to);
  }
  void switch_out() {
    const unsigned vcpu = below(kVcpus);
    switches_ = true;
    host_.off(vcpu);
    reference_.switch_out(vcpu);
  }
  void tick() {
    const unsigned ticking = below(kCpus);
    if (const auto vcpu = reference_.on(ticking)) {
      const std::uint64_t passes = below(2 * kRotation);
      host_.retire(*vcpu, passes);
      now_ += passes;
    }
    host_.perf->tick(static_cast<HostCpu>(ticking));
    reference_.tick(ticking, now_);
  }
  void trace() {
    const unsigned traced = below(kCpus);
    const bool used = below(3) == 0;
    host_.perf->use_lbr_for_trace(static_cast<HostCpu>(traced), used);
    reference_.trace(traced, used);
  }

  // ---- Branches ---------------------------------------------------------------------------------

  /// An address that nothing else has.
  std::uint64_t fresh() { return (serial_ += 2) << 8; }

  /// What a guest may try to write to FROM: not all formats take all of it.
  std::uint64_t some_from() {
    constexpr std::uint64_t kKernel = 0xffff'8000'0000'0000, kMispredicted = 1ULL << 63,
                            kTransaction = 0b11ULL << 61;
    switch (below(6)) {
      case 0: return fresh() | kKernel;
      case 1: return fresh() | kMispredicted;
      case 2: return (fresh() | kKernel) & ~kTransaction;
      case 3: return fresh();
      default: return 0;
    }
  }

  void branch(unsigned cpu) {
    if (!reference_.on(cpu)) return;
    constexpr BranchType kTypes[] = {BranchType::kConditional, BranchType::kDirectCall,
                                     BranchType::kDirectCall, BranchType::kReturn};
    const std::uint64_t from = fresh();
    const silicon::x86::TakenBranch taken{
        .from = from,
        .to = from + 0x80,
        .next = from + 4,
        .type = kTypes[below(4)],
        .ends_in = below(4) == 0 ? Privilege::kKernel : Privilege::kUser};
    bool wanted = host_.perf->records_for_host(static_cast<HostCpu>(cpu));
    for (const auto& [id, event] : reference_.events) {
      if (event.state != EventState::kActive || reference_.cpu_of(event) != cpu) continue;
      if (event.guests_lbr()) {
        guests_.at(id).record(taken);
        wanted = true;
      }
      if (event.hosts_lbr()) visible(id, event).insert(from);
    }
    if (wanted) host_.unit(cpu).record(taken);
  }

  /// Whose branches an event of the host may see: a call stack is its task's.
  [[nodiscard]] std::set<std::uint64_t>& visible(EventId id, const KnownEvent& event) {
    const bool tasks = event.call_stack() && event.target.kind == Target::Kind::kVcpu;
    return tasks ? call_stacks_[event.target.index] : visible_[id];
  }
  void forget_unseen_branches() {
    std::set<std::uint32_t> wanted;
    for (const auto& [id, event] : reference_.events) {
      if (!event.hosts_lbr()) continue;
      if (event.state != EventState::kActive) visible_.erase(id);
      const bool tasks = event.call_stack() && event.target.kind == Target::Kind::kVcpu;
      if (tasks && event.state != EventState::kOff) wanted.insert(event.target.index);
    }
    std::erase_if(call_stacks_, [&](const auto& known) { return !wanted.contains(known.first); });
  }

  /// The guest changes its registers while it has them.
  void guest_writes() {
    const bool architectural = lbr().architectural();
    for (auto& [id, stack] : guests_) {
      if (reference_.events.at(id).state != EventState::kActive) continue;
      MsrIndex msr = record_msr(lbr().from, below(lbr().depth));
      std::uint64_t value = some_from();
      switch (below(4)) {
        case 0:
          msr = architectural ? kCtl : kSelect;
          value = architectural ? std::array<std::uint64_t, 3>{0x7f'0007, 0x38'000d, 0}[below(3)]
                                : std::array<std::uint64_t, 3>{0, 0x3c5, 0x4}[below(3)];
          break;
        case 1:
          msr = architectural ? kDepth : kTos;
          value = architectural ? 8 * (1 + below(2)) : below(4);
          break;
        default: break;
      }
      const auto written = host_.perf->write_lbr(id, msr, value);
      ASSERT_TRUE(written.has_value());
      EXPECT_EQ(written->is_done(), stack.write(msr, value));
    }
  }

  // ---- What must hold ---------------------------------------------------------------------------

  void check() {
    for (const auto& [id, event] : reference_.events) {
      EXPECT_EQ(host_.perf->state(id), event.state) << name(host_.perf->state(id));
      const auto cpu = reference_.cpu_of(event);
      const bool active = event.state == EventState::kActive;
      EXPECT_EQ(host_.perf->cpu(id), active ? static_cast<HostCpu>(*cpu) : kNoHostCpu);
      if (event.guests_lbr()) check_guest(id, event);
      if (event.hosts_lbr()) check_profiler(id, event);
    }
    for (unsigned cpu = 0; cpu < kCpus; ++cpu) check_recording(cpu);
    forget_unseen_branches();
    switches_ = false;
  }

  void check_recording(unsigned cpu) {
    bool expected = false;
    unsigned sharing = 0;
    for (const auto& [id, event] : reference_.events) {
      if (event.state != EventState::kActive || !event.hosts_lbr()) continue;
      if (reference_.cpu_of(event) != cpu) continue;
      expected |= !event.attr.exclude_guest;
      ++sharing;
    }
    EXPECT_EQ(host_.perf->records_for_host(static_cast<HostCpu>(cpu)), expected);
    if (sharing > 1) ++reached_.shared;
  }

  void check_guest(EventId id, const KnownEvent& event) {
    LbrStack& own = guests_.at(id);
    const LbrState shown = host_.perf->lbr_state(id);
    const bool active = event.state == EventState::kActive;
    EXPECT_EQ(host_.perf->read_lbr(id, record_msr(lbr().from, 0)).has_value(), active);
    if (active) ++reached_.guests_active;
    if (event.state == EventState::kError) ++reached_.guests_lost;
    if (event.target.kind == Target::Kind::kHostCpu) {
      // It never has more than since it got the unit or another task came.
      if (!same(shown, own)) {
        EXPECT_TRUE(same(shown, LbrStack{lbr()}));
        EXPECT_TRUE(!active || switches_ || !was_active_.contains(id));
      }
    } else {
      EXPECT_TRUE(same(shown, own) || (own.in_call_stack_mode() && same(shown, cut_off(own))));
      reached_.records_compared += static_cast<unsigned>(recorded(lbr(), shown).size());
    }
    if (active) {
      was_active_.insert(id);
    } else {
      was_active_.erase(id);
    }
    ASSERT_TRUE(own.restore(shown));
  }

  [[nodiscard]] bool same(const LbrState& shown, const LbrStack& own) const {
    LbrState expected = own.save();
    expected.cycle = shown.cycle;
    for (unsigned n = 0; n < LbrModel::kMaxDepth; ++n) {
      expected.records[n].info = shown.records[n].info;
    }
    return shown == expected;
  }
  /// Without what is behind the end of a call stack.
  [[nodiscard]] LbrStack cut_off(const LbrStack& own) const {
    LbrState state = own.save();
    bool ended = false;
    for (unsigned age = 0; age < own.depth(); ++age) {
      const unsigned index = lbr().architectural() ? age : (state.tos - age) & (state.depth - 1u);
      ended |= state.records[index].from == 0;
      if (ended) state.records[index] = {};
    }
    LbrStack cut{lbr()};
    EXPECT_TRUE(cut.restore(state));
    return cut;
  }

  void check_profiler(EventId id, const KnownEvent& event) {
    const bool active = event.state == EventState::kActive;
    const Addresses seen = host_.seen(id);
    EXPECT_TRUE(seen.empty() || (active && !event.attr.exclude_guest));
    reached_.seen += static_cast<unsigned>(seen.size());
    for (const std::uint64_t from : seen) {
      EXPECT_TRUE(visible(id, event).contains(from)) << "recorded for somebody else";
    }
  }

  std::mt19937 random_;
  SmallLbrHost host_;
  LbrReference reference_{kRotation};
  std::map<EventId, LbrStack> guests_;  ///< what a guest alone would have
  std::map<EventId, std::set<std::uint64_t>> visible_;
  std::map<std::uint32_t, std::set<std::uint64_t>> call_stacks_;  ///< by task
  std::set<EventId> was_active_;
  bool switches_ = false;
  std::uint64_t serial_ = 0;
  std::uint64_t now_ = 0;
  Reached reached_;
};

void run(const LbrModel& lbr) {
  Sequence::Reached all;
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    Sequence sequence{seed, lbr};
    sequence.run(1'000);
    if (testing::Test::HasFailure()) return;
    const Sequence::Reached reached = sequence.reached();
    all.guests_active += reached.guests_active;
    all.guests_lost += reached.guests_lost;
    all.shared += reached.shared;
    all.records_compared += reached.records_compared;
    all.seen += reached.seen;
    all.skipped += reached.skipped;
  }
  for (const unsigned count : {all.guests_active, all.guests_lost, all.shared, all.records_compared,
                               all.seen, all.skipped}) {
    EXPECT_GT(count, 0u);
  }
}

TEST(LbrProperty, LegacyUnitsGoToWhomTheOrderSaysAndNobodySeesWhatIsNotHis) {
  run(kFourRecords);
}

TEST(LbrProperty, UnitsWithFlagsInTheAddressesDoToo) {
  LbrModel with_flags = kFourRecords;
  with_flags.format = silicon::x86::LbrFormat::kEipFlags2;
  with_flags.info = MsrIndex{0};
  run(with_flags);
  with_flags.tsx = true;
  run(with_flags);
}

TEST(LbrProperty, ArchitecturalUnitsDoToo) {
  run(kArchitecturalRecords);
}

}  // namespace
}  // namespace vpmu::hostperf
