// SPDX-License-Identifier: MIT
//
// The event filter of a VM, changeable while its vCPUs run on threads of their own:
//
//   EventFilterSlot slot;            // outlives the PMUs' use of it
//   slot.attach(pmu);                // each vCPU's, before it runs
//   slot.publish(std::move(filter));
//
// Read-copy-update (vpmu/virt/read_copy_update.hpp: threads need not register). A vCPU decides
// within a read-side section by the whole old filter or the whole new one; publish() frees the old
// one when nobody can be inside it any more, and has by then told every PMU to program its counters
// anew before its next guest instruction. Counters that the new filter denies keep their counts,
// and go on from there should a later one allow them.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "vpmu/virt/read_copy_update.hpp"
#include "vpmu/virt/x86/event_filter.hpp"
#include "vpmu/virt/x86/event_gate.hpp"

namespace vpmu::virt::x86 {

class EventFilterSlot final : public EventGate {
 public:
  /// No filter: everything may be counted.
  EventFilterSlot() = default;
  /// No PMU asks any more.
  ~EventFilterSlot();
  EventFilterSlot(const EventFilterSlot&) = delete;
  EventFilterSlot& operator=(const EventFilterSlot&) = delete;

  /// Becomes the PMU's or PV perf's gate, on the thread that runs its vCPU or before it runs.
  void attach(EventGateUser& user);
  /// It has no gate any more. Before it ends, on the same thread.
  void detach(EventGateUser& user);

  /// From now on `filter` decides; null: everything may be counted. On any thread, not within
  /// read(). Returns when no vCPU can still be deciding by the filter before, if there was one, and
  /// each has been told to decide again (PmiSink::request_entry_work(), on this thread): the VMM
  /// sees to it that it leaves its guest for that.
  void publish(std::unique_ptr<const EventFilter> filter);

  [[nodiscard]] bool admits(silicon::x86::EventSelector event) const override;
  [[nodiscard]] bool admits_fixed(unsigned k) const override;

  /// Calls `look` with the filter in force, or null; it is whole, and there until `look` returns.
  template <class Look>
  auto read(Look&& look) const {
    const RcuReadSection section;
    return look(filter_.load(std::memory_order_acquire));
  }

 private:
  std::atomic<const EventFilter*> filter_ = nullptr;
  std::mutex writers_;
  std::vector<EventGateUser*> users_;
};

}  // namespace vpmu::virt::x86
