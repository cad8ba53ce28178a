// SPDX-License-Identifier: MIT
//
// What an id in a record says: which event, and, if the file has an index, of which VM and vCPU.
#pragma once

#include <cstdint>
#include <vector>

#include "profile/perf_data/reader.hpp"

namespace vpmu::profile::perf_data {

struct IdMeaning {
  std::uint64_t id = 0;
  std::uint32_t event = 0;
  std::uint32_t machine_pid = 0;
  std::uint32_t vcpu = ~std::uint32_t{0};
};

class EventIds {
 public:
  explicit EventIds(const std::vector<FileEvent>& events);

  /// Null: no event has it. Valid until learn().
  const IdMeaning* find(std::uint64_t id);
  /// From an index. What no event has is forgotten.
  void learn(std::uint64_t id, std::uint32_t machine_pid, std::uint32_t vcpu);

 private:
  std::vector<IdMeaning> by_id_;
  std::size_t last_ = 0;  ///< what was found; the next is often the same
};

}  // namespace vpmu::profile::perf_data
