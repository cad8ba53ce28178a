// SPDX-License-Identifier: MIT
//
// Stage 1 translation of the EL1&0 regime: 4, 16 and 64 KiB granules, 48-bit addresses, access flag
// and dirty state kept by hardware if TCR_EL1 says so. A walk each time: whoever wants to be fast
// keeps what translate() answers, until the TranslationListener is told that it is no longer true.
#pragma once

#include <cstdint>
#include <optional>

#include <tl/expected.hpp>

#include "machine/arm64/core.hpp"
#include "machine/guest_memory.hpp"

namespace vpmu::machine::arm64 {

enum class MemoryUse : std::uint8_t { kFetch, kRead, kWrite };

/// Fault status codes: ESR_ELx.ISS.{DFSC,IFSC} (D13.2.39). Those of walks have a level added.
enum class FaultStatus : std::uint8_t {
  kAddressSize = 0x00,   ///< + level
  kTranslation = 0x04,   ///< + level
  kAccessFlag = 0x08,    ///< + level
  kPermission = 0x0c,    ///< + level
  kExternal = 0x10,      ///< not on a walk
  kExternalWalk = 0x14,  ///< + level
  kAlignment = 0x21,
  kDebug = 0x22,  ///< no abort, but a watchpoint
};

/// Why a translation or an access does not succeed. exceptions.hpp makes an abort of it.
struct Fault {
  std::uint64_t address = 0;  ///< FAR_EL1
  MemoryUse use = MemoryUse::kRead;
  bool maintenance = false;  ///< ISS.CM: DC, IC or AT
  std::uint8_t status = 0;   ///< the fault status code, level included
  bool stage2 = false;       ///< of Cpu::store() only: no fault of the guest's own

  friend bool operator==(const Fault&, const Fault&) = default;
};

[[nodiscard]] constexpr std::uint8_t fault_status(FaultStatus status, unsigned level = 0) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(status) + level);
}

enum class MemoryType : std::uint8_t { kDevice, kNormal };

/// What an address is mapped to, and what may be done there.
struct Translation {
  std::uint64_t physical = 0;  ///< of the byte asked for
  /// log2 of the bytes round it that are mapped as one: 12 to 42. 12 while the MMU is off.
  std::uint8_t size_bits = 12;
  std::uint8_t attributes = 0;    ///< as MAIR_EL1's bytes
  std::uint8_t shareability = 0;  ///< SH: 0 none, 2 outer, 3 inner
  MemoryType type = MemoryType::kDevice;
  bool global = true;  ///< for every ASID

  /// What may be done as the descriptor is now, PAN not considered. A page whose writes are still
  /// to be noted (dirty state) is not writable: translate() for a write notes it.
  bool el0_read = false, el0_write = false, el0_execute = false;
  bool el1_read = false, el1_write = false, el1_execute = false;
  bool was_accessed = true;  ///< the access flag was set before

  friend bool operator==(const Translation&, const Translation&) = default;
};

/// TLBI, as all CPUs or only this one are to do it. Caches of translations may forget more.
struct TlbInvalidation {
  enum class Scope : std::uint8_t {
    kAll,      ///< VMALLE1
    kAsid,     ///< ASIDE1: non-global ones of `asid`
    kPage,     ///< VAE1, VALE1: of `address`, global or of `asid`
    kAnyAsid,  ///< VAAE1, VAALE1: of `address`
  };
  Scope scope = Scope::kAll;
  bool broadcast = false;  ///< ...IS, ...OS: every CPU of the machine
  std::uint16_t asid = 0;
  std::uint64_t address = 0;  ///< of a 4 KiB page, sign-extended from bit 55

  friend bool operator==(const TlbInvalidation&, const TlbInvalidation&) = default;
};

/// IC: instructions may have changed.
struct CodeInvalidation {
  bool all = true;  ///< IALLU, IALLUIS; otherwise the cache line at `physical`, on every CPU
  bool broadcast = false;
  std::uint64_t physical = 0;

  friend bool operator==(const CodeInvalidation&, const CodeInvalidation&) = default;
};

/// System registers that caches of translations and of code depend on.
enum class ContextRegister : std::uint8_t {
  kSctlr,
  kTcr,
  kTtbr0,
  kTtbr1,
  kMair,
  kCpacr,  ///< which instructions trap
  kDebug,  ///< MDSCR_EL1, OSLAR_EL1, breakpoints and watchpoints
};

/// Whoever keeps translations, or code made from translated addresses. Told when the instruction
/// that changed something is done; not if nothing has changed.
class TranslationListener {
 public:
  virtual void on_tlb_invalidation(const TlbInvalidation& invalidation) = 0;
  virtual void on_code_invalidation(const CodeInvalidation& invalidation) = 0;
  virtual void on_context_change(ContextRegister changed) = 0;

 protected:
  ~TranslationListener() = default;
};

class Mmu {
 public:
  /// Both must outlive it. `core` is this CPU's.
  Mmu(const Core& core, const GuestMemory& memory) : core_{core}, memory_{memory} {}

  // `rights`: those of which level. EL1's are subject to PSTATE.PAN; LDTR and STTR at EL1 have
  // EL0's.

  /// Translates for an access that is then made: sets the access flag, and for a write the dirty
  /// state, where TCR_EL1 leaves that to hardware. Does not look at alignment.
  [[nodiscard]] tl::expected<Translation, Fault> translate(std::uint64_t address, MemoryUse use,
                                                           ExceptionLevel rights) const;
  /// The same (`pan`: as if PSTATE.PAN were that), changing nothing: AT, and looks from outside.
  [[nodiscard]] tl::expected<Translation, Fault> probe(std::uint64_t address, MemoryUse use,
                                                       ExceptionLevel rights, bool pan) const;
  /// The physical address, whatever the permissions; changes nothing. For debuggers.
  [[nodiscard]] std::optional<std::uint64_t> look_up(std::uint64_t address) const;

  /// The ASID in use.
  [[nodiscard]] std::uint16_t asid() const;

 private:
  const Core& core_;
  const GuestMemory& memory_;
};

/// An access that is not aligned to its size raises an alignment fault wherever it goes, before it
/// is translated. `must`: exclusive, acquire and release accesses. What goes to Device memory must
/// be aligned, too: that is looked at after the translation.
[[nodiscard]] bool alignment_checked(const Core& core, bool must = false);
[[nodiscard]] Fault alignment_fault(std::uint64_t address, MemoryUse use);

}  // namespace vpmu::machine::arm64
