// SPDX-License-Identifier: MIT
//
// All stacks of an event as one tree: who called what, from the outside to the inside. Functions of
// the same name and kind under the same callers are one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "profile/views/profile.hpp"

namespace vpmu::profile {

struct CallNode {
  std::uint32_t parent = 0;
  NameId label = kNoName;  ///< in CallTree::labels
  NameId image = kNoName;  ///< in the profile's names
  CodeKind kind = CodeKind::kUnknown;
  bool is_task = false;     ///< a guest or a process, not a function
  std::uint32_t depth = 0;  ///< of the root: 0
  Weight self, total;
  std::vector<std::uint32_t> children;  ///< by label, then by kind
};

struct CallTree {
  NameTable labels;
  std::vector<CallNode> nodes;  ///< [0]: everything; parents before their children
};

/// What a view calls a function.
using FunctionLabel = std::function<std::string(const Function&)>;

CallTree make_call_tree(const Profile& profile, std::uint32_t event, const FunctionLabel& label);

}  // namespace vpmu::profile
