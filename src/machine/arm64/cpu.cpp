// SPDX-License-Identifier: MIT
//
// The outer loop: how far the CPU may run, what happens between instructions, and what caches
// follow. How code is run is cpu_execution.cpp.
#include "machine/arm64/cpu.hpp"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <utility>

#include "machine/arm64/cpu_private.hpp"
#include "vpmu/silicon/derived_totals.hpp"

namespace vpmu::machine::arm64 {

namespace {

constexpr std::uint64_t divide_up(std::uint64_t count, std::uint64_t by) {
  return count / by + (count % by != 0 ? 1 : 0);
}

Identity identity_of(const CpuSetup& setup) {
  Identity identity;
  identity.midr = setup.model->midr;
  identity.index = static_cast<std::uint8_t>(setup.index);
  // The last level is the package's, which is none of the levels that CLIDR_EL1 tells.
  const silicon::MemoryHierarchy& caches = setup.model->memory;
  identity.l1 = {caches.l1d.sets, caches.l1d.ways};
  identity.l2 = {caches.l2.sets, caches.l2.ways};
  return identity;
}

}  // namespace

// ---- How far ------------------------------------------------------------------------------------

void Limits::stop_before(RawEvent event, std::uint64_t left, unsigned slots_per_cycle) {
  due = due || left == 0;
  switch (event) {
    case RawEvent::kInstructions:
    case RawEvent::kCycles:  // one for each instruction
    case RawEvent::kSamplePopulation:
    case RawEvent::kReferenceCycles: instructions = std::min(instructions, left); break;
    case RawEvent::kSlots:
    case RawEvent::kBackendBoundSlots:
      instructions = std::min(instructions, divide_up(left, slots_per_cycle));
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
    case RawEvent::kMemoryAccesses: memory = std::min(memory, left); break;
    case RawEvent::kL1dMisses:
    case RawEvent::kL1dLoadMisses:
    case RawEvent::kLlcReferences:
    case RawEvent::kLlcMisses:
    case RawEvent::kDtlbMisses:
    case RawEvent::kDtlbLoadWalks:
    case RawEvent::kDtlbStoreWalks:
    // An instruction may access much at once: one at a time.
    case RawEvent::kDtlbWalks: instructions = 1; break;
    // Those of exceptions and samples are looked at after each; the others are not counted here.
    default: break;
  }
}

Limits Cpu::Private::limits() const {
  Limits limits;
  deadlines.for_each_left(privilege(), [&](RawEvent event, std::uint64_t left) {
    // Where nothing is profiled, the population does not grow.
    const bool grows = event != RawEvent::kSamplePopulation || left == 0 ||
                       (samples != nullptr && samples->counts(privilege()));
    if (!grows) return;
    limits.stop_before(event, left, slots_per_cycle);
  });
  return limits;
}

void Cpu::Private::derive() {
  silicon::derive_totals(totals, slots_per_cycle);
  if (samples != nullptr) samples->derive();
}

// ---- Between instructions -----------------------------------------------------------------------

void Cpu::Private::note_exception() {
  totals.add(RawEvent::kExceptions, Privilege::kKernel, 1);
  totals.add(RawEvent::kCycles, Privilege::kKernel, kExceptionCycles);
  delivered = true;
}

void Cpu::Private::take_exception(const Exception& exception) {
  take(core, registers, exception);
  note_exception();
  follow_core();
}

/// The vector's first instruction has raised an exception, which has gone to that vector: it will
/// for ever.
bool Cpu::Private::lost() const {
  constexpr std::uint64_t kFromEl1 = 0x200;  // synchronous, with SP_EL1
  const std::uint64_t pc = registers.pc();
  return delivered && pc == core.elr && pc == core.vbar + kFromEl1 &&
         Spsr{{core.spsr}}.get(Spsr::kEl) != 0;
}

/// Takes an interrupt that is waiting at this boundary.
bool Cpu::Private::take_interrupt() {
  if (core.daif == kMaskAll) return false;
  const Pending pending = unmasked(core, environment.irq_waiting(), environment.fiq_waiting());
  if (pending == Pending::kNone) return false;
  sleep = Sleep::kAwake;
  const std::uint64_t pc = registers.pc();
  take_exception(pending == Pending::kFiq ? exceptions::fiq(pc) : exceptions::irq(pc));
  totals.add(RawEvent::kInterrupts, Privilege::kKernel, 1);
  return true;
}

/// Something that the CPU waits for has happened.
bool Cpu::Private::wakes() const {
  if (sleep == Sleep::kAwake) return true;
  const bool irq = environment.irq_waiting(), fiq = environment.fiq_waiting();
  if (sleep == Sleep::kInterrupt) return irq || fiq;
  if (event_register || unmasked(core, irq, fiq) != Pending::kNone) return true;
  if (!watched.watching) return false;
  const std::uint8_t* host = memory.host(watched.physical, sizeof watched.held);
  return host == nullptr || std::memcmp(host, watched.held.data(), sizeof watched.held) != 0;
}

void Cpu::Private::follow_core() {
  if (core.el != level) change_level();
  jit().use(accesses.tlb());
}

void Cpu::Private::change_level() {
  use_exact(false);
  const RegisterState moved = jit().registers();
  if (jits[at(core.el)] == nullptr) {
    jits[at(core.el)] = make_jit(core.el, false);
    catch_by_level();
  }
  level = core.el;
  jit().set_registers(moved);
  registers.use(jit());
}

void Cpu::Private::use_exact(bool wanted) {
  if (exact == wanted) return;
  if (wanted && exact_jits[at(level)] == nullptr) {
    exact_jits[at(level)] = make_jit(level, true);
    catch_by_level();
  }
  const Jit& before = jit();
  const ExclusiveState exclusive = before.exclusive();
  exact = wanted;
  jit().take_general_registers(before);
  jit().use(accesses.tlb());
  if (exclusive.held) jit().set_exclusive(exclusive);
  registers.use(jit());
}

Cpu::Exit Cpu::Private::run(std::uint64_t instructions, std::uint64_t until) {
  const std::uint64_t start = held(RawEvent::kInstructions);
  for (;;) {
    Limits limits;
    if (deadlines.any()) {
      derive();
      limits = this->limits();
      if (limits.due) {
        deadlines.fire_due();
        environment.before_entry();
        limits = this->limits();
      }
    }
    if (exit_requested.load(std::memory_order_relaxed)) {
      exit_requested.store(false, std::memory_order_relaxed);
      return Exit::kRequested;
    }
    if (!powered) return Exit::kWaiting;
    if (lost()) return Exit::kShutdown;
    const std::uint64_t done = held(RawEvent::kInstructions) - start;
    const std::uint64_t now = environment.now();
    if (done >= instructions || now >= until) return Exit::kBudget;
    if (!wakes()) return Exit::kHalted;
    if (sleep == Sleep::kEvent) event_register = false;
    sleep = Sleep::kAwake;
    // An exception takes cycles: something may be due before the handler's first instruction.
    if (take_interrupt()) continue;
    if (core.il) {
      take_exception(exceptions::illegal_state(registers.pc()));
      continue;
    }
    const std::uint64_t most = std::min(instructions - done, until - now);
    // What is due already (armed while deadlines fired) is looked at behind the next instruction.
    limits.instructions = std::max<std::uint64_t>(1, std::min(limits.instructions, most));
    limits.branches = std::max<std::uint64_t>(1, limits.branches);
    limits.memory = std::max<std::uint64_t>(1, limits.memory);
    check_user_code();
    if (!arrive()) continue;
    choose_mode();
    if (debug_enabled() && run_debugged()) continue;
    const auto unsampled = environment.until_sample(static_cast<unsigned>(level));
    if (unsampled == 0) {
      run_sampled();
      continue;
    }
    limits.sample = unsampled < limits.instructions;
    if (limits.sample) limits.instructions = unsampled;
    execute(limits);
  }
}

// ---- Caches that follow what the guest does -----------------------------------------------------

void Cpu::Private::on_code_written(std::size_t page) {
  for_each_jit([&](Jit& each, ExceptionLevel) {
    each.forget_if(
        [&](const CodePage& code) { return memory.page_index(code.mapping().physical) == page; });
  });
}

namespace {
/// Bit 55 selects the translation table.
constexpr bool in_upper_half(std::uint64_t address) {
  return (address >> 55 & 1) != 0;
}
constexpr std::uint64_t kSignedPageBits = (std::uint64_t{1} << 56) - 1;

bool may_concern(const TlbInvalidation& invalidation, const CodePage& code) {
  switch (invalidation.scope) {
    case TlbInvalidation::Scope::kAll: return true;
    case TlbInvalidation::Scope::kAsid: return !code.mapping().global;
    case TlbInvalidation::Scope::kPage:
    case TlbInvalidation::Scope::kAnyAsid: break;
  }
  const std::uint64_t differs = (code.address() ^ invalidation.address) & kSignedPageBits;
  return differs >> code.mapping().size_bits == 0;
}

bool is_as_it_was(const CodePage& code, const Translation& now) {
  const CodeMapping& was = code.mapping();
  return (now.physical & ~kPageMask) == was.physical && now.size_bits == was.size_bits &&
         now.global == was.global;
}
}  // namespace

template <class Concerns>
void Cpu::Private::forget_moved_code(ExceptionLevel of, Concerns concerns) {
  for (Jit* concerned : {jits[at(of)].get(), exact_jits[at(of)].get()}) {
    if (concerned == nullptr) continue;
    concerned->forget_if([&](const CodePage& code) {
      if (!concerns(code)) return false;
      const auto now = mmu.probe(code.address(), MemoryUse::kFetch, of, core.pan);
      return !now || !now->was_accessed || !is_as_it_was(code, *now);
    });
  }
}

void Cpu::Private::check_user_code() {
  if (!user_code_unchecked || level != ExceptionLevel::kEl0) return;
  user_code_unchecked = false;
  absent.clear();
  absent_blocks = kAbsentBlocks;
  if (Jit* other = exact_jits[at(level)].get()) other->forget_all();
  main_jit().forget_if([&](const CodePage& code) {
    const auto now = mmu.probe(code.address(), MemoryUse::kFetch, ExceptionLevel::kEl0, core.pan);
    // What sets the access flag is the first fetch.
    if (!now || !now->was_accessed) absent.insert(code.address());
    return now && !is_as_it_was(code, *now);
  });
}

void Cpu::Private::forget_absent() {
  for (const std::uint64_t address : absent) main_jit().forget_page(address);
  absent.clear();
}

bool Cpu::Private::arrive() {
  if (!near_absent()) return true;
  if (debug_enabled() || absent_blocks-- == 0) {
    forget_absent();
    return true;
  }
  const std::uint64_t pc = registers.pc();
  if (pc % kInstructionBytes != 0 || !absent.contains(pc & ~kPageMask)) return true;
  const auto mapping = accesses.fetch(pc);
  if (!mapping) {
    take_exception(exceptions::abort(pc, *accesses.fault()));
    return false;
  }
  const CodePage* page = main_jit().map().find(pc);
  if (page != nullptr && page->mapping() != *mapping) main_jit().forget_page(pc);
  absent.erase(pc & ~kPageMask);
  return true;
}

void Cpu::Private::note_table_change(const TlbInvalidation& invalidation) {
  using Scope = TlbInvalidation::Scope;
  const bool page = invalidation.scope == Scope::kPage || invalidation.scope == Scope::kAnyAsid;
  for (const bool upper : {false, true}) {
    if (!page || in_upper_half(invalidation.address) == upper) ++table_changes[upper ? 1 : 0];
  }
}

void Cpu::Private::on_tlb_invalidation(const TlbInvalidation& invalidation) {
  note_table_change(invalidation);
  accesses.flush();
  const auto concerns = [&](const CodePage& code) { return may_concern(invalidation, code); };
  forget_moved_code(ExceptionLevel::kEl1, concerns);
  if (!user_code_unchecked) {
    forget_moved_code(ExceptionLevel::kEl0, [&](const CodePage& code) {
      return concerns(code) && !absent.contains(code.address());
    });
  }
  if (!invalidation.broadcast) return;
  TlbInvalidation here = invalidation;
  here.broadcast = false;
  for (TranslationListener* other : cluster.listeners()) {
    if (other != this) other->on_tlb_invalidation(here);
  }
}

void Cpu::Private::catch_by_level() {
  constexpr std::uint64_t kMisaligned = 8;
  for_each_jit([&](Jit& each, ExceptionLevel of) {
    Core at = core;
    at.el = of;
    each.catch_fp(fp_trapped(at));
    each.catch_stack(stack_misaligned(at, kMisaligned));
  });
}

void Cpu::Private::on_context_change(ContextRegister changed) {
  switch (changed) {
    case ContextRegister::kCpacr: catch_by_level(); break;
    case ContextRegister::kDebug: break;
    case ContextRegister::kMair: accesses.flush(); break;
    case ContextRegister::kTtbr0:
    case ContextRegister::kTtbr1: {
      accesses.flush();
      user_code_unchecked = true;
      const AddressSpace was = std::exchange(space, address_space());
      forget_moved_code(ExceptionLevel::kEl1, [&](const CodePage& code) {
        const bool moved = in_upper_half(code.address()) ? was.upper_table != space.upper_table
                                                         : was.lower_table != space.lower_table;
        return moved || (was.asid != space.asid && !code.mapping().global);
      });
      break;
    }
    case ContextRegister::kSctlr:
    case ContextRegister::kTcr:
      note_table_change({});
      accesses.flush();
      catch_by_level();
      user_code_unchecked = true;
      space = address_space();
      forget_moved_code(ExceptionLevel::kEl1, [](const CodePage&) { return true; });
      break;
  }
}

Cpu::Private::AddressSpace Cpu::Private::address_space() const {
  // BADDR; below it is CnP, above it the ASID.
  constexpr std::uint64_t kTable = mask_of(Field<47, 1>{});
  return {core.ttbr0 & kTable, core.ttbr1 & kTable, mmu.asid()};
}

// ---- The public face ----------------------------------------------------------------------------

Cpu::Private::Private(Cpu& self, GuestMemory& memory_in, Environment& environment_in,
                      Cluster& cluster_in, silicon::RetireTotals& totals_in,
                      silicon::Deadlines& deadlines_in, const CpuSetup& setup)
    : memory{memory_in},
      environment{environment_in},
      cluster{cluster_in},
      totals{totals_in},
      deadlines{deadlines_in},
      samples{setup.samples},
      slots_per_cycle{setup.model->slots_per_cycle},
      accesses{core, mmu, memory, environment, cluster.code_pages(), setup.memory},
      exact_behind_samples{setup.exact_behind_samples},
      memory_model{setup.memory} {
  core.identity = identity_of(setup);
  jits[at(level)] = make_jit(level, false);
  registers.use(jit());
  cluster.code_pages().add_listener(*this);
  cluster.add_listener(*this);
  totals.set_source(&self);
}

std::unique_ptr<Jit> Cpu::Private::make_jit(ExceptionLevel of, bool exactly) {
  return std::make_unique<Jit>(Jit::Setup{.level = of,
                                          .index = core.identity.index,
                                          .tpidr_el0 = &core.tpidr_el0,
                                          .tpidrro_el0 = &core.tpidrro_el0,
                                          .direct_pages = accesses.direct_pages(of),
                                          .exact = exactly},
                               cluster, accesses);
}

Cpu::Private::~Private() {
  totals.set_source(nullptr);
  cluster.remove_listener(*this);
  cluster.code_pages().remove_listener(*this);
}

Cpu::Cpu(GuestMemory& memory, Environment& environment, Cluster& cluster,
         silicon::RetireTotals& totals, silicon::Deadlines& deadlines, const CpuSetup& setup)
    : private_{std::make_unique<Private>(*this, memory, environment, cluster, totals, deadlines,
                                         setup)} {
  reset();
}

Cpu::~Cpu() = default;

void Cpu::reset() {
  Private& p = *private_;
  p.use_exact(false);
  arm64::reset(p.core);
  p.jit().clear_exclusive();
  p.jit().set_registers({});
  p.powered = false;
  p.sleep = Sleep::kAwake;
  p.event_register = false;
  p.watched = {};
  state_changed();
}

void Cpu::power_on(std::uint64_t entry, std::uint64_t context) {
  reset();
  private_->registers.set_pc(entry);
  private_->registers.set_x(0, context);
  private_->powered = true;
}

Cpu::Exit Cpu::run(std::uint64_t instructions, std::uint64_t until) {
  const Exit exit = private_->run(instructions, until);
  private_->use_exact(false);
  return exit;
}

void Cpu::power_off() {
  private_->powered = false;
}

bool Cpu::powered() const {
  return private_->powered;
}

void Cpu::request_exit() {
  private_->exit_requested.store(true, std::memory_order_relaxed);
  private_->for_each_jit([](Jit& each, ExceptionLevel) { each.halt(); });
}

bool Cpu::runnable() {
  return private_->powered && private_->wakes();
}

bool Cpu::waits_for_event() const {
  return private_->powered && private_->sleep == Sleep::kEvent;
}

void Cpu::set_event() {
  private_->event_register = true;
}

CodePlace Cpu::place() const noexcept {
  return {private_->jit().pc(), private_->level == ExceptionLevel::kEl0};
}

Cpu::Retired Cpu::last_retired() const {
  return private_->delivered ? Retired{.place = place()} : private_->last;
}

std::uint64_t Cpu::cycles() {
  return private_->held(RawEvent::kCycles);
}

void Cpu::allow(Mode fastest) {
  private_->fastest = fastest;
}

std::uint64_t Cpu::instructions_in(Mode mode) const {
  return private_->ran_in[static_cast<std::size_t>(mode)];
}

void Cpu::state_changed() {
  Private& p = *private_;
  p.accesses.flush();
  p.for_each_jit([](Jit& each, ExceptionLevel) { each.forget_all(); });
  p.absent.clear();
  p.space = p.address_space();
  p.catch_by_level();
  p.follow_core();
}

Core& Cpu::core() {
  return private_->core;
}
const Core& Cpu::core() const {
  return private_->core;
}
Registers& Cpu::registers() {
  return private_->registers;
}
const Registers& Cpu::registers() const {
  return private_->registers;
}

const std::uint8_t* Cpu::peek_page(std::uint64_t linear) const {
  const auto physical = private_->mmu.look_up(linear & ~kPageMask);
  return physical ? private_->memory.host(*physical, kPageBytes) : nullptr;
}

bool Cpu::peek(std::uint64_t linear, void* to, std::size_t bytes) const {
  auto* out = static_cast<std::uint8_t*>(to);
  while (bytes != 0) {
    const std::size_t piece = std::min<std::size_t>(bytes, kPageBytes - (linear & kPageMask));
    const std::uint8_t* page = peek_page(linear);
    if (page == nullptr) return false;
    std::memcpy(out, page + (linear & kPageMask), piece);
    linear += piece;
    out += piece;
    bytes -= piece;
  }
  return true;
}

tl::expected<void, Fault> Cpu::store(std::uint64_t address, std::span<const std::uint8_t> bytes) {
  return private_->accesses.store(address, bytes);
}

void Cpu::set_stage_two(StageTwoPages* pages) {
  private_->accesses.set_stage_two(pages);
}

std::uint64_t Cpu::table_changes(std::uint64_t address) const {
  return private_->table_changes[in_upper_half(address) ? 1 : 0];
}

void Cpu::hand_over() {
  private_->derive();
}

}  // namespace vpmu::machine::arm64
