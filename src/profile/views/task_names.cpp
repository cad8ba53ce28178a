// SPDX-License-Identifier: MIT
#include "profile/views/task_names.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "profile/views/call_chain.hpp"

namespace vpmu::profile {

using perf_data::Task;

void TaskNames::on_comm(const perf_data::CommRecord& comm) {
  const Task& task = comm.task;
  std::string name{comm.name};
  if (!is_guest(task.mode) && task.machine_pid == 0) {
    threads_[key(task.pid, task.tid)] = std::move(name);
    return;
  }
  machines_.try_emplace(task.machine_pid, name);
  guest_threads_[key(task.machine_pid, task.tid)] = name;
  if (std::ranges::find(guests_, name) == guests_.end()) guests_.push_back(std::move(name));
}

void TaskNames::on_fork(const perf_data::ForkRecord& fork) {
  if (is_guest(fork.task.mode) || fork.task.machine_pid != 0) return;
  const auto parent = threads_.find(key(fork.parent_pid, fork.parent_tid));
  if (parent == threads_.end()) return;
  threads_[key(fork.task.pid, fork.task.tid)] = std::string{parent->second};
}

std::string TaskNames::name_of(const Task& task) const {
  if (is_guest(task.mode)) {
    const auto found = machines_.find(task.machine_pid);
    if (found != machines_.end()) return fmt::format("vm:{}", found->second);
    return task.machine_pid == 0 ? "vm" : fmt::format("vm:{}", task.machine_pid);
  }
  for (const std::uint32_t tid : {task.pid, task.tid}) {
    const auto found = threads_.find(key(task.pid, tid));
    if (found != threads_.end()) return found->second;
  }
  return fmt::format(":{}", task.pid);
}

std::string TaskNames::thread_of(const Task& task) const {
  const bool guest = is_guest(task.mode);
  const auto& threads = guest ? guest_threads_ : threads_;
  const auto found = threads.find(key(guest ? task.machine_pid : task.pid, task.tid));
  return found != threads.end() ? found->second : fmt::format(":{}", task.tid);
}

}  // namespace vpmu::profile
