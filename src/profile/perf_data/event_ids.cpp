// SPDX-License-Identifier: MIT
#include "profile/perf_data/event_ids.hpp"

#include <algorithm>

namespace vpmu::profile::perf_data {

EventIds::EventIds(const std::vector<FileEvent>& events) {
  for (std::size_t event = 0; event < events.size(); ++event) {
    for (const std::uint64_t id : events[event].ids) {
      by_id_.push_back({.id = id, .event = static_cast<std::uint32_t>(event)});
    }
  }
  std::stable_sort(by_id_.begin(), by_id_.end(),
                   [](const IdMeaning& a, const IdMeaning& b) { return a.id < b.id; });
}

const IdMeaning* EventIds::find(std::uint64_t id) {
  if (last_ < by_id_.size() && by_id_[last_].id == id) return &by_id_[last_];
  const auto found = std::lower_bound(
      by_id_.begin(), by_id_.end(), id,
      [](const IdMeaning& meaning, std::uint64_t sought) { return meaning.id < sought; });
  if (found == by_id_.end() || found->id != id) return nullptr;
  last_ = static_cast<std::size_t>(found - by_id_.begin());
  return &*found;
}

void EventIds::learn(std::uint64_t id, std::uint32_t machine_pid, std::uint32_t vcpu) {
  if (find(id) == nullptr) return;
  by_id_[last_].machine_pid = machine_pid;
  by_id_[last_].vcpu = vcpu;
}

}  // namespace vpmu::profile::perf_data
