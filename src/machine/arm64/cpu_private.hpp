// SPDX-License-Identifier: MIT
//
// What is behind Cpu: the run loop (cpu.cpp), how stretches of code are run and counted
// (cpu_execution.cpp), operations that are sampled (cpu_sampling.cpp), and its state as it is saved
// (cpu_state.cpp).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_set>

#include "machine/arm64/accesses.hpp"
#include "machine/arm64/cpu.hpp"
#include "machine/arm64/emulate.hpp"
#include "machine/arm64/exceptions.hpp"
#include "machine/arm64/jit.hpp"
#include "vpmu/silicon/branch_predictor.hpp"

namespace vpmu::machine::arm64 {

using silicon::Privilege;
using silicon::RawEvent;

/// Cycles that an exception costs on top of its instruction, if that retires.
inline constexpr std::uint64_t kExceptionCycles = 16;

/// So many blocks, one at a time, cost about what compiling a few pages does.
inline constexpr std::uint64_t kAbsentBlocks = 16384;

/// The registers of whichever Jit is in use.
class ActiveRegisters final : public Registers {
 public:
  void use(Jit& jit) { jit_ = &jit; }

  [[nodiscard]] std::uint64_t x(unsigned n) const override { return jit_->x(n); }
  void set_x(unsigned n, std::uint64_t value) override { jit_->set_x(n, value); }
  [[nodiscard]] std::uint64_t sp() const override { return jit_->sp(); }
  void set_sp(std::uint64_t value) override { jit_->set_sp(value); }
  [[nodiscard]] std::uint64_t pc() const override { return jit_->pc(); }
  void set_pc(std::uint64_t value) override { jit_->set_pc(value); }
  [[nodiscard]] std::uint32_t nzcv() const override { return jit_->nzcv(); }
  void set_nzcv(std::uint32_t value) override { jit_->set_nzcv(value); }
  void clear_exclusive() override { jit_->clear_exclusive(); }

 private:
  Jit* jit_ = nullptr;
};

/// How much may retire before somebody wants to know.
struct Limits {
  static constexpr std::uint64_t kFar = ~std::uint64_t{0} >> 1;

  bool due = false;     ///< a deadline is
  bool sample = false;  ///< `instructions` lead to an operation that is sampled; none is due before
  std::uint64_t instructions = kFar;
  std::uint64_t branches = kFar;
  std::uint64_t memory = kFar;

  /// No further than until `left` of `event` have retired.
  void stop_before(RawEvent event, std::uint64_t left, unsigned slots_per_cycle);
  /// All of a block may retire.
  [[nodiscard]] bool admits(const BlockProfile& block) const;
  [[nodiscard]] bool admits_any_block() const;
  void take(std::uint64_t retired, unsigned branch, unsigned accesses);
};

struct Cpu::Private final : CodeListener, TranslationListener {
  Private(Cpu& self, GuestMemory& memory, Environment& environment, Cluster& cluster,
          silicon::RetireTotals& totals, silicon::Deadlines& deadlines, const CpuSetup& setup);
  ~Private();
  std::unique_ptr<Jit> make_jit(ExceptionLevel of, bool exact);
  Private(const Private&) = delete;
  Private& operator=(const Private&) = delete;

  // ---- Caches that follow what the guest does ---------------------------------------------------

  void on_code_page(std::size_t) override { accesses.forget_writable(); }
  void on_code_written(std::size_t page) override;
  void on_tlb_invalidation(const TlbInvalidation& invalidation) override;
  void note_table_change(const TlbInvalidation& invalidation);
  /// Compiled code is never out of date.
  void on_code_invalidation(const CodeInvalidation&) override {}
  void on_context_change(ContextRegister changed) override;
  /// Code of a level that has been compiled from elsewhere than it is now, or may not be executed
  /// any more, among the pages for which `concerns(page)` is true.
  template <class Concerns>
  void forget_moved_code(ExceptionLevel of, Concerns concerns);
  /// EL0's code is looked at when it is about to run: kernels change TTBR0_EL1 several times on
  /// their way from one process to the next, and the next one is often the same, or has the same
  /// code.
  void check_user_code();
  /// EL0's code where nothing is mapped now is kept: a process that begins has what others have run
  /// before it, as soon as it has touched it. While there is such code, one block is run at a time,
  /// and arrive() is asked before each. False: an exception has been taken instead.
  bool arrive();
  [[nodiscard]] bool near_absent() const {
    return level == ExceptionLevel::kEl0 && !absent.empty();
  }
  void forget_absent();
  /// Which tables translate, for whom.
  struct AddressSpace {
    std::uint64_t lower_table = 0, upper_table = 0;
    std::uint16_t asid = 0;
  };
  [[nodiscard]] AddressSpace address_space() const;

  // ---- Levels -----------------------------------------------------------------------------------

