// SPDX-License-Identifier: MIT
//
// Which events somebody means, as policies and the command line write them:
//
//   MEM_INST_RETIRED.ALL_LOADS       a name of the catalogue's
//   MEM_INST_RETIRED.*               every name that fits; * and ? are wildcards
//   cpu/event=0xd0,umask=0x81/       perf's notation; no umask is 0, umask=* is all 256
//   r81d0                            raw, as in perf: unit mask and event select (with AMD's bits
//                                    35:32)
//
// Terms, bits and modifiers that a filter does not look at (cmask, inv, edge, ..., :u) may be there
// and mean nothing. A name may stand for event= and umask=, as in perf:
// cpu/INST_RETIRED.ANY_P,inv/.
//
// Names of what only a fixed counter counts mean that counter. A code means that selector, and the
// fixed counter that counts the same event, if there is one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/event_catalogue.hpp"
#include "policy/selector_set.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::policy {

struct MeantEvents {
  explicit MeantEvents(silicon::x86::Vendor vendor) : selectors{vendor} {}

  SelectorSet selectors;                 ///< on general-purpose counters
  std::uint32_t fixed = 0;               ///< bit k: fixed counter k counts one of them
  std::vector<const NamedEvent*> named;  ///< by whose names; empty if it was written by its code
};

/// An error is one line: what was not understood, and the nearest names.
Result<MeantEvents> parse_event_pattern(std::string_view text, const EventCatalogue& catalogue);

}  // namespace vpmu::policy
