// SPDX-License-Identifier: MIT
#include "profile/views/profile_builder.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace vpmu::profile {

using perf_data::CpuMode;
using perf_data::SampleRecord;
using perf_data::Task;

namespace {
/// perf_branch_entry's flags.
constexpr std::uint64_t kMispredicted = 1, kPredicted = 2;
constexpr unsigned kCyclesShift = 4;
constexpr std::uint64_t kCyclesMask = 0xffff;

/// Where the branch says in which mode it was; otherwise as the sample.
CpuMode branch_mode(const perf_data::BranchEntry& entry, CpuMode sampled) {
  constexpr unsigned kPrivilegeShift = 30;
  constexpr std::uint64_t kUser = 1, kKernel = 2;
  const std::uint64_t privilege = (entry.flags >> kPrivilegeShift) & 7;
  if (privilege == kUser) return is_guest(sampled) ? CpuMode::kGuestUser : CpuMode::kUser;
  if (privilege == kKernel) return is_guest(sampled) ? CpuMode::kGuestKernel : CpuMode::kKernel;
  return sampled;
}

bool same_space(const Task& a, const Task& b) {
  return a.machine_pid == b.machine_pid && a.pid == b.pid && is_guest(a.mode) == is_guest(b.mode);
}
}  // namespace

ProfileBuilder::ProfileBuilder(const perf_data::FileInfo& info, AddressSpaces& spaces,
                               ProfileOptions options)
    : spaces_{spaces}, options_{options} {
  for (const perf_data::FileEvent& event : info.events) {
    profile_.events.push_back({clean_text(event.name), {}, {}, false});
  }
}

void ProfileBuilder::on_comm(const perf_data::CommRecord& comm) {
  tasks_.on_comm(comm);
  forget_mappings(comm, spaces_);
  if (comm.exec) forget_space(comm.task);
  last_task_.reset();
}

void ProfileBuilder::on_fork(const perf_data::ForkRecord& fork) {
  tasks_.on_fork(fork);
  share_mappings(fork, spaces_);
  forget_space(fork.task);
}

/// The same addresses may be something else from now on.
void ProfileBuilder::forget_space(const Task& task) {
  space_ids_.erase({is_guest(task.mode), task.machine_pid, task.pid});
  last_task_.reset();
}

void ProfileBuilder::on_mapping(const perf_data::MappingRecord& mapping) {
  if (!mapping.executable) return;
  spaces_.map(code_of(mapping));
  if (is_kernel(code_of(mapping).owner.mode)) space_ids_.clear();
  forget_space(mapping.task);
}

std::uint32_t ProfileBuilder::space_of(const Task& task) {
  const auto [found, added] =
      space_ids_.try_emplace({is_guest(task.mode), task.machine_pid, task.pid}, next_space_);
  if (added) ++next_space_;
  return found->second;
}

bool ProfileBuilder::is_chain(StackId stack, std::uint32_t space) const {
  for (const Place& place : chain_) {
    if (stack == kEmptyStack) return false;
    const StackNode& node = profile_.stacks[stack];
    const Frame& frame = profile_.frames[node.frame];
    if (frame.address != place.address || frame.space != space || frame.mode != place.mode ||
        frame.is_caller != place.is_caller) {
      return false;
    }
    stack = node.caller;
  }
  return stack == kEmptyStack;
}

StackId ProfileBuilder::stack_of(const Task& task, std::uint32_t space) {
  Hash hash;
  hash.add(space);
  for (const Place& place : chain_) {
    hash.add(place.address ^ (static_cast<std::uint64_t>(place.mode) << 56));
  }
  const auto next = static_cast<std::uint32_t>(known_stacks_.size());
  const auto [known, added] = stack_ids_.find_or_add(
      hash.value(), next, [&](std::uint32_t id) { return is_chain(known_stacks_[id], space); });
  if (added) known_stacks_.push_back(add_stack(task, space));
  return known_stacks_[known];
}

StackId ProfileBuilder::add_stack(const Task& task, std::uint32_t space) {
  StackId stack = kEmptyStack;
  for (auto place = chain_.rbegin(); place != chain_.rend(); ++place) {
    const FrameId frame = frame_of(task, space, *place);
    const auto next = static_cast<StackId>(profile_.stacks.size());
    const auto [id, added] =
        node_ids_.find_or_add(Hash{}.add(stack).add(frame).value(), next, [&](StackId known) {
          return profile_.stacks[known].caller == stack && profile_.stacks[known].frame == frame;
        });
    if (added) profile_.stacks.push_back({stack, frame, profile_.stacks[stack].depth + 1});
    stack = id;
  }
  return stack;
}

FrameId ProfileBuilder::frame_of(const Task& task, std::uint32_t space, const Place& place) {
  const auto next = static_cast<FrameId>(profile_.frames.size());
  const auto mode = static_cast<std::uint64_t>(place.mode);
  const std::uint64_t hash =
      Hash{}.add(place.address).add(space).add(mode * 2 + (place.is_caller ? 1 : 0)).value();
  const auto [id, added] = frame_ids_.find_or_add(hash, next, [&](FrameId known) {
    const Frame& frame = profile_.frames[known];
    return frame.address == place.address && frame.space == space && frame.mode == place.mode &&
           frame.is_caller == place.is_caller;
  });
  if (added) profile_.frames.push_back(resolve(task, space, place));
  return id;
}