  /// That has the registers.
  [[nodiscard]] Jit& jit() const { return exact ? *exact_jits[at(level)] : main_jit(); }
  [[nodiscard]] Jit& main_jit() const { return *jits[at(level)]; }
  static std::size_t at(ExceptionLevel of) { return static_cast<std::size_t>(of); }
  [[nodiscard]] Privilege privilege() const {
    return level == ExceptionLevel::kEl0 ? Privilege::kUser : Privilege::kKernel;
  }
  /// After anything that may have changed Core: the Jit and TLB for its level.
  void follow_core();
  /// The Jit of the current level gets the registers.
  void change_level();
  /// Which of the current level's Jits has the registers: not the exact one outside of run().
  void use_exact(bool wanted);
  /// What each level's Jit has to catch follows from CPACR_EL1 and SCTLR_EL1.
  void catch_by_level();
  template <class Function>
  void for_each_jit(Function function) {
    for (const ExceptionLevel of : {ExceptionLevel::kEl0, ExceptionLevel::kEl1}) {
      for (Jit* each : {jits[at(of)].get(), exact_jits[at(of)].get()}) {
        if (each != nullptr) function(*each, of);
      }
    }
  }

  // ---- Running (cpu_execution.cpp) --------------------------------------------------------------

  void choose_mode();
  /// Compiled code takes bits 63:56 of where it branches to for copies of bit 55, if there is code.
  void settle_pc();
  /// Then code is run by single instructions: accesses with SP as base are faults. SP only becomes
  /// misaligned by instructions that are caught.
  [[nodiscard]] bool misaligned() const { return stack_misaligned(core, jit().sp()); }
  /// Runs within limits until something has to be looked at.
  void execute(Limits limits);
  [[nodiscard]] bool debug_enabled() const {
    return (core.mdscr & (Mdscr::kSs.kMask | Mdscr::kMde.kMask)) != 0;
  }
  bool run_debugged();
  bool run_fast(Limits& limits);
  /// Near a sample: as many instructions as there are up to it, and behind it those that are left
  /// of its block. None: it is not near.
  [[nodiscard]] std::uint64_t near_sample(const Limits& limits);
  bool run_exactly(Limits& limits, std::uint64_t instructions);
  bool run_block(Limits& limits);
  [[nodiscard]] bool inside_block();
  bool run_step(Limits& limits);
  void run_sampled();
  bool stopped(const Jit::Ran& ran);
  void emulate_next();
  bool hint(std::uint32_t word);
  void wait(exceptions::Wfx wfx);
  void retire_hint(std::uint32_t word);

  // ---- Counting ---------------------------------------------------------------------------------

  void add(RawEvent event, std::uint64_t count) { totals.add(event, privilege(), count); }
  void retire(std::uint64_t instructions, Mode how);
  /// What a retired piece of code, entered at `begin`, did.
  void count(const BlockProfile& piece, std::uint64_t begin);
  void count_branch(BranchKind kind, std::uint64_t from);
  void remember(std::uint64_t address, BranchKind kind);
  [[nodiscard]] BlockProfile part(std::uint64_t begin, std::uint64_t instructions);
  [[nodiscard]] std::uint32_t word_at(std::uint64_t address);
  [[nodiscard]] std::uint32_t next_word();

  // ---- Between instructions (cpu.cpp) -----------------------------------------------------------

  /// As Cpu::run().
  Exit run(std::uint64_t instructions, std::uint64_t until);
  [[nodiscard]] Limits limits() const;
  /// Costs of an exception that has been taken.
  void note_exception();
  void take_exception(const Exception& exception);
  [[nodiscard]] bool lost() const;
  bool take_interrupt();
  [[nodiscard]] bool wakes() const;
  void derive();
  [[nodiscard]] std::uint64_t held(RawEvent event) const {
    return totals.held(event, silicon::kAllPrivileges);
  }

  Core core;
  GuestMemory& memory;
  Environment& environment;
  Cluster& cluster;
  silicon::RetireTotals& totals;
  silicon::Deadlines& deadlines;
  silicon::arm64::SampleTotals* const samples;
  const unsigned slots_per_cycle;
  Mmu mmu{core, memory};
  Accesses accesses;
  std::array<std::unique_ptr<Jit>, 2> jits;        ///< by level; made when the CPU is there first
  std::array<std::unique_ptr<Jit>, 2> exact_jits;  ///< by level; made when they pay
  const std::uint64_t exact_behind_samples;
  std::array<std::uint64_t, 2> samples_taken{};  ///< by level
  bool exact = false;        ///< one of them has the registers, but for those of FP and SIMD
  bool exact_fails = false;  ///< at what is next, or leads to the next sample
  AddressSpace space;        ///< that EL1's code has been checked in
  bool user_code_unchecked = false;              ///< since translation has changed
  std::array<std::uint64_t, 2> table_changes{};  ///< by half
  std::unordered_set<std::uint64_t> absent;      ///< pages of EL0's code where nothing is mapped
  std::uint64_t absent_blocks = 0;               ///< to be run before they are forgotten after all
  ExceptionLevel level = ExceptionLevel::kEl1;   ///< whose Jit has the registers
  ActiveRegisters registers;
  CpuParts parts{core, registers, mmu, environment, accesses, *this};

  std::atomic<bool> exit_requested{false};
  bool powered = false;
  Sleep sleep = Sleep::kAwake;
  bool event_register = false;
  Watched watched;

  Mode fastest = Mode::kFast;
  Mode mode = Mode::kFast;
  bool counts_all = false;  ///< loads, stores, branches
  bool predicts = false;
  bool models = false;
  silicon::MemoryModel* const memory_model;
  silicon::BranchPredictor predictor;
  std::array<std::uint64_t, kModes> ran_in{};

  bool branched = false;   ///< the instruction that retired last is known to be a branch
  bool delivered = false;  ///< an exception has been taken since anything retired
  Retired last;
};

}  // namespace vpmu::machine::arm64
