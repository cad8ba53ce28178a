// SPDX-License-Identifier: MIT
//
// How stretches of code are run, and what they count. Within the given limits, code runs as fast as
// what is counted lets it; towards a limit one block at a time, and the last instructions one by
// one.
#include <algorithm>
#include <cstring>

#include "machine/arm64/breakpoints.hpp"
#include "machine/arm64/cpu_private.hpp"

namespace vpmu::machine::arm64 {

namespace {

/// The longest stretch of linked blocks, which only stop at its end: how soon request_exit() is
/// seen, at the worst.
constexpr std::uint64_t kStretch = std::uint64_t{1} << 20;

// What is counted by block or by instruction, and only while somebody demands it.
constexpr std::uint64_t kBlockEvents =
    silicon::RetireTotals::events(RawEvent::kBranches, RawEvent::kMemoryAccesses);
constexpr std::uint64_t kPredictorEvents =
    silicon::RetireTotals::events(RawEvent::kMispredictedBranches, RawEvent::kMispredictedBranches);
constexpr std::uint64_t kModelEvents =
    silicon::RetireTotals::events(RawEvent::kL1dMisses, RawEvent::kDtlbWalks);

silicon::PredictedKind predicted(BranchKind kind) {
  using Kind = silicon::PredictedKind;
  switch (kind) {
    case BranchKind::kConditional: return Kind::kConditional;
    case BranchKind::kIndirect: return Kind::kIndirect;
    case BranchKind::kCall: return Kind::kCall;
    case BranchKind::kIndirectCall: return Kind::kIndirectCall;
    case BranchKind::kReturn: return Kind::kReturn;
    case BranchKind::kNone:
    case BranchKind::kDirect: break;
  }
  return Kind::kDirect;
}

bool calls(BranchKind kind) {
  return kind == BranchKind::kCall || kind == BranchKind::kIndirectCall;
}
bool is_indirect(BranchKind kind) {
  return kind == BranchKind::kIndirect || kind == BranchKind::kIndirectCall;
}

/// CLREX, whatever its immediate.
bool is_clear_exclusive(std::uint32_t word) {
  return (word & 0xffff'f0ff) == 0xd503'305f;
}
bool is_hint(std::uint32_t word) {
  return (word & 0xffff'f01f) == 0xd503'201f;
}

}  // namespace

// ---- Limits -------------------------------------------------------------------------------------

bool Limits::admits(const BlockProfile& block) const {
  // Of a block's accesses, the one that reaches a limit may be anywhere; its branch is the last.
  const unsigned accesses = block.loads + block.stores;
  return block.instructions <= instructions && (accesses == 0 || accesses < memory);
}

bool Limits::admits_any_block() const {
  return CodeMap::kLongestBlock <= instructions && CodeMap::kLongestBlock < memory;
}

void Limits::take(std::uint64_t retired, unsigned branch, unsigned accesses) {
  instructions -= std::min(retired, instructions);
  branches -= std::min<std::uint64_t>(branch, branches);
  memory -= std::min<std::uint64_t>(accesses, memory);
}

// ---- Counting -----------------------------------------------------------------------------------

void Cpu::Private::retire(std::uint64_t instructions, Mode how) {
  if (instructions == 0) return;
  add(RawEvent::kInstructions, instructions);
  add(RawEvent::kCycles, instructions);
  ran_in[static_cast<std::size_t>(how)] += instructions;
  delivered = false;
}

std::uint32_t Cpu::Private::word_at(std::uint64_t address) {
  const CodePage* page = jit().map().find(address);
  return page != nullptr ? page->word(address) : kUndefinedWord;
}

void Cpu::Private::remember(std::uint64_t address, BranchKind kind) {
  last = {.place = {address, level == ExceptionLevel::kEl0},
          .calls = calls(kind),
          .returns = kind == BranchKind::kReturn};
}

BlockProfile Cpu::Private::part(std::uint64_t begin, std::uint64_t instructions) {
  BlockProfile piece;
  for (std::uint64_t n = 0; n < instructions; ++n) {
    piece.add(word_at(begin + n * kInstructionBytes));
  }
  return piece;
}

void Cpu::Private::count_branch(BranchKind kind, std::uint64_t from) {
  const std::uint64_t next = from + kInstructionBytes, to = registers.pc();
  const bool taken = kind != BranchKind::kConditional || to != next;
  add(RawEvent::kBranches, 1);
  if (taken) add(RawEvent::kTakenBranches, 1);
  if (kind == BranchKind::kConditional) add(RawEvent::kConditionalBranches, 1);
  if (is_indirect(kind)) add(RawEvent::kIndirectBranches, 1);
  if (calls(kind)) add(RawEvent::kCalls, 1);
  if (kind == BranchKind::kReturn) add(RawEvent::kReturns, 1);
  if (predicts &&
      predictor.predict_and_train(
          {.kind = predicted(kind), .taken = taken, .from = from, .next = next, .to = to})) {
    add(RawEvent::kMispredictedBranches, 1);
  }
}

void Cpu::Private::count(const BlockProfile& piece, std::uint64_t begin) {
  if (!counts_all) return;
  add(RawEvent::kLoads, piece.loads);
  add(RawEvent::kStores, piece.stores);
  if (piece.branch == BranchKind::kNone) return;
  count_branch(piece.branch, begin + (piece.instructions - 1U) * kInstructionBytes);
}

// ---- Running ------------------------------------------------------------------------------------

void Cpu::Private::choose_mode() {
  predicts = totals.demanded_among(kPredictorEvents) != 0;
  models = memory_model != nullptr && totals.demanded_among(kModelEvents) != 0;
  counts_all = totals.demanded_among(kBlockEvents | kPredictorEvents) != 0;
  mode = fastest;
  if (counts_all && mode == Mode::kFast) mode = Mode::kBlocks;
  if (models || misaligned()) mode = Mode::kSteps;
  accesses.model(models);
  accesses.watch(debug_enabled() && watchpoints_armed(core));
  jit().use(accesses.tlb());
}

void Cpu::Private::settle_pc() {
  constexpr unsigned kDropped = 8;
  const std::uint64_t pc = registers.pc();
  const auto kept =
      static_cast<std::uint64_t>(static_cast<std::int64_t>(pc << kDropped) >> kDropped);
  if (kept != pc && accesses.fetch(kept)) registers.set_pc(kept);
}

void Cpu::Private::execute(Limits limits) {
  if (mode != Mode::kFast || near_absent()) use_exact(false);
  if (near_absent()) {
    if (mode == Mode::kSteps) {
      run_step(limits);
    } else {
      run_block(limits);
    }
    return;
  }
  bool goes_on = true;
  while (goes_on && limits.instructions != 0 && limits.branches != 0 && limits.memory != 0 &&
         !exit_requested.load(std::memory_order_relaxed)) {
    settle_pc();
    switch (mode) {
      case Mode::kFast: goes_on = run_fast(limits); break;
      case Mode::kBlocks: goes_on = run_block(limits); break;
      case Mode::kSteps: goes_on = run_step(limits); break;
    }
  }
}

/// With software step or breakpoints: one instruction, or the exception that stands for it. False:
/// they are not in use at this level.
bool Cpu::Private::run_debugged() {
  const StepState step = step_state(core);
  const bool breaks = breakpoints_armed(core);
  if (step == StepState::kInactive && !breaks) return false;
  settle_pc();
  const std::uint64_t pc = registers.pc();
  if (step == StepState::kPending) {
    take_exception(exceptions::software_step(core, pc));
    return true;
  }
  if (breaks && breakpoint_at(core, pc)) {
    take_exception(exceptions::breakpoint(pc));
    return true;
  }
  const bool exclusive = loads_exclusive(next_word());
  const std::uint64_t before = held(RawEvent::kExceptions);
  Limits one;
  run_step(one);
  const bool raised = held(RawEvent::kExceptions) != before;
  if (step == StepState::kNotPending && !raised) stepped(core, exclusive);
  return true;
}

/// True: go on. False: the outer loop has to look at something.
bool Cpu::Private::run_fast(Limits& limits) {
  if (const std::uint64_t near = near_sample(limits); near != 0) return run_exactly(limits, near);
  use_exact(false);
  if (limits.instructions <= CodeMap::kLongestBlock) return run_block(limits);
  if (inside_block()) return run_step(limits);
  const std::uint64_t ticks = std::min(limits.instructions - CodeMap::kLongestBlock, kStretch);
  const Jit::Ran ran = jit().run(ticks);
  retire(ran.retired, Mode::kFast);
  limits.take(ran.retired, 0, 0);
  branched = false;
  return stopped(ran);
}

std::uint64_t Cpu::Private::near_sample(const Limits& limits) {
  const bool ahead = limits.instructions <= CodeMap::kLongestBlock;
  if (exact_fails) return 0;
  const bool pays = samples_taken[at(level)] >= exact_behind_samples;
  if (ahead) return limits.sample && pays ? limits.instructions : 0;
  return exact ? main_jit().map().rest_of_block(registers.pc()) : 0;
}

/// Stopping in compiled code that is made for it costs less than running single instructions.
/// Nobody asks for the last one of these: another is run behind them. What it does not run is left
/// to the main Jit.
bool Cpu::Private::run_exactly(Limits& limits, std::uint64_t instructions) {
  use_exact(true);
  const Jit::Ran ran = jit().run(instructions);
  retire(ran.retired, Mode::kFast);
  limits.take(ran.retired, 0, 0);
  branched = false;
  if (ran.stop == Jit::Stop::kCaught) {
    exact_fails = true;
    return true;
  }
  const bool goes_on = stopped(ran);
  if (!goes_on || !limits.sample || limits.instructions != 0) return goes_on;
  // Nothing has happened that could have changed what is next.
  run_sampled();
  return false;
}

/// Code goes on where it was left in a block: the rest of it is run by single instructions, so that
/// no block begins wherever a turn has ever ended. Where a branch leads is where one is to begin.
bool Cpu::Private::inside_block() {
  return !branched && jit().map().instructions_before(registers.pc()) != 0;
}

bool Cpu::Private::run_block(Limits& limits) {
  const std::uint64_t begin = jit().pc();
  const BlockProfile* known = jit().map().profile(begin);
  const bool runs = known != nullptr ? limits.admits(*known) && !known->only_returns()
                                     : limits.admits_any_block() && !inside_block() &&
                                           branch_kind(next_word()) != BranchKind::kReturn;
  if (!runs) return run_step(limits);
  const Jit::Ran ran = jit().run(1);
  retire(ran.retired, mode);
  if (ran.retired != 0) {
    const BlockProfile* profile = jit().map().profile(begin);
    const bool whole = ran.stop == Jit::Stop::kTicks && profile != nullptr;
    const BlockProfile piece = whole ? *profile : part(begin, ran.retired);
    const std::uint64_t end = begin + (ran.retired - 1) * kInstructionBytes;
    remember(end, piece.branch);
    count(piece, begin);
    branched = piece.branch != BranchKind::kNone;
    limits.take(ran.retired, piece.branch != BranchKind::kNone ? 1 : 0, piece.loads + piece.stores);
  }
  return stopped(ran);
}

/// The word at the program counter, compiled or not; zero if it cannot be fetched.
std::uint32_t Cpu::Private::next_word() {
  const std::uint64_t pc = registers.pc();
  if (const CodePage* page = jit().map().find(pc)) return page->word(pc);
  const auto mapping = pc % kInstructionBytes == 0 ? accesses.fetch(pc) : std::nullopt;
  std::uint32_t word = kUndefinedWord;
  if (mapping) std::memcpy(&word, mapping->host + (pc & kPageMask), sizeof word);
  return word;
}

bool Cpu::Private::run_step(Limits& limits) {
  const std::uint64_t begin = registers.pc();
  // It may overwrite itself.
  const std::uint32_t word = next_word();
  if (exact && uses_fp(word)) use_exact(false);
  const bool was_misaligned = misaligned();
  if (was_misaligned && accesses_stack(word) && jit().runs(word)) {
    take_exception(exceptions::sp_alignment(begin));
    return false;
  }
  if (stores_exclusive(word) && jit().runs(word)) {
    const unsigned base = exclusive_base(word);
    const std::uint64_t address = base == 31 ? registers.sp() : registers.x(base);
    if (address % exclusive_bytes(word) != 0) {
      take_exception(exceptions::abort(begin, alignment_fault(address, MemoryUse::kWrite)));
      return false;
    }
  }
  const Jit::Ran ran = jit().step();
  if (ran.retired == 0) return stopped(ran);
  retire(1, mode);
  accesses.retired();
  BlockProfile piece;
  piece.add(word);
  remember(begin, piece.branch);
  count(piece, begin);
  branched = piece.branch != BranchKind::kNone;
  limits.take(1, piece.branch != BranchKind::kNone ? 1 : 0, piece.loads + piece.stores);
  const bool device = accesses.take_device_access();
  return !device && was_misaligned == misaligned();
}

/// Deals with what compiled code has stopped at. True: go on.
bool Cpu::Private::stopped(const Jit::Ran& ran) {
  const std::uint64_t pc = registers.pc();
  switch (ran.stop) {
    case Jit::Stop::kTicks: return true;
    case Jit::Stop::kCaught: emulate_next(); return false;
    case Jit::Stop::kFetch:
      take_exception(pc % kInstructionBytes != 0 ? exceptions::pc_alignment(pc)
                                                 : exceptions::abort(pc, *accesses.fault()));
      return false;
    case Jit::Stop::kAccess:
      accesses.not_retired();
      if (accesses.fault()) {
        take_exception(exceptions::abort(pc, *accesses.fault()));
      } else {
        Limits alone;
        run_step(alone);
      }
      return false;
  }
  return false;
}

// ---- What is not compiled -----------------------------------------------------------------------

void Cpu::Private::emulate_next() {
  const std::uint64_t pc = registers.pc();
  const std::uint32_t word = word_at(pc);
  if (hint(word)) return;
  const bool runs_alone =
      branch_kind(word) == BranchKind::kReturn ||
      ((may_misalign_stack(word) || stores_exclusive(word)) && jit().runs(word));
  if (runs_alone) {
    Limits alone;
    run_step(alone);
    return;
  }
  const Privilege before = privilege();
  const Emulated done = emulate(parts, word);
  if (done.retired) {
    retire(1, mode);
    accesses.retired();
    remember(pc, branch_kind(word));
    if (counts_all) {
      if (done.loaded) totals.add(RawEvent::kLoads, before, 1);
      if (done.stored) totals.add(RawEvent::kStores, before, 1);
      if (done.exception_return) {
        totals.add(RawEvent::kBranches, before, 1);
        totals.add(RawEvent::kTakenBranches, before, 1);
      }
    }
    if (done.exception_return) totals.add(RawEvent::kExceptionReturns, before, 1);
  } else {
    accesses.not_retired();
  }
  if (done.exception) note_exception();
  follow_core();
}

/// The instruction is done.
void Cpu::Private::retire_hint(std::uint32_t word) {
  const std::uint64_t pc = registers.pc();
  registers.set_pc(pc + kInstructionBytes);
  retire(1, mode);
  remember(pc, branch_kind(word));
}

void Cpu::Private::wait(exceptions::Wfx wfx) {
  const bool for_event = wfx == exceptions::Wfx::kWfe;
  sleep = for_event ? Sleep::kEvent : Sleep::kInterrupt;
  watched = {};
  const bool would_wait = !wakes();
  if (would_wait && wait_trapped(core, wfx)) {
    sleep = Sleep::kAwake;
    take_exception(exceptions::trapped_wait(registers.pc(), wfx));
    return;
  }
  if (const ExclusiveState exclusive = jit().exclusive(); for_event && exclusive.held) {
    if (const auto physical = mmu.look_up(exclusive.address)) {
      watched.physical = *physical & ~std::uint64_t{15};
      const std::uint8_t* host = memory.host(watched.physical, sizeof watched.held);
      watched.watching = host != nullptr;
      if (host != nullptr) std::memcpy(watched.held.data(), host, sizeof watched.held);
    }
  }
  retire_hint(kNopWord);
}

/// Hints that do something, and CLREX. False: it is something else.
bool Cpu::Private::hint(std::uint32_t word) {
  enum : std::uint32_t { kWfe = 2, kWfi = 3, kSev = 4, kSevl = 5 };
  if (is_clear_exclusive(word)) {
    registers.clear_exclusive();
    retire_hint(word);
    return true;
  }
  if (!is_hint(word)) return false;
  switch (word >> 5 & 0x7f) {
    case kWfe: wait(exceptions::Wfx::kWfe); return true;
    case kWfi: wait(exceptions::Wfx::kWfi); return true;
    case kSev: environment.send_event(); break;
    case kSevl: event_register = true; break;
    default: break;
  }
  retire_hint(word);
  return true;
}

}  // namespace vpmu::machine::arm64
