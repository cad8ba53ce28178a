// SPDX-License-Identifier: MIT
//
// One instruction that the engine does not run itself: system instructions, loads and stores with
// EL0's rights, and whatever is undefined. Called at an instruction boundary, with the
// instruction's word as it was fetched.
#pragma once

#include <cstdint>

#include <tl/expected.hpp>

#include "machine/arm64/core.hpp"
#include "machine/arm64/environment.hpp"
#include "machine/arm64/mmu.hpp"
#include "machine/arm64/registers.hpp"

namespace vpmu::machine::arm64 {

/// Data accesses of emulated instructions. The engine implements it over the translations that it
/// keeps; DirectData (below) over the Mmu.
class DataPort {
 public:
  /// With the rights of that level. `bytes` is 1, 2, 4 or 8; alignment is checked as an ordinary
  /// load's or store's.
  virtual tl::expected<std::uint64_t, Fault> read(std::uint64_t address, unsigned bytes,
                                                  ExceptionLevel rights) = 0;
  virtual tl::expected<void, Fault> write(std::uint64_t address, unsigned bytes,
                                          std::uint64_t value, ExceptionLevel rights) = 0;
  /// DC ZVA: zeroes the kZvaBytes at `address`, which is a multiple of that.
  virtual tl::expected<void, Fault> zero(std::uint64_t address, ExceptionLevel rights) = 0;

 protected:
  ~DataPort() = default;
};

/// Translates each access. Accesses across a page end are made up of bytes; nothing is written if
/// either page faults.
class DirectData final : public DataPort {
 public:
  /// All must outlive it.
  DirectData(const Core& core, const Mmu& mmu, const GuestMemory& memory, Environment& environment)
      : core_{core}, mmu_{mmu}, memory_{memory}, environment_{environment} {}

  tl::expected<std::uint64_t, Fault> read(std::uint64_t address, unsigned bytes,
                                          ExceptionLevel rights) override;
  tl::expected<void, Fault> write(std::uint64_t address, unsigned bytes, std::uint64_t value,
                                  ExceptionLevel rights) override;
  tl::expected<void, Fault> zero(std::uint64_t address, ExceptionLevel rights) override;

 private:
  const Core& core_;
  const Mmu& mmu_;
  const GuestMemory& memory_;
  Environment& environment_;
};

/// What an instruction acts on.
struct CpuParts {
  Core& core;
  Registers& registers;
  const Mmu& mmu;
  Environment& environment;
  DataPort& data;
  TranslationListener& listener;
};

/// What has become of the instruction. The program counter is where the CPU goes on.
struct Emulated {
  bool retired = true;     ///< otherwise it raised an exception, which has been taken
  bool exception = false;  ///< an exception has been taken (SVC: retired, too)
  bool exception_return = false;
  /// Data accesses that it made: LDTR, STTR, DC ZVA, loads to XZR.
  bool loaded = false;
  bool stored = false;

  friend bool operator==(const Emulated&, const Emulated&) = default;
};

/// Executes the instruction `word` at Registers::pc().
Emulated emulate(CpuParts& cpu, std::uint32_t word);

/// True for instructions of the FP and SIMD group: those that CPACR_EL1.FPEN traps. An engine that
/// runs them itself asks while fp_trapped().
[[nodiscard]] bool uses_fp(std::uint32_t word);

/// True for loads and stores with EL0's rights (LDTR, STTR and their kin), which an engine leaves
/// to emulate() at EL1.
[[nodiscard]] bool is_unprivileged_access(std::uint32_t word);

/// True for loads of which nobody wants the value, or one of a pair: to XZR or WZR. An engine that
/// drops what has no use leaves them to emulate(), since they may fault, and devices notice.
[[nodiscard]] bool discards_load(std::uint32_t word);

}  // namespace vpmu::machine::arm64
