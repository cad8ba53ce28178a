// SPDX-License-Identifier: MIT
//
// The outer loop: how far the CPU may run, which block is next, and what happens between
// instructions.
#include <algorithm>
#include <atomic>

#include "machine/x86/block_cache.hpp"
#include "machine/x86/branch_log.hpp"
#include "machine/x86/chain.hpp"
#include "machine/x86/cpu.hpp"
#include "machine/x86/decoder.hpp"
#include "machine/x86/flags.hpp"
#include "machine/x86/mmu.hpp"
#include "machine/x86/observer.hpp"
#include "machine/x86/segments.hpp"
#include "vpmu/silicon/branch_predictor.hpp"
#include "vpmu/silicon/derived_totals.hpp"
#include "vpmu/silicon/x86/cycle_model.hpp"

namespace vpmu::machine::x86 {

using silicon::kAllPrivileges;
using silicon::Privilege;
using silicon::RawEvent;

namespace {

constexpr std::size_t index(RawEvent event) {
  return static_cast<std::size_t>(event);
}

/// Never runs: what empty places in Core::jumps point to. Its rip matches no canonical address.
Block& nowhere() {
  static Block block = [] {
    Block b;
    b.rip = 0x8000'0000'0000'0000;
    b.mode.bits = 0xff;
    return b;
  }();
  return block;
}

// What is only known while somebody demands it.
constexpr std::uint64_t kBranchEvents =
    silicon::RetireTotals::events(RawEvent::kMispredictedBranches, RawEvent::kMispredictedBranches);
constexpr std::uint64_t kMemoryEvents =
    silicon::RetireTotals::events(RawEvent::kL1dMisses, RawEvent::kDtlbWalks);
constexpr std::uint64_t kRecords = std::uint64_t{1} << 63;  // branch records: no event
constexpr std::uint64_t kConditionEvents = silicon::RetireTotals::events(
    RawEvent::kCondition0, silicon::condition_event(silicon::kConditionSlots - 1));

constexpr std::uint64_t kMostMisses = silicon::MemoryModel::kMostPerAccess;

/// How much may retire of what each lane of a budget counts, as far as deadlines say.
struct Limits {
  bool due = false;  ///< some deadline is
  std::uint64_t instructions = budget::kLaneMax;
  std::uint64_t cycles = budget::kLaneMax;
  std::uint64_t branches = budget::kLaneMax;
  std::uint64_t memory = budget::kLaneMax;

