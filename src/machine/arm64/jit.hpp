// SPDX-License-Identifier: MIT
//
// One code generator: dynarmic's A64 Jit, with the general-purpose and vector registers that it
// holds, and what is needed to count exactly with it. A CPU has one for each exception level, since
// the same words are not the same code there, and another one for each where it has to stop often
// (Setup::exact). Nobody else knows dynarmic.
//
// It runs until its ticks are used up or something has to be looked at (Stop), at an instruction
// boundary, and says how many instructions have retired.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "machine/arm64/cluster.hpp"
#include "machine/arm64/code_map.hpp"
#include "machine/arm64/core.hpp"
#include "machine/arm64/cpu_state.hpp"
#include "machine/arm64/data_tlb.hpp"

namespace vpmu::machine::arm64 {

/// What compiled code asks for that is not at hand. An access that is not done gives false: the
/// code stops in front of its instruction, and the client remembers why.
class JitClient {
 public:
  /// Where the code at `address` is; may be fetched at the Jit's level.
  virtual std::optional<CodeMapping> fetch(std::uint64_t address) = 0;
  /// The word at `address` is about to be compiled.
  virtual void compiles(const CodeMapping& mapping, std::uint64_t address) = 0;
  /// Data that the TLB does not have. `alone`: the instruction is run by itself, at an instruction
  /// boundary with everything before it retired.
  virtual bool read(std::uint64_t address, unsigned bytes, void* to, bool alone) = 0;
  virtual bool write(std::uint64_t address, unsigned bytes, const void* from, bool alone) = 0;
  /// An access is not done because it is not aligned, and has to be.
  virtual void misaligned(std::uint64_t address, bool write) = 0;
  /// An access is not done: its instruction has to be run by itself.
  virtual void defer() = 0;
  /// For a store-exclusive: the host address of what may be written; null: not done.
  virtual std::uint8_t* exclusive(std::uint64_t address, unsigned bytes, bool alone) = 0;

 protected:
  ~JitClient() = default;
};

class Jit {
 public:
  struct Setup {
    ExceptionLevel level = ExceptionLevel::kEl1;
    unsigned index = 0;  ///< of the CPU
    std::uint64_t* tpidr_el0 = nullptr;
    const std::uint64_t* tpidrro_el0 = nullptr;
    /// Looked at before any callback. Its entries may change whenever no code runs.
    void** direct_pages = nullptr;
    /// Every instruction is a block of its own: run() runs just as many as it is told to. FP and
    /// SIMD instructions are caught.
    bool exact = false;
  };
  /// Everything passed must outlive it.
  Jit(const Setup& setup, Cluster& cluster, JitClient& client);
  ~Jit();
  Jit(const Jit&) = delete;
  Jit& operator=(const Jit&) = delete;

  enum class Stop : std::uint8_t {
    kTicks,   ///< used up; or nothing in particular
    kCaught,  ///< the next instruction is not one for this Jit
    kFetch,   ///< JitClient::fetch() gave nothing for the next instruction
    kAccess,  ///< a data access of the next instruction is not done
  };
  struct Ran {
    Stop stop = Stop::kTicks;
    std::uint64_t retired = 0;
  };
  /// Runs blocks until `ticks` instructions have retired, or a few more: up to
  /// CodeMap::kLongestBlock. A block that is a RET may run another one whatever the ticks are. With
  /// Setup::exact just as many.
  Ran run(std::uint64_t ticks);
  /// Runs one instruction.
  Ran step();
  /// run() comes to an end soon. Async-signal-safe.
  void halt();

  /// Data accesses look there first. Not null.
  void use(const DataTlb& tlb);
  /// FP and SIMD instructions are caught. Forgets all code if that is new.
  void catch_fp(bool caught);

  /// Instructions behind which the stack pointer may be misaligned are caught. Forgets all code if
  /// that is new.
  void catch_stack(bool caught);
  /// The instruction is not one that is caught.
  [[nodiscard]] bool runs(std::uint32_t word);

  [[nodiscard]] CodeMap& map();
  /// Code of that page of virtual addresses has changed, or is somewhere else.
  void forget_page(std::uint64_t address);
  /// Calls `changed(page)` for each page with code, and forgets those for which it is true.
  template <class Changed>
  void forget_if(Changed changed) {
    std::vector<std::uint64_t> gone;
    map().for_each([&](const CodePage& page) {
      if (changed(page)) gone.push_back(page.address());
    });
    for (const std::uint64_t address : gone) forget_page(address);
  }
  void forget_all();

  [[nodiscard]] std::uint64_t x(unsigned n) const;
  void set_x(unsigned n, std::uint64_t value);
  [[nodiscard]] std::uint64_t sp() const;
  void set_sp(std::uint64_t value);
  [[nodiscard]] std::uint64_t pc() const;
  void set_pc(std::uint64_t value);
  [[nodiscard]] std::uint32_t nzcv() const;
  void set_nzcv(std::uint32_t value);
  [[nodiscard]] RegisterState registers() const;
  void set_registers(const RegisterState& registers);
  /// All but those of FP and SIMD.
  void take_general_registers(const Jit& from);

  void clear_exclusive();
  [[nodiscard]] ExclusiveState exclusive() const;
  /// As if the load had just been done here. Changes nothing else.
  void set_exclusive(const ExclusiveState& state);

 private:
  struct Private;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::machine::arm64
