// SPDX-License-Identifier: MIT
//
// What the tasks of a profile are called: guests, processes and their threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "profile/perf_data/reader.hpp"
#include "profile/views/name_table.hpp"

namespace vpmu::profile {

class TaskNames {
 public:
  void on_comm(const perf_data::CommRecord& comm);

  /// A new thread has its parent's name until it gets another.
  void on_fork(const perf_data::ForkRecord& fork);

  /// "vm:NAME" of a guest; of the host, its process' name, or ":PID".
  [[nodiscard]] std::string name_of(const perf_data::Task& task) const;
  /// As perf calls it: the thread's name, or ":TID".
  [[nodiscard]] std::string thread_of(const perf_data::Task& task) const;
  /// Guests' names, in the order of the file.
  [[nodiscard]] const std::vector<std::string>& guests() const { return guests_; }

 private:
  /// A thread of a machine; the process' own with its number as tid.
  static std::uint64_t key(std::uint32_t pid, std::uint32_t tid) {
    return (std::uint64_t{pid} << 32) | tid;
  }

  std::unordered_map<std::uint64_t, std::string> threads_;        ///< of the host
  std::unordered_map<std::uint64_t, std::string> guest_threads_;  ///< by machine and tid
  std::unordered_map<std::uint32_t, std::string> machines_;       ///< by number
  std::vector<std::string> guests_;
};

}  // namespace vpmu::profile