  /// No further than until `left` of `event` have retired.
  void stop_before(RawEvent event, std::uint64_t left, const Core& core);
};

constexpr std::uint64_t divide_up(std::uint64_t count, std::uint64_t by) {
  return count / by + (count % by != 0 ? 1 : 0);
}

inline void Limits::stop_before(RawEvent event, std::uint64_t left, const Core& core) {
  due = due || left == 0;
  switch (event) {
    case RawEvent::kInstructions: instructions = std::min(instructions, left); break;
    case RawEvent::kCycles:
    case RawEvent::kReferenceCycles: cycles = std::min(cycles, left); break;
    // Of the slots of so many cycles no more than all can be without an instruction.
    case RawEvent::kSlots:
    case RawEvent::kBackendBoundSlots:
      cycles = std::min(cycles, divide_up(left, core.slots_per_cycle));
      break;
    case RawEvent::kBranches:
    case RawEvent::kConditionalBranches:
    case RawEvent::kTakenBranches:
    case RawEvent::kIndirectBranches:
    case RawEvent::kCalls:
    case RawEvent::kReturns:
    case RawEvent::kMispredictedBranches: branches = std::min(branches, left); break;
    case RawEvent::kLoads:
    case RawEvent::kStores:
    case RawEvent::kMemoryAccesses:
    case RawEvent::kReadModifyWrites: memory = std::min(memory, left); break;
    case RawEvent::kL1dMisses:
    case RawEvent::kL1dLoadMisses:
    case RawEvent::kLlcReferences:
    case RawEvent::kLlcMisses:
    case RawEvent::kDtlbMisses:
    case RawEvent::kDtlbLoadWalks:
    case RawEvent::kDtlbStoreWalks:
    case RawEvent::kDtlbWalks:
      if (core.memory_model == nullptr) break;
      memory = std::min(memory, divide_up(left, kMostMisses));
      break;
    // AArch64's, which never happen here.
    case RawEvent::kExceptions:
    case RawEvent::kInterrupts:
    case RawEvent::kExceptionReturns:
    case RawEvent::kSamplePopulation:
    case RawEvent::kSamples:
    case RawEvent::kKeptSamples:
    case RawEvent::kSampleCollisions: break;
    // Conditions on cycles: while they are watched, instructions run one at a time.
    case RawEvent::kCondition0: break;
  }
}

}  // namespace

void hand_over_edges(Core& core) {
  core.branch_log->count();
  for (std::size_t n = 0; n < core.pending_count; ++n) {
    const EdgeRef ref = (*core.pending_edges)[n];
    const Block& block = ref.block();
    auto& totals = core.totals->of(privilege_of(block.mode));
    const std::uint64_t count = ref.edge().count;
    ref.edge().count = 0;
    const auto add = [&](RawEvent event, std::uint64_t more) { totals[index(event)] += more; };
    add(RawEvent::kInstructions, count * block.retires.instructions);
    add(RawEvent::kCycles, count * block.retires.cycles);
    add(RawEvent::kLoads, count * block.retires.loads);
    add(RawEvent::kStores, count * block.retires.stores);
    add(RawEvent::kReadModifyWrites, count * block.retires.modifies);
    if (block.branch == BranchKind::kNone) continue;
    add(RawEvent::kBranches, count);
    if (ref.number() == 1) add(RawEvent::kTakenBranches, count);
    switch (block.branch) {
      case BranchKind::kConditional: add(RawEvent::kConditionalBranches, count); break;
      case BranchKind::kIndirect: add(RawEvent::kIndirectBranches, count); break;
      case BranchKind::kCall: add(RawEvent::kCalls, count); break;
      case BranchKind::kIndirectCall:
        add(RawEvent::kIndirectBranches, count);
        add(RawEvent::kCalls, count);
        break;
      case BranchKind::kReturn: add(RawEvent::kReturns, count); break;
      case BranchKind::kNone:
      case BranchKind::kDirect:
      case BranchKind::kFar: break;
    }
  }
  core.pending_count = 0;
}

const Op* stop_for_budget(Core& core, Block* block) {
  core.rip = block->rip;
  core.stop = Stop::kBudget;
  return nullptr;
}

const Op* leave_slowly(Core& core, unsigned number) {
  Block& from = *core.block;
  count_edge(core, number);
  if (from.edge[number].target != nullptr) return enter(core, from.edge[number].target);
  core.rip = number == 0 ? from.rip + from.byte_length : from.taken_rip;
  if (from.mode.bits & Mode::kCode32) core.rip = static_cast<std::uint32_t>(core.rip);
  if (from.mode.bits & Mode::kCode16) core.rip = static_cast<std::uint16_t>(core.rip);
  core.left_through = EdgeRef{&from, number};
  core.stop = Stop::kLookup;
  return nullptr;
}

const Op* leave_indirect_slowly(Core& core, std::uint64_t rip) {
  count_edge(core, 1);
  Block* next = (*core.jumps)[jump_slot(rip)];
  if (next->rip == rip && next->mode == core.mode) return enter(core, next);
  core.rip = rip;
  core.left_through = EdgeRef{};
  core.stop = Stop::kLookup;
  return nullptr;
}

struct Cpu::Private final : CodeListener {
  Private(Core& core_in, CodePages& pages_in, silicon::Deadlines& deadlines_in,
          silicon::CycleConditions* conditions_in)
      : core{core_in}, pages{pages_in}, deadlines{deadlines_in}, conditions{conditions_in} {
    pages.add_listener(*this);
  }
  ~Private() { pages.remove_listener(*this); }
  Private(const Private&) = delete;
  Private& operator=(const Private&) = delete;

  void on_code_page(std::size_t) override { forget_write_access(core); }
  void on_code_written(std::size_t page) override {
    cache.kill_page(page);
    core.jumps->fill(core.no_block);
  }

