// SPDX-License-Identifier: MIT
#include "profile/views/call_tree.hpp"

#include <algorithm>
#include <tuple>

#include "profile/views/id_table.hpp"

namespace vpmu::profile {

namespace {
class Builder {
 public:
  Builder(const Profile& profile, const FunctionLabel& label) : profile_{profile} {
    tree_.nodes.push_back({});
    for (const Function& function : profile.functions) {
      labels_.push_back(tree_.labels.add(label(function)));
    }
  }

  void add(const Group& group) {
    functions_.clear();
    for (StackId at = group.stack; at != kEmptyStack; at = profile_.stacks[at].caller) {
      functions_.push_back(profile_.frames[profile_.stacks[at].frame].function);
    }
    tree_.nodes[0].total.add(group.weight);
    CallNode task;
    task.label = tree_.labels.add(profile_.names[group.task]);
    task.is_task = true;
    std::uint32_t node = child(0, task, group.weight);
    for (auto function = functions_.rbegin(); function != functions_.rend(); ++function) {
      CallNode frame;
      frame.label = labels_[*function];
      frame.image = profile_.functions[*function].image;
      frame.kind = profile_.functions[*function].kind;
      node = child(node, frame, group.weight);
    }
    tree_.nodes[node].self.add(group.weight);
  }

  CallTree finish() {
    for (std::uint32_t i = 1; i < tree_.nodes.size(); ++i) {
      tree_.nodes[tree_.nodes[i].parent].children.push_back(i);
    }
    const auto key = [&](std::uint32_t id) {
      const CallNode& node = tree_.nodes[id];
      return std::tie(tree_.labels[node.label], node.kind);
    };
    for (CallNode& node : tree_.nodes) std::ranges::sort(node.children, {}, key);
    return std::move(tree_);
  }

 private:
  std::uint32_t child(std::uint32_t parent, CallNode& node, const Weight& weight) {
    const std::uint64_t hash =
        Hash{}
            .add((std::uint64_t{parent} << 32) | node.label)
            .add(static_cast<std::uint64_t>(node.kind) * 2 + (node.is_task ? 1 : 0))
            .value();
    const auto next = static_cast<std::uint32_t>(tree_.nodes.size());
    const auto [id, added] = ids_.find_or_add(hash, next, [&](std::uint32_t known) {
      const CallNode& other = tree_.nodes[known];
      return other.parent == parent && other.label == node.label && other.kind == node.kind &&
             other.is_task == node.is_task;
    });
    if (added) {
      node.parent = parent;
      node.depth = tree_.nodes[parent].depth + 1;
      tree_.nodes.push_back(std::move(node));
    }
    tree_.nodes[id].total.add(weight);
    return id;
  }

  const Profile& profile_;
  CallTree tree_;
  std::vector<NameId> labels_;  ///< of functions
  std::vector<FunctionId> functions_;
  IdTable ids_;
};
}  // namespace

CallTree make_call_tree(const Profile& profile, std::uint32_t event, const FunctionLabel& label) {
  Builder builder{profile, label};
  for (const Group& group : profile.groups) {
    if (group.event == event) builder.add(group);
  }
  return builder.finish();
}

}  // namespace vpmu::profile
