// SPDX-License-Identifier: MIT
#include "profile/views/folded.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "profile/views/call_tree.hpp"
#include "profile/views/function_name.hpp"

namespace vpmu::profile {

namespace {
std::string task_name(std::string_view name) {
  std::string folded = folded_name(name);
  std::ranges::replace(folded, ' ', '_');
  return folded;
}
/// "task;outermost;...;innermost".
std::string stack_text(const CallTree& tree, const CallNode& innermost) {
  std::vector<const CallNode*> frames;
  for (const CallNode* node = &innermost; node->depth != 0; node = &tree.nodes[node->parent]) {
    frames.push_back(node);
  }
  std::string text;
  for (auto node = frames.rbegin(); node != frames.rend(); ++node) {
    const std::string& label = tree.labels[(*node)->label];
    if (!text.empty()) text += ';';
    text += (*node)->is_task ? task_name(label) : label;
  }
  return text;
}
}  // namespace

std::string folded_name(std::string_view name) {
  std::string folded{without_arguments(name)};
  std::erase_if(folded, [](char c) { return c == '<' || c == '>' || c == '"' || c == '\''; });
  std::ranges::replace(folded, ';', ':');
  return folded.empty() ? "[unknown]" : folded;
}

Result<void> write_folded(const Profile& profile, std::uint32_t event, WeightKind weight,
                          const TextSink& sink) {
  const CallTree tree = make_call_tree(profile, event, [&](const Function& function) {
    const std::string name =
        function.name == kNoName ? "[unknown]" : folded_name(profile.names[function.name]);
    return function.kind == CodeKind::kKernel ? name + "_[k]" : name;
  });
  std::vector<std::string> lines;
  for (const CallNode& node : tree.nodes) {
    if (node.self.samples == 0) continue;
    lines.push_back(stack_text(tree, node));
    lines.back() +=
        fmt::format(" {}\n", weight == WeightKind::kSamples ? node.self.samples : node.self.count);
  }
  std::ranges::sort(lines);
  for (const std::string& line : lines) {
    if (auto written = sink(line); !written) return written;
  }
  return {};
}

}  // namespace vpmu::profile