  Block* find_block(Mode mode);
  void link_to(Block* next);
  void run_from(Block* block);
  void run_alone();
  void run_blocks();
  [[nodiscard]] bool ends_on_limit(const Block& block) const;
  bool stopped();
  void retire_before(const Op* op);
  bool take_events();
  bool raise_event(EventSource source, const Exception& event);
  bool hit_breakpoint();
  /// Somebody counts conditions on cycles: instructions run one at a time.
  [[nodiscard]] bool watches_cycles() const {
    return core.totals->demanded_among(kConditionEvents) != 0 && conditions != nullptr;
  }
  void pass_cycles();
  void follow_demand();
  Exit stand_still(Exit exit);
  [[nodiscard]] std::uint64_t cycles_so_far() const {
    return core.totals->held(RawEvent::kCycles, kAllPrivileges);
  }
  void note_event(std::uint64_t from, std::uint64_t from_base, Privilege begins_in);
  [[nodiscard]] Limits limits() const;
  void set_budget(const Limits& limits, std::uint64_t instructions, std::uint64_t cycles);
  void enter_real_mode(std::uint16_t selector, std::uint64_t base, std::uint64_t rip);

  Core& core;
  CodePages& pages;
  silicon::Deadlines& deadlines;
  silicon::CycleConditions* conditions;
  BlockCache cache;
  Decoder decoder;
  silicon::BranchPredictor predictor;
  BranchLog branch_log{core};
  std::atomic<bool> exit_requested{false};
  bool branches_held = false;
  bool alone_next = false;  ///< the next instruction must run in a block of its own
  bool shut_down = false;
  bool delivered = false;      ///< an event, since run() last cleared it
  std::uint64_t followed = 0;  ///< what follow_demand() last saw
};

// ---- Finding and linking blocks -----------------------------------------------------------------

/// The block at Core::rip, decoded if need be. Null: it cannot be fetched; Core::exception says
/// why.
Block* Cpu::Private::find_block(Mode mode) {
  const bool alone = (mode.bits & Mode::kAlone) != 0;
  const std::size_t slot = jump_slot(core.rip) ^ (alone ? Core::kJumpEntries / 2 : 0);
  Block*& remembered = (*core.jumps)[slot];
  if (remembered->rip == core.rip && remembered->mode == mode) return remembered;

  const std::uint64_t linear = core.rip + core.code_base;
  std::uint64_t physical = 0;
  if (!translate_fetch(core, linear, physical)) return nullptr;
  Block* block = cache.find({physical, core.rip, core.code_base, mode});
  if (block != nullptr && block->physical2 != 0) {
    // The second page may have moved.
    std::uint64_t second = 0;
    const std::uint64_t next_page = (linear | 0xfff) + 1;
    if (!translate_fetch(core, next_page, second)) return nullptr;
    if (second != block->physical2) {
      cache.kill_page(core.memory->page_index(physical));
      block = nullptr;
    }
  }
  if (block == nullptr) {
    if (cache.full()) {
      hand_over_edges(core);
      branch_log.let_go_of_blocks();
      core.jumps->fill(core.no_block);
      core.cross_page_edges.clear();
      core.left_through = EdgeRef{};
      core.block = nullptr;
      cache.clear();
    }
    block = decoder.decode(core, cache, mode, physical);
    if (block == nullptr) return nullptr;
  }
  (*core.jumps)[slot] = block;
  return block;
}

/// Links the edge that was just left through to the block it led to.
void Cpu::Private::link_to(Block* next) {
  const EdgeRef edge = core.left_through;
  if (!edge) return;
  const Block& from = edge.block();
  if (from.dead || from.mode.bits & Mode::kAlone || next->mode != from.mode) return;
  const bool same_page = (from.rip ^ next->rip) >> 12 == 0 && from.physical2 == 0 &&
                         next->physical2 == 0 && from.cs_base == next->cs_base &&
                         (from.physical ^ next->physical) >> 12 == 0;
  if (!same_page) core.cross_page_edges.push_back(edge);
  link(edge, *next);
}

// ---- Running ------------------------------------------------------------------------------------

/// Runs Ops until something stops them. The budget has been charged for the block.
void Cpu::Private::run_from(Block* block) {
  core.block = block;
  core.in_code = true;
#if VPMU_TAIL_CALLS
  block->ops->run(core, block->ops);
#else
  const Op* op = block->ops;
  while (op != nullptr) op = op->run(core, op);
#endif
  core.in_code = false;
}

void Cpu::Private::run_alone() {
  Mode mode = core.mode;
  mode.bits |= Mode::kAlone;
  Block* block = find_block(mode);
  if (block == nullptr) {
    core.stop = Stop::kException;
    core.stopped_at = nullptr;
    stopped();
    return;
  }
  // Nothing fits behind it.
  core.budget = 0;
  if (branch_log.in_use()) {
    hand_over_edges(core);
    core.cycles_at_end = cycles_so_far() + block->retires.cycles;
  }
  run_from(block);
  stopped();
}

/// True if the block's end is exactly where the CPU has to stop, or not later: everything that it
/// would use up, it uses up with its last instruction.
bool Cpu::Private::ends_on_limit(const Block& block) const {
  constexpr std::uint64_t kOneEach = budget::lanes(1, 1, 1, 1);
  constexpr std::uint64_t kMemoryGuard = std::uint64_t{1} << 63;
  const std::uint64_t exact = core.budget + kOneEach - block.cost;
  // Memory operations can be anywhere in a block.
  const std::uint64_t memory = (core.budget >> 48) - (block.cost >> 48);
  return (exact & budget::kGuards) == 0 && (memory & kMemoryGuard) == 0;
}

void Cpu::Private::run_blocks() {
  Block* block = find_block(core.mode);
  while (block != nullptr) {
    const std::uint64_t left = core.budget - block->cost;
    if ((left & budget::kGuards) == 0) {
      core.budget = left;
    } else if (ends_on_limit(*block)) {
      // Nothing fits behind it.
      core.cycles_at_end -= budget::cycles_of(core.budget) - budget::cycles_of(block->cost);
      core.budget = 0;
    } else {
      run_alone();
      return;
    }
    run_from(block);
    const bool go_on = stopped();
    if (core.stop == Stop::kAlone) {
      // What the block did before this instruction was within the budget: nothing is due here.
      alone_next = false;
      run_alone();
      return;
    }
    // A budget of zero is spent (or as good as): whatever is next, the outer loop decides.
    if (!go_on || core.budget == 0) return;
    block = find_block(core.mode);
    if (block != nullptr) link_to(block);
  }
  core.stop = Stop::kException;
  core.stopped_at = nullptr;
  stopped();
}

/// Deals with Core::stop. True: go on with the block at Core::rip; false: look at the world first.
bool Cpu::Private::stopped() {
  switch (core.stop) {
    case Stop::kLookup: return true;
    case Stop::kBudget:
    case Stop::kDone:
    case Stop::kNone: return false;
    case Stop::kAlone:
      retire_before(core.stopped_at);
      alone_next = true;
      return false;
    case Stop::kAgain: retire_before(core.stopped_at); return false;
    case Stop::kException: {
      const Exception exception = core.exception;
      if (core.stopped_at != nullptr) retire_before(core.stopped_at);
      if (!raise_event(EventSource::kException, exception)) shut_down = true;
      return false;
    }
  }
  return false;
}

/// Retires what the running block did before `op`, and points Core::rip at `op`.
void Cpu::Private::retire_before(const Op* op) {
  const Block& block = *core.block;
  const auto count = static_cast<std::size_t>(op - block.ops);
  auto& totals = core.totals->of(privilege_of(block.mode));
  for (std::size_t n = 0; n < count; ++n) {
    const OpRecord& record = block.records[n];
    totals[index(RawEvent::kInstructions)] += record.instructions;
    totals[index(RawEvent::kCycles)] += record.cycles;
    totals[index(RawEvent::kLoads)] += record.loads;
    totals[index(RawEvent::kStores)] += record.stores;
    totals[index(RawEvent::kReadModifyWrites)] += record.modifies;
  }
  // Instructions that the stopped Op stands for beside its own: they have no operands to fault on.
  const OpRecord& record = block.records[count];
  totals[index(RawEvent::kInstructions)] += record.lead;
  totals[index(RawEvent::kCycles)] += record.lead;
  core.rip = block.rip + record.offset;
}

// ---- Between instructions -----------------------------------------------------------------------

bool Cpu::Private::raise_event(EventSource source, const Exception& event) {
  delivered = true;
  // Of an instruction that was interrupted in the middle, what it did before that.
  if (watches_cycles()) pass_cycles();
  const std::uint64_t from = core.rip, from_base = core.code_base;
  const Privilege begins_in = privilege_of(core.mode);
  const bool alive = deliver(core, source, event);
  core.totals->add(RawEvent::kCycles, Privilege::kKernel, silicon::x86::kDeliveryCycles);
  if (watches_cycles()) conditions->passed(Privilege::kKernel);
  if (branch_log.unit() != nullptr) note_event(from, from_base, begins_in);
  return alive;
}

/// An interrupt or exception was delivered: a branch to its handler.
void Cpu::Private::note_event(std::uint64_t from, std::uint64_t from_base, Privilege begins_in) {
  hand_over_edges(core);
  branch_log.add({.branch = {.kind = silicon::PredictedKind::kFar,
                             .taken = true,
                             .from = from,
                             .next = from,
                             .to = core.rip},
                  .cycle = cycles_so_far(),
                  .code_base = from_base,
                  .begins_in = begins_in,
                  .ends_in = privilege_of(core.mode)});
}

/// Leaves run() for a time without cycles.
Cpu::Exit Cpu::Private::stand_still(Exit exit) {
  if (conditions != nullptr) conditions->halted();
  return exit;
}

/// The cycles of what ran last.
void Cpu::Private::pass_cycles() {
  if (core.block != nullptr) conditions->passed(privilege_of(core.block->mode));
}

/// Takes what is pending at this boundary. False: a triple fault.
bool Cpu::Private::take_events() {
  if (core.debug_trap) {
    core.debug_trap = false;
    if (!raise_event(EventSource::kException, {kDebug, false, 0, 0})) return false;
  }
  if (core.interrupt_shadow) return true;
  if (core.nmi_pending && !core.nmi_blocked) {
    core.nmi_pending = false;
    core.halted = false;
    core.environment->nmi_taken();
    if (!raise_event(EventSource::kNonMaskable, {kNmi, false, 0, 0})) return false;
  }
  if ((core.rflags & kIf) && core.environment->interrupt_waiting()) {
    core.halted = false;
    const std::uint8_t vector = core.environment->acknowledge_interrupt();
    if (!raise_event(EventSource::kExternal, {vector, false, 0, 0})) return false;
  }
  return true;
}

/// An enabled instruction breakpoint at Core::rip: raises #DB. With RF it is passed over once.
bool Cpu::Private::hit_breakpoint() {
  if (core.rflags & kRf) return false;
  std::uint64_t hits = 0;
  for (unsigned n = 0; n < 4; ++n) {
    const bool enabled = (core.dr7 >> 2 * n & 3) != 0;
    const bool executes = (core.dr7 >> (16 + 4 * n) & 3) == 0;
    if (enabled && executes && core.dr[n] == core.rip + core.code_base) hits |= 1U << n;
  }
  if (hits == 0) return false;
  core.dr6 |= hits;
  // Pushed with RF, so that the handler's IRET gets past it.
  core.rflags |= kRf;
  if (!raise_event(EventSource::kException, {kDebug, false, 0, 0})) shut_down = true;
  return true;
}

/// What costs something to know is known while somebody asks.
void Cpu::Private::follow_demand() {
  std::uint64_t demanded = core.totals->demanded_among(kBranchEvents | kMemoryEvents);
  if (branch_log.unit() != nullptr) demanded |= kRecords;
  if (demanded == followed) return;
  followed = demanded;
  branch_log.count_mispredictions((demanded & kBranchEvents) != 0);
  core.mode.bits = static_cast<std::uint8_t>(
      branch_log.in_use() ? core.mode.bits | Mode::kObserved : core.mode.bits & ~Mode::kObserved);
  core.modelled = core.memory_model != nullptr && (demanded & kMemoryEvents) != 0;
  update_mode(core);
}

/// Expects the totals to be handed over and derived.
Limits Cpu::Private::limits() const {
  Limits limits;
  // Most deadlines are farther than any lane reaches, and of these that is all there is to know.
  const std::uint64_t reach =
      budget::kLaneMax * std::max<std::uint64_t>(core.slots_per_cycle, kMostMisses);
  deadlines.for_each_left(privilege_of(core.mode), [&](RawEvent event, std::uint64_t left) {
    if (left < reach) limits.stop_before(event, left, core);
  });
  return limits;
}

void Cpu::Private::set_budget(const Limits& limits, std::uint64_t instructions,
                              std::uint64_t cycles) {
  // Each lane holds one less than may retire: a block that would use up a lane is not entered like
  // any other, so that the CPU stops behind it (run_blocks()).
  // What is due already (armed while deadlines fired) is looked at behind the next instruction.
  const auto lane = [](std::uint64_t left) {
    return std::clamp(left, std::uint64_t{1}, budget::kLaneMax) - 1;
  };
  core.budget = budget::lanes(
      lane(std::min(limits.instructions, instructions)), lane(std::min(limits.cycles, cycles)),
      lane(std::min<std::uint64_t>(limits.branches, branch_log.room())), lane(limits.memory));
  core.cycles_at_end = cycles_so_far() + budget::cycles_of(core.budget);
}

Cpu::Exit Cpu::run(std::uint64_t instructions, std::uint64_t until) {
  Private& p = *private_;
  Core& core = core_;
  hand_over_edges(core);
  const std::uint64_t start = core.totals->held(RawEvent::kInstructions, kAllPrivileges);
  for (;;) {
    hand_over_edges(core);
    if (p.watches_cycles()) p.pass_cycles();
    // Nothing retires between here and set_budget(): what is delivered first comes by here again.
    p.branch_log.make_room();
    Limits limits;
    if (p.deadlines.any()) {
      silicon::derive_totals(*core.totals, core.slots_per_cycle);
      limits = p.limits();
      if (limits.due) {
        p.deadlines.fire_due();
        core.environment->before_entry();
        limits = p.limits();
      }
    }
    if (p.exit_requested.load(std::memory_order_relaxed)) {
      p.exit_requested.store(false, std::memory_order_relaxed);
      return Exit::kRequested;
    }
    if (p.shut_down) return Exit::kShutdown;
    if (core.waiting_for_sipi) return p.stand_still(Exit::kWaiting);
    const std::uint64_t done = core.totals->held(RawEvent::kInstructions, kAllPrivileges) - start;
    const std::uint64_t now = core.environment->now();
    if (done >= instructions || now >= until) return Exit::kBudget;
    p.delivered = false;
    if (!p.take_events()) {
      p.shut_down = true;
      return Exit::kShutdown;
    }
    // Delivery takes cycles: something may be due before the handler's first instruction.
    if (p.delivered) continue;
    if (core.halted) return p.stand_still(Exit::kHalted);

    p.follow_demand();

    const bool trace = (core.rflags & kTf) != 0;
    const bool breakpoints = (core.dr7 & kDr7Enabled) != 0;
    if (breakpoints && p.hit_breakpoint()) continue;
    if (trace || breakpoints || core.interrupt_shadow || p.alone_next) {
      core.interrupt_shadow = false;
      p.alone_next = false;
      core.rflags &= ~kRf;
      core.stack_switch_shadow = false;
      p.run_alone();
      const bool retired = core.stop != Stop::kException && core.stop != Stop::kAlone;
      // INT n and the like clear TF and take no trap.
      const bool stepped = retired && (core.rflags & kTf || core.block->branch != BranchKind::kFar);
      if (core.data_breakpoints != 0 && retired) {
        core.dr6 |= core.data_breakpoints;
        core.debug_trap = true;
      }
      core.data_breakpoints = 0;
      if (trace && stepped && !core.stack_switch_shadow) {
        core.dr6 |= 1 << 14;
        core.debug_trap = true;
      }
      continue;
    }
    if (p.watches_cycles()) {
      p.run_alone();
      continue;
    }
    p.set_budget(limits, instructions - done, until - now);
    p.run_blocks();
  }
}

void observe_far_branch(Core& core, std::uint64_t to, bool aborted) {
  const Block& block = *core.block;
  core.branch_log->add({.branch = {.kind = silicon::PredictedKind::kFar,
                                   .taken = true,
                                   .from = block.rip + block.branch_offset,
                                   .next = block.rip + block.byte_length,
                                   .to = to},
                        .cycle = core.cycles_at_end - budget::cycles_of(core.budget),
                        .code_base = block.cs_base,
                        .begins_in = privilege_of(block.mode),
                        .ends_in = core.cpl == 0 ? Privilege::kKernel : Privilege::kUser,
                        .aborted = aborted});
}

// ---- The public face ----------------------------------------------------------------------------

Cpu::Cpu(GuestMemory& memory, Environment& environment, CodePages& code_pages,
         silicon::RetireTotals& totals, silicon::Deadlines& deadlines,
         const ModelledSilicon& modelled) {
  core_.identity = modelled.identity;
  core_.memory = &memory;
  core_.environment = &environment;
  core_.code_pages = &code_pages;
  core_.totals = &totals;
  core_.slots_per_cycle = modelled.slots_per_cycle;
  core_.memory_model = modelled.memory;
  core_.banks = std::make_unique<std::array<TlbBank, kBankCount>>();
  core_.pending_edges = std::make_unique<std::array<EdgeRef, Core::kPendingEdges>>();
  core_.jumps = std::make_unique<std::array<Block*, Core::kJumpEntries>>();
  core_.no_block = &nowhere();
  core_.jumps->fill(core_.no_block);
  private_ = std::make_unique<Private>(core_, code_pages, deadlines, modelled.conditions);
  core_.predictor = &private_->predictor;
  totals.set_source(this);
  reset();
}

Cpu::~Cpu() {
  core_.totals->set_source(nullptr);
}

void Cpu::hand_over() {
  hand_over_edges(core_);
  silicon::derive_totals(*core_.totals, core_.slots_per_cycle);
}

void Cpu::record_branches(silicon::x86::LbrStack* unit) {
  silicon::x86::LbrStack* before = private_->branch_log.unit();
  // Another vCPU may have been its source meanwhile.
  if (unit == before && (unit == nullptr || unit->source() == this)) return;
  private_->branch_log.set_unit(unit);
  // It may have another source by now.
  if (before != nullptr && before->source() == this) before->set_source(nullptr);
  if (unit != nullptr) unit->set_source(this);
}

BranchLog::State Cpu::save_branches() {
  return private_->branch_log.save();
}

Result<void> Cpu::restore_branches(const BranchLog::State& state) {
  return private_->branch_log.restore(state);
}

void Cpu::hold_branches(bool hold) {
  private_->branches_held = hold;
}

void Cpu::hand_over_branches() {
  if (!private_->branches_held) private_->branch_log.hand_over();
}

void Cpu::Private::enter_real_mode(std::uint16_t selector, std::uint64_t base, std::uint64_t rip) {
  for (Segment& segment : core.segment) segment = real_mode_segment(0);
  core.segment[kCs] = real_mode_segment(selector);
  core.segment[kCs].base = base;
  core.segment[kCs].type = 11;
  core.rip = rip;
}

void Cpu::reset() {
  Core& core = core_;
  core.tsc_offset = core.tsc_adjust = 0;
  core.xmm = {};
  core.mxcsr = 0x1f80;
  core.x87 = X87{};
  core.xcr0 = 1;
  core.star = core.lstar = core.cstar = core.sfmask = core.kernel_gs_base = 0;
  core.sysenter_cs = core.sysenter_esp = core.sysenter_eip = 0;
  core.tsc_aux = 0;
  core.efer = 0;
  init();
  core.cr0 = kCr0Et | kCr0Cd | kCr0Nw;
  core.waiting_for_sipi = false;
}

void Cpu::init() {
  Core& core = core_;
  core.gpr = {};
  core.gpr[kRdx] = core.identity.signature;
  core.rflags = 2;
  set_arithmetic_flags(core, 0);
  // CD and NW survive INIT.
  core.cr0 = kCr0Et | (core.cr0 & (kCr0Cd | kCr0Nw));
  core.cr2 = core.cr3 = core.cr4 = 0;
  core.efer = 0;
  core.dr = {};
  core.dr6 = 0xffff0ff0;
  core.dr7 = 0x400;
  core.cpl = 0;
  core.gdtr = core.idtr = {0, 0xffff};
  core.ldtr = real_mode_segment(0);
  core.ldtr.system = true;
  core.ldtr.type = 2;
  core.tr = core.ldtr;
  core.tr.type = 11;
  core.halted = core.nmi_pending = core.nmi_blocked = false;
  core.interrupt_shadow = core.debug_trap = false;
  core.data_breakpoints = 0;
  private_->shut_down = false;
  private_->enter_real_mode(0xf000, 0xffff0000, 0xfff0);
  core.waiting_for_sipi = true;
  state_changed();
}

void Cpu::sipi(std::uint8_t vector) {
  if (!core_.waiting_for_sipi) return;
  core_.waiting_for_sipi = false;
  private_->enter_real_mode(static_cast<std::uint16_t>(vector << 8),
                            static_cast<std::uint64_t>(vector) << 12, 0);
  state_changed();
}

void Cpu::raise_nmi() {
  core_.nmi_pending = true;
}

void Cpu::request_exit() {
  private_->exit_requested.store(true, std::memory_order_relaxed);
}

bool Cpu::runnable() {
  if (core_.waiting_for_sipi || private_->shut_down) return false;
  if (!core_.halted) return true;
  if (core_.nmi_pending && !core_.nmi_blocked) return true;
  return (core_.rflags & kIf) != 0 && core_.environment->interrupt_waiting();
}

namespace {
std::uint64_t linear_address(std::uint64_t rip, std::uint64_t base, Mode mode) {
  const bool legacy = (mode.bits & (Mode::kCode16 | Mode::kCode32)) != 0;
  return legacy ? static_cast<std::uint32_t>(base + rip) : base + rip;
}
}  // namespace

CodePlace Cpu::place() const noexcept {
  const Block* const block = core_.in_code ? core_.block : nullptr;
  if (block == nullptr)
    return {linear_address(core_.rip, core_.code_base, core_.mode), core_.cpl != 0};
  return {linear_address(block->rip, block->cs_base, block->mode),
          privilege_of(block->mode) == Privilege::kUser};
}

Cpu::Retired Cpu::last_retired() const {
  if (private_->delivered || core_.block == nullptr) {
    return {.place = place(), .code64 = core_.code64()};
  }
  // What stops in the middle of a block (a string instruction that goes on) is its last one.
  const Block& block = *core_.block;
  return {.place = {linear_address(block.rip + block.branch_offset, block.cs_base, block.mode),
                    privilege_of(block.mode) == Privilege::kUser},
          .code64 = (block.mode.bits & (Mode::kCode16 | Mode::kCode32)) == 0,
          .calls = block.branch == BranchKind::kCall || block.branch == BranchKind::kIndirectCall,
          .returns = block.branch == BranchKind::kReturn};
}

std::uint64_t Cpu::cycles() {
  hand_over_edges(core_);
  return core_.totals->held(RawEvent::kCycles, kAllPrivileges);
}

void Cpu::state_changed() {
  hand_over_edges(core_);
  core_.block = nullptr;
  core_.gpr[kZeroRegister] = 0;
  flush_tlb(core_);
  update_mode(core_);
}

CpuState Cpu::save() const {
  CpuState state = save_core(core_);
  state.shut_down = private_->shut_down;
  state.predictor = private_->predictor.save();
  return state;
}

Result<void> Cpu::restore(const CpuState& state) {
  silicon::BranchPredictor predictor;
  if (auto restored = predictor.restore(state.predictor); !restored) return restored;
  if (auto restored = restore_core(core_, state); !restored) return restored;
  private_->predictor = predictor;
  private_->shut_down = state.shut_down;
  private_->alone_next = false;
  private_->exit_requested = false;
  state_changed();
  return {};
}

const std::uint8_t* Cpu::peek_page(std::uint64_t linear) const {
  constexpr std::uint64_t kOffset = 0xfff;
  std::uint64_t physical = 0;
  if (!look_up(core_, linear & ~kOffset, physical)) return nullptr;
  return core_.memory->host(physical, kOffset + 1);
}

bool Cpu::peek(std::uint64_t linear, void* to, std::size_t bytes) const {
  auto* out = static_cast<std::uint8_t*>(to);
  while (bytes != 0) {
    const std::size_t piece = std::min<std::size_t>(bytes, 4096 - (linear & 0xfff));
    const std::uint8_t* page = peek_page(linear);
    if (page == nullptr) return false;
    std::memcpy(out, page + (linear & 0xfff), piece);
    linear += piece;
    out += piece;
    bytes -= piece;
  }
  return true;
}

}  // namespace vpmu::machine::x86
