// SPDX-License-Identifier: MIT
//
// What an operator writes down: a TOML file that says which events guests on a CPU may count.
//
//   cpu = "icelake-server"            # or a PMU of libpfm4's, e.g. "icx"
//   default = "deny"                  # what is said of every event that nothing below names; deny
//                                     # if it is left out
//   tier = "architectural"            # optional: start from a named set
//   allow = ["MEM_INST_RETIRED.*", "cpu/event=0xd0,umask=0x81/", "r01c4"]
//   deny = ["MEM_INST_RETIRED.LOCK_LOADS"]
//
//   [fixed]                           # optional: what follows from the events is right mostly
//   allow = [0, "CPU_CLK_UNHALTED.THREAD"]
//   deny = [3]
//
// The list that says the opposite of `default` names events, the other one exceptions to it:
// with "deny", what is allowed is (tier and `allow`) without `deny`; with "allow", everything
// without (`deny` without `allow`), and there can be no tier. A fixed counter goes with the events
// it counts: with "deny" it is allowed if one of them is, with "allow" denied if one of them is.
// What [fixed] says of it comes last. Where that may surprise there is a warning.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/event_catalogue.hpp"
#include "policy/selector_set.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::policy {

/// A policy worked out: what may be counted.
struct Policy {
  const EventCatalogue* catalogue;
  bool allows_by_default = false;
  std::string tier;                 ///< empty: none
  SelectorSet allowed;              ///< on general-purpose counters
  std::uint32_t fixed_allowed = 0;  ///< bit k: fixed counter k
  /// Lines that do nothing: "FILE:3:10: ...", in the order of the file.
  std::vector<std::string> warnings;
};

/// Reads a policy. `file` is what errors call it; they have line and column: "FILE:3:10: ...".
Result<Policy> parse_policy(std::string_view text, std::string_view file);

}  // namespace vpmu::policy
