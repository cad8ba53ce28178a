// SPDX-License-Identifier: MIT
//
// One AArch64 CPU that executes guest code at EL1 and EL0: the public face. The machine creates one
// per vCPU and lets them run in turn. Everything else the CPU asks of its Environment.
//
//   Cluster cluster{memory, 1};
//   Cpu cpu{memory, environment, cluster, totals, deadlines, {.model = &model}};
//   cpu.reset();
//   cpu.power_on(entry, device_tree);
//   switch (cpu.run(10'000, Timer::kNever)) ...
//
// Instructions run compiled (dynarmic); what it does not know, EL1's system instructions first of
// all, is executed here. How fast depends on what is counted, see Mode. What a guest sees does not.
//
// Not thread-safe; all CPUs of a machine run on one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <tl/expected.hpp>

#include "machine/arm64/cluster.hpp"
#include "machine/arm64/core.hpp"
#include "machine/arm64/cpu_state.hpp"
#include "machine/arm64/environment.hpp"
#include "machine/arm64/mmu.hpp"
#include "machine/arm64/registers.hpp"
#include "machine/arm64/stage_two_pages.hpp"
#include "machine/cpu_exit.hpp"
#include "machine/guest_memory.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/arm64/cpu_model.hpp"
#include "vpmu/silicon/arm64/sample_totals.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/memory_model.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::machine::arm64 {

/// Which CPU it is. Pointers must outlive it.
struct CpuSetup {
  const silicon::arm64::CpuModel* model = nullptr;
  unsigned index = 0;                               ///< MPIDR_EL1.Aff0; below the cluster's CPUs
  silicon::MemoryModel* memory = nullptr;           ///< null: its events stand still
  silicon::arm64::SampleTotals* samples = nullptr;  ///< the same
  /// Behind so many samples at a level, code is compiled a second time, so that it stops in front
  /// of a sample sooner. The default is about what that costs.
  std::uint64_t exact_behind_samples = 100'000;
};

/// Of code that runs.
struct CodePlace {
  std::uint64_t linear = 0;
  bool user = false;  ///< EL0
};

class Cpu final : public silicon::RetireSource {
 public:
  /// Everything passed must outlive the CPU. `totals` gets this CPU as its source.
  Cpu(GuestMemory& memory, Environment& environment, Cluster& cluster,
      silicon::RetireTotals& totals, silicon::Deadlines& deadlines, const CpuSetup& setup);
  ~Cpu();
  Cpu(const Cpu&) = delete;
  Cpu& operator=(const Cpu&) = delete;

  /// A cold reset: the CPU is off. Totals keep counting up.
  void reset();
  /// What a CPU does that PSCI switches on, or that is switched on first: reset, then EL1h with
  /// everything masked and the MMU off, at `entry` (a physical address) with `context` in X0.
  void power_on(std::uint64_t entry, std::uint64_t context);
  /// Takes effect behind the instruction that is being executed, if there is one.
  void power_off();
  [[nodiscard]] bool powered() const;

  /// kShutdown: the first instruction of an exception vector raises the exception that it was
  /// entered for, and nothing changes any more.
  using Exit = CpuExit;

  /// Runs until at least one of: `instructions` retired; machine time (Environment::now) reached
  /// `until` cycles; another exit. Never runs past `until` by more than the instruction or
  /// exception entry that crosses it. Exits exactly after `instructions` retired.
  Exit run(std::uint64_t instructions, std::uint64_t until);

  /// Leaves run() at the next instruction boundary. From a device: after the access's instruction.
  /// Async-signal-safe: from a signal, soon.
  void request_exit();

  /// True if run() would make progress: not waiting, or something to wake it is pending.
  [[nodiscard]] bool runnable();

  /// It is in WFE: an event would wake it.
  [[nodiscard]] bool waits_for_event() const;

  /// SEV by whomever: wakes a CPU in WFE, or has its next WFE not wait.
  void set_event();

  /// The next instruction; while code runs, where it was entered last. Async-signal-safe on the
  /// thread that runs the CPU.
  [[nodiscard]] CodePlace place() const noexcept;

  /// An instruction that has retired.
  struct Retired {
    CodePlace place;
    bool calls = false;  ///< BL, BLR
    bool returns = false;
  };
  /// The instruction that retired last. For listeners of deadlines, and between runs. If events
  /// have been counted since for something else it is what that is for: the first instruction of
  /// the handler of an exception that was taken.
  [[nodiscard]] Retired last_retired() const;

  /// Cycles retired since construction, up to the current instruction boundary.
  [[nodiscard]] std::uint64_t cycles();

  /// How instructions are executed.
  enum class Mode : std::uint8_t {
    kFast,    ///< blocks linked to each other: all that nobody counts events for that need more
    kBlocks,  ///< one block at a time: branches, loads, stores, misses are counted
    kSteps,   ///< one instruction at a time
  };
  static constexpr std::size_t kModes = 3;
  /// The fastest mode that may be used; all count and do the same. kFast from the beginning.
  void allow(Mode fastest);
  /// How many instructions ran in which mode, since construction.
  [[nodiscard]] std::uint64_t instructions_in(Mode mode) const;

  /// Whoever changed core(), registers or RAM from outside (boot, restore, tests) calls this before
  /// run(): derived state (translations, compiled code) follows.
  void state_changed();
  [[nodiscard]] Core& core();
  [[nodiscard]] const Core& core() const;
  [[nodiscard]] Registers& registers();
  [[nodiscard]] const Registers& registers() const;

  /// At an instruction boundary, which is whenever run() does not run. Changes nothing.
  [[nodiscard]] CpuState save() const;
  /// On a CPU that has the memory the state was saved with. Nothing has changed if it is refused.
  Result<void> restore(const CpuState& state);

  /// Reads guest memory at a virtual address with the guest's own translation tables, changing
  /// nothing (no access flags); false if unmapped or not RAM. For crash reports, profilers and
  /// debuggers.
  bool peek(std::uint64_t linear, void* to, std::size_t bytes) const;
  /// Writes guest memory for a unit of this CPU (statistical profiling), with the translation and
  /// the rights of EL1: all or nothing, RAM only, up to 2 KiB. Not while it executes code; in a
  /// callback of the environment's is fine. The fault is the first that an access would raise.
  tl::expected<void, Fault> store(std::uint64_t address, std::span<const std::uint8_t> bytes);

  /// What manages stage 2; null, as at first: all of RAM is there. Must outlive the CPU.
  void set_stage_two(StageTwoPages* pages);

  /// Changes whenever the guest has said that what translates addresses of that half of the address
  /// space may have changed: TLB maintenance, SCTLR_EL1, TCR_EL1. Not with TTBRn_EL1.
  [[nodiscard]] std::uint64_t table_changes(std::uint64_t address) const;

  /// Where the host has the page of 4 KiB that `linear` lies in, on the same conditions; null
  /// instead of false. Valid while the guest does not run.
  [[nodiscard]] const std::uint8_t* peek_page(std::uint64_t linear) const;

  void hand_over() override;

 private:
  struct Private;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::machine::arm64