Frame ProfileBuilder::resolve(const Task& task, std::uint32_t space, const Place& place) {
  const std::uint64_t asked = address_to_name(place);
  const AddressInfo info = spaces_.find(owner_of(task, place.mode), asked);
  Frame frame;
  frame.address = place.address;
  frame.mode = place.mode;
  frame.is_caller = place.is_caller;
  frame.space = space;
  frame.linked = info.linked + (place.address - asked);
  NameId name = kNoName;
  NameId image = kNoName;
  if (info.symbol != nullptr) {
    name = profile_.names.add(info.symbol->name);
    frame.into_function = info.in_symbols - info.symbol->start + (place.address - asked);
  }
  if (info.image != nullptr) {
    frame.image = image_of(info.image);
    image = profile_.names.add(info.image->name);
  }
  frame.function = function_of(name, image, code_kind(place.mode));
  return frame;
}

std::uint32_t ProfileBuilder::image_of(const Image* image) {
  const auto next = static_cast<std::uint32_t>(profile_.images.size());
  const auto [found, added] = image_ids_.try_emplace(image, next);
  if (added) profile_.images.push_back(image);
  return found->second;
}

FunctionId ProfileBuilder::function_of(NameId name, NameId image, CodeKind kind) {
  const auto next = static_cast<FunctionId>(profile_.functions.size());
  const std::uint64_t hash =
      Hash{}.add(name).add(image).add(static_cast<std::uint64_t>(kind)).value();
  const auto [id, added] = function_ids_.find_or_add(hash, next, [&](FunctionId known) {
    const Function& function = profile_.functions[known];
    return function.name == name && function.image == image && function.kind == kind;
  });
  if (added) profile_.functions.push_back({name, image, kind});
  return id;
}

std::uint32_t ProfileBuilder::group_of(const Group& group) {
  const auto next = static_cast<std::uint32_t>(profile_.groups.size());
  const std::uint64_t hash = Hash{}
                                 .add((std::uint64_t{group.stack} << 32) | group.task)
                                 .add((std::uint64_t{group.event} << 32) | group.vcpu)
                                 .add(static_cast<std::uint64_t>(group.mode))
                                 .value();
  const auto [id, added] = group_ids_.find_or_add(hash, next, [&](std::uint32_t known) {
    const Group& other = profile_.groups[known];
    return other.stack == group.stack && other.task == group.task && other.event == group.event &&
           other.vcpu == group.vcpu && other.mode == group.mode;
  });
  if (added) profile_.groups.push_back(group);
  return id;
}

void ProfileBuilder::on_sample(const SampleRecord& sample) {
  if (sample.event >= profile_.events.size()) return;
  if (options_.event && sample.event != *options_.event) return;
  const Task& task = sample.task;
  if (!last_task_ || !same_space(*last_task_, task)) last_space_ = space_of(task);
  if (!last_task_ || !same_space(*last_task_, task) || last_task_->tid != task.tid) {
    last_name_ = profile_.names.add(tasks_.name_of(task));
  }
  last_task_ = task;

  take_call_chain(sample, chain_);
  const StackId stack = stack_of(task, last_space_);
  const Weight weight{1, sample.period};
  const std::uint32_t group = group_of({sample.event, task.vcpu, last_name_, task.mode, stack, {}});
  profile_.groups[group].weight.add(weight);

  EventTotals& event = profile_.events[sample.event];
  if (event.total.samples == 0 && seen_ == 0) profile_.first_time = sample.time;
  ++seen_;
  profile_.first_time = std::min(profile_.first_time, sample.time);
  profile_.last_time = std::max(profile_.last_time, sample.time);
  event.total.add(weight);
  event.has_callers |= chain_.size() > 1;
  if (profile_.function_of(profile_.stacks[stack].frame).name == kNoName) {
    event.without_symbol.add(weight);
  }
  if (options_.timeline) profile_.timeline.push_back({group, sample.period});
  if (options_.branches) add_branches(sample, last_space_);
}

void ProfileBuilder::add_branches(const SampleRecord& sample, std::uint32_t space) {
  for (const perf_data::BranchEntry& entry : sample.branches) {
    const CpuMode mode = branch_mode(entry, sample.task.mode);
    const FrameId from = frame_of(sample.task, space, {entry.from, mode, false});
    const FrameId to = frame_of(sample.task, space, {entry.to, mode, false});
    const auto next = static_cast<std::uint32_t>(profile_.branches.size());
    const std::uint64_t hash =
        Hash{}.add((std::uint64_t{from} << 32) | to).add(sample.event).value();
    const auto [id, added] = branch_ids_.find_or_add(hash, next, [&](std::uint32_t known) {
      const BranchPair& pair = profile_.branches[known];
      return pair.from == from && pair.to == to && pair.event == sample.event;
    });
    if (added) profile_.branches.push_back({sample.event, from, to});
    BranchPair& pair = profile_.branches[id];
    ++pair.taken;
    if ((entry.flags & kMispredicted) != 0) ++pair.mispredicted;
    if ((entry.flags & kPredicted) != 0) ++pair.predicted;
    const std::uint64_t cycles = (entry.flags >> kCyclesShift) & kCyclesMask;
    pair.cycles += cycles;
    if (cycles != 0) ++pair.timed;
  }
}

Profile ProfileBuilder::finish(bool complete) {
  profile_.complete = complete;
  for (const std::string& guest : tasks_.guests()) profile_.guests.push_back(clean_text(guest));
  std::unordered_set<NameId> seen;
  for (const Group& group : profile_.groups) {
    if (is_guest(group.mode) || !seen.insert(group.task).second) continue;
    profile_.processes.push_back(profile_.names[group.task]);
  }
  return std::move(profile_);
}

}  // namespace vpmu::profile
