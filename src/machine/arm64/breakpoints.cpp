// SPDX-License-Identifier: MIT
#include "machine/arm64/breakpoints.hpp"

#include <algorithm>

#include "machine/arm64/exceptions.hpp"

namespace vpmu::machine::arm64 {

namespace {

/// What DBGBCRn_EL1 and DBGWCRn_EL1 have in common (D13.3.2, D13.3.11).
struct Control : Register<std::uint64_t> {
  static constexpr Field<0> kEnabled{};
  static constexpr Field<2, 1> kLevels{};  ///< PMC, PAC: bit 0 is EL1, bit 1 EL0
  static constexpr Field<13> kHigher{};    ///< HMC
  static constexpr Field<15, 14> kSecurity{};
  static constexpr Field<19, 16> kLinkedTo{};  ///< LBN

  // Breakpoints
  static constexpr Field<23, 20> kType{};  ///< BT

  // Watchpoints
  static constexpr Field<4, 3> kUses{};  ///< LSC: bit 0 is loads, bit 1 stores
  static constexpr Field<12, 5> kBytes{};
  static constexpr Field<20> kLinked{};
  static constexpr Field<28, 24> kMask{};
};

/// DBGBCRn_EL1.BT. Types that want EL2 match nothing.
enum : std::uint64_t {
  kAddress = 0b0000,
  kLinkedAddress = 0b0001,
  kContext = 0b0010,
  kLinkedContext = 0b0011,
};

/// ID_AA64DFR0_EL1.CTX_CMPs is zero: one breakpoint knows contexts, the last one.
constexpr unsigned kContextBreakpoint = kBreakpoints - 1;

/// Enabled, for that level. What selects EL2, EL3 or a security state is reserved where there are
/// none, and matches nothing.
bool covers(Control control, ExceptionLevel level) {
  if (control.get(Control::kEnabled) == 0 || control.get(Control::kHigher) != 0 ||
      control.get(Control::kSecurity) != 0) {
    return false;
  }
  const std::uint64_t bit = level == ExceptionLevel::kEl1 ? 1 : 2;
  return (control.get(Control::kLevels) & bit) != 0;
}

bool can_match(const Core& core) {
  return Mdscr{{core.mdscr}}.get(Mdscr::kMde) != 0 && debug_exceptions_enabled(core);
}

bool context_matches(const Core& core, const DebugPair& pair) {
  constexpr std::uint64_t kContextBits = 0xffff'ffff;
  return (pair.value & kContextBits) == core.contextidr;
}

/// The link of an address match leads to a context that is the current one.
bool link_matches(const Core& core, Control control) {
  if (control.get(Control::kLinkedTo) != kContextBreakpoint) return false;
  const DebugPair& linked = core.breakpoints[kContextBreakpoint];
  const Control context{{linked.control}};
  return context.get(Control::kEnabled) != 0 && context.get(Control::kType) == kLinkedContext &&
         context_matches(core, linked);
}

/// Address bits that are compared: tags that are ignored are not.
std::uint64_t compared_bits(const Core& core, std::uint64_t address) {
  return tag_ignored(core, address) ? ~kTagBits : ~std::uint64_t{0};
}

bool same_word(const Core& core, std::uint64_t pc, std::uint64_t value) {
  constexpr std::uint64_t kInWord = 3;
  return ((pc ^ value) & compared_bits(core, pc) & ~kInWord) == 0;
}

bool matches(const Core& core, unsigned n, std::uint64_t pc) {
  const DebugPair& pair = core.breakpoints[n];
  const Control control{{pair.control}};
  if (!covers(control, core.el)) return false;
  switch (control.get(Control::kType)) {
    case kAddress: return same_word(core, pc, pair.value);
    case kLinkedAddress: return same_word(core, pc, pair.value) && link_matches(core, control);
    case kContext: return n == kContextBreakpoint && context_matches(core, pair);
    default: return false;
  }
}

/// The byte at `address` is one of those that are watched (WatchpointByteMatch).
bool watches_byte(const Core& core, const DebugPair& pair, std::uint64_t address) {
  const Control control{{pair.control}};
  const std::uint64_t mask = control.get(Control::kMask);
  if (mask == 1 || mask == 2) return false;  // reserved
  // A value that is a multiple of 4, but not of 8, has 4 bytes to select.
  const unsigned select_bits = (pair.value & 4) != 0 ? 2 : 3;
  const std::uint64_t select = address & ((1U << select_bits) - 1);
  if ((control.get(Control::kBytes) >> select & 1) == 0) return false;
  const std::uint64_t ignored = std::max<std::uint64_t>(mask, select_bits);
  const std::uint64_t differs = (address ^ pair.value) & compared_bits(core, address);
  return differs >> ignored == 0;
}

bool watches(const Core& core, const DebugPair& pair, const WatchedAccess& access) {
  const Control control{{pair.control}};
  const std::uint64_t use = access.use == MemoryUse::kWrite ? 2 : 1;
  return covers(control, access.rights) && (control.get(Control::kUses) & use) != 0 &&
         (control.get(Control::kLinked) == 0 || link_matches(core, control));
}

}  // namespace

bool breakpoints_armed(const Core& core) {
  return can_match(core) && std::ranges::any_of(core.breakpoints, [&core](const DebugPair& pair) {
           return covers(Control{{pair.control}}, core.el);
         });
}

bool watchpoints_armed(const Core& core) {
  // EL1 can access with EL0's rights, too.
  return can_match(core) && std::ranges::any_of(core.watchpoints, [&core](const DebugPair& pair) {
           const Control control{{pair.control}};
           return covers(control, core.el) || covers(control, ExceptionLevel::kEl0);
         });
}

bool breakpoint_at(const Core& core, std::uint64_t pc) {
  if (!can_match(core)) return false;
  for (unsigned n = 0; n < kBreakpoints; ++n) {
    if (matches(core, n, pc)) return true;
  }
  return false;
}

std::optional<std::uint64_t> watchpoint_at(const Core& core, const WatchedAccess& access) {
  if (!can_match(core)) return std::nullopt;
  for (std::uint64_t n = 0; n < access.bytes; ++n) {
    for (const DebugPair& pair : core.watchpoints) {
      const std::uint64_t address = access.address + n;
      if (watches(core, pair, access) && watches_byte(core, pair, address)) return address;
    }
  }
  return std::nullopt;
}

}  // namespace vpmu::machine::arm64
