// SPDX-License-Identifier: MIT
//
// One x86-64 CPU that executes guest code: the interpreter's public face. The machine creates one
// per vCPU, lets them run in turn, and passes them NMIs, INIT and SIPIs. Everything else the CPU
// asks of its Environment.
//
//   Cpu cpu{memory, environment, code_pages, totals, deadlines};
//   cpu.reset();
//   cpu.core().rip = entry;  ... registers, segments ...; cpu.state_changed();
//   switch (cpu.run(10'000, Timer::kNever)) ...
//
// Not thread-safe; all CPUs of a machine run on one thread.
#pragma once

#include <cstdint>
#include <memory>

#include "machine/code_pages.hpp"
#include "machine/cpu_exit.hpp"
#include "machine/x86/branch_log.hpp"
#include "machine/x86/core.hpp"
#include "machine/x86/cpu_state.hpp"
#include "machine/x86/identity.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/cycle_conditions.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/memory_model.hpp"
#include "vpmu/silicon/retire_totals.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"

namespace vpmu::machine::x86 {

class BlockCache;

/// What of the modelled silicon the CPU needs: for what it counts, and for what it is. Pointers
/// must outlive the CPU.
struct ModelledSilicon {
  std::uint8_t slots_per_cycle = 4;
  Identity identity{};
  silicon::CycleConditions* conditions = nullptr;  ///< null: there are none to count
  silicon::MemoryModel* memory = nullptr;          ///< null: its events stand still
};

/// Of code that runs.
struct CodePlace {
  std::uint64_t linear = 0;
  bool user = false;  ///< privilege 1, 2 or 3
};

class Cpu final : public silicon::RetireSource, public silicon::x86::BranchSource {
 public:
  /// Everything passed must outlive the CPU. `totals` gets this CPU as its source.
  Cpu(GuestMemory& memory, Environment& environment, CodePages& code_pages,
      silicon::RetireTotals& totals, silicon::Deadlines& deadlines,
      const ModelledSilicon& modelled = {});
  ~Cpu();
  Cpu(const Cpu&) = delete;
  Cpu& operator=(const Cpu&) = delete;

  /// Power-on state (RESET): real mode at F000:FFF0. Totals keep counting up.
  void reset();
  /// INIT: as reset, but the x87/SSE state, MSRs and totals stay, and the CPU waits for a SIPI.
  void init();
  /// Starts a CPU that waits for it at vector:0000 in real mode; otherwise ignored.
  void sipi(std::uint8_t vector);
  void raise_nmi();

  using Exit = CpuExit;

  /// Runs until at least one of: `instructions` retired; machine time (Environment::now) reached
  /// `until` cycles; another exit. Never runs past `until` by more than the instruction that
  /// crosses it. Exits exactly after `instructions` retired (a string instruction's pieces count as
  /// 0).
  Exit run(std::uint64_t instructions, std::uint64_t until);

  /// Leaves run() at the next instruction boundary. From a device: after the access's instruction.
  /// Async-signal-safe.
  void request_exit();

  /// True if run() would make progress: not halted, or something to wake it is pending.
  [[nodiscard]] bool runnable();

  /// The next instruction; while code runs, the first one of the block that was entered last.
  /// Async-signal-safe on the thread that runs the CPU.
  [[nodiscard]] CodePlace place() const noexcept;

  /// An instruction that has retired.
  struct Retired {
    CodePlace place;
    bool code64 = true;
    bool calls = false;  ///< near calls and returns only
    bool returns = false;
  };
  /// The instruction that retired last. For listeners of deadlines, and between runs. If events
  /// have been counted since for something else it is what that is for: the first instruction of
  /// the handler of an interrupt or exception that was delivered, a string instruction that is in
  /// the middle.
  [[nodiscard]] Retired last_retired() const;

  /// Cycles retired since construction, up to the current instruction boundary.
  [[nodiscard]] std::uint64_t cycles();

  /// Whoever changed core() from outside (boot, restore, tests) calls this before run(): derived
  /// state (mode, TLB, code cache) follows.
  void state_changed();
  [[nodiscard]] Core& core() { return core_; }
  [[nodiscard]] const Core& core() const { return core_; }

  /// At an instruction boundary, which is whenever run() does not run. Changes nothing.
  [[nodiscard]] CpuState save() const;
  /// On a CPU that has the memory the state was saved with. Nothing has changed if it is refused.
  Result<void> restore(const CpuState& state);

  /// Reads guest memory at a linear address with the guest's own page tables, changing nothing (no
  /// accessed bits); false if unmapped or not RAM. For crash reports, profilers and debuggers.
  bool peek(std::uint64_t linear, void* to, std::size_t bytes) const;
  /// Where the host has the page of 4 KiB that `linear` lies in, on the same conditions; null
  /// instead of false. Valid while the guest does not run.
  [[nodiscard]] const std::uint8_t* peek_page(std::uint64_t linear) const;

  /// From now on, at an instruction boundary, branches are recorded in that unit, whose source this
  /// CPU becomes; null: nowhere. Cheap if nothing changes. The unit must outlive its use here.
  void record_branches(silicon::x86::LbrStack* unit);

  /// Branches that are held back from the unit; as save() and restore(). The first unit that the
  /// CPU then records in is to be as it was.
  [[nodiscard]] BranchLog::State save_branches();
  Result<void> restore_branches(const BranchLog::State& state);
  /// While branches are held, a look at the unit's records does not get them.
  void hold_branches(bool hold);

  void hand_over() override;
  void hand_over_branches() override;

 private:
  friend class Interpreter;
  struct Private;

  Core core_;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::machine::x86
