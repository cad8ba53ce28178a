// SPDX-License-Identifier: MIT
#include "profile/views/speedscope.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vpmu::profile {

namespace {
using Json = nlohmann::ordered_json;
constexpr const char* kSchema = "https://www.speedscope.app/file-format-schema.json";
constexpr std::size_t kPiece = 1u << 16;

std::string json_string(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Frames of speedscope's are functions: its own views know no addresses.
std::string frame_json(const Profile& profile, const Function& function) {
  std::string name = profile.function_name(function);
  if (function.kind == CodeKind::kKernel) name += " [k]";
  if (function.image == kNoName) return fmt::format("{{\"name\":{}}}", json_string(name));
  return fmt::format("{{\"name\":{},\"file\":{}}}", json_string(name),
                     json_string(profile.names[function.image]));
}

/// The functions of a stack, the outermost first, as JSON.
std::string stack_json(const Profile& profile, StackId stack) {
  std::vector<FunctionId> functions;
  for (; stack != kEmptyStack; stack = profile.stacks[stack].caller) {
    functions.push_back(profile.frames[profile.stacks[stack].frame].function);
  }
  std::ranges::reverse(functions);
  return fmt::format("[{}]", fmt::join(functions, ","));
}

/// Samples of one event on one vCPU.
struct Lane {
  std::string name;
  std::uint64_t total = 0;
  std::vector<const Moment*> moments;
};

std::vector<Lane> lanes_of(const Profile& profile) {
  using Key = std::tuple<std::uint32_t, std::uint32_t, std::string>;
  std::map<Key, Lane> lanes;
  for (const Moment& moment : profile.timeline) {
    const Group& group = profile.groups[moment.group];
    const std::string& task = profile.names[group.task];
    Lane& lane = lanes[{group.event, group.vcpu, group.vcpu == kNoVcpu ? "" : task}];
    if (lane.moments.empty()) {
      lane.name = profile.events[group.event].name;
      if (group.vcpu != kNoVcpu) lane.name += fmt::format(", {}, vCPU {}", task, group.vcpu);
    }
    lane.total += moment.count;
    lane.moments.push_back(&moment);
  }
  std::vector<Lane> list;
  list.reserve(lanes.size());
  for (auto& lane : lanes) list.push_back(std::move(lane.second));
  return list;
}

/// Collects small pieces.
class Writer {
 public:
  explicit Writer(const TextSink& sink) : sink_{sink} {}
  void add(std::string_view text) {
    piece_ += text;
    if (piece_.size() >= kPiece) flush();
  }
  Result<void> finish() {
    flush();
    return std::move(result_);
  }

 private:
  void flush() {
    if (result_) result_ = sink_(piece_);
    piece_.clear();
  }
  const TextSink& sink_;
  std::string piece_;
  Result<void> result_;
};

void write_lane(const Profile& profile, const Lane& lane, Writer& out) {
  out.add(
      fmt::format("{{\"type\":\"sampled\",\"name\":{},\"unit\":\"none\",\"startValue\":0,"
                  "\"endValue\":{},\"samples\":[",
                  json_string(lane.name), lane.total));
  const char* comma = "";
  for (const Moment* moment : lane.moments) {
    out.add(comma);
    out.add(stack_json(profile, profile.groups[moment->group].stack));
    comma = ",";
  }
  out.add("],\"weights\":[");
  comma = "";
  for (const Moment* moment : lane.moments) {
    out.add(fmt::format("{}{}", comma, moment->count));
    comma = ",";
  }
  out.add("]}");
}
}  // namespace

Result<void> write_speedscope(const Profile& profile, const std::string& name,
                              const TextSink& sink) {
  Writer out{sink};
  out.add(fmt::format(
      "{{\"$schema\":\"{}\",\"version\":\"0.0.1\",\"exporter\":\"vpmu\",\"name\":{},\"shared\":{{"
      "\"frames\":[",
      kSchema, json_string(clean_text(name))));
  const char* comma = "";
  for (const Function& function : profile.functions) {
    out.add(comma);
    out.add(frame_json(profile, function));
    comma = ",\n";
  }
  out.add("]},\n\"profiles\":[");
  comma = "";
  for (const Lane& lane : lanes_of(profile)) {
    out.add(comma);
    write_lane(profile, lane, out);
    comma = ",\n";
  }
  out.add("]}\n");
  return out.finish();
}

}  // namespace vpmu::profile
