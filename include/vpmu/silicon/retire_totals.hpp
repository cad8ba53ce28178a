// SPDX-License-Identifier: MIT
//
// Retire totals: per vCPU, one 64-bit total per raw event and privilege. They only ever grow. The
// CPU adds to them; counters remember the total at which they were started and never touch the
// guest's path in between.
//
// A CPU may hold back what it retired and hand it over in bulk: it is then the totals'
// RetireSource, and every read asks it first. Reads are exact to the instruction at any time.
//
// Not thread-safe: a vCPU's totals belong to the thread that runs the vCPU. Allocates nothing.
#pragma once

#include <array>
#include <cstdint>

#include "vpmu/silicon/raw_event.hpp"

namespace vpmu::silicon {

/// A CPU that hands over what it retired when asked.
class RetireSource {
 public:
  /// Adds everything retired so far and not yet added. May be called at any instruction boundary.
  virtual void hand_over() = 0;

 protected:
  ~RetireSource() = default;
};

class RetireTotals {
 public:
  /// `source` must outlive its registration; null: the CPU adds as it goes.
  void set_source(RetireSource* source) { source_ = source; }

  /// For the CPU: `count` more of `event` retired at `privilege`.
  void add(RawEvent event, Privilege privilege, std::uint64_t count) {
    totals_[index(privilege)][index(event)] += count;
  }

  /// For the CPU: the totals of one privilege, indexed by RawEvent.
  std::array<std::uint64_t, kRawEventCount>& of(Privilege privilege) {
    return totals_[index(privilege)];
  }

  /// The total over the given privileges, up to and including the last retired instruction.
  [[nodiscard]] std::uint64_t read(RawEvent event, PrivilegeSet privileges) const {
    hand_over();
    return held(event, privileges);
  }

  /// Asks the source for what it holds back. From then to the next instruction, held() is exact.
  void hand_over() const {
    if (source_ != nullptr) source_->hand_over();
  }
  /// As read(), without asking the source: right after it has handed over.
  [[nodiscard]] std::uint64_t held(RawEvent event, PrivilegeSet privileges) const {
    std::uint64_t total = 0;
    if (privileges.user) total += totals_[index(Privilege::kUser)][index(event)];
    if (privileges.kernel) total += totals_[index(Privilege::kKernel)][index(event)];
    return total;
  }

  /// By privilege and RawEvent.
  using State = std::array<std::array<std::uint64_t, kRawEventCount>, kPrivilegeCount>;

  /// The totals, handed over. What is demanded is not among it: that follows from who counts.
  [[nodiscard]] State save() const {
    if (source_ != nullptr) source_->hand_over();
    return totals_;
  }
  void restore(const State& state) {
    if (source_ != nullptr) source_->hand_over();
    totals_ = state;
  }

  /// Some events cost something to know (mispredicted branches need a predictor). Whoever counts an
  /// event demands it for as long as it counts; the CPU may skip events that nobody demands, whose
  /// totals then stand still.
  void demand(RawEvent event) {
    if (demand_[index(event)]++ == 0) demanded_ |= bit(event);
  }
  void release(RawEvent event) {
    if (--demand_[index(event)] == 0) demanded_ &= ~bit(event);
  }
  [[nodiscard]] bool demanded(RawEvent event) const { return (demanded_ & bit(event)) != 0; }
  /// Which of a set of events somebody demands; sets are made by events().
  [[nodiscard]] std::uint64_t demanded_among(std::uint64_t events) const {
    return demanded_ & events;
  }
  /// The events from `first` to `last` as a set.
  static constexpr std::uint64_t events(RawEvent first, RawEvent last) {
    return 2 * bit(last) - bit(first);
  }

 private:
  static constexpr std::size_t index(RawEvent event) { return static_cast<std::size_t>(event); }
  static constexpr std::size_t index(Privilege privilege) {
    return static_cast<std::size_t>(privilege);
  }

  static constexpr std::uint64_t bit(RawEvent event) { return std::uint64_t{1} << index(event); }
  static_assert(kRawEventCount < 64);

  State totals_{};
  std::array<std::uint32_t, kRawEventCount> demand_{};
  std::uint64_t demanded_ = 0;  ///< by event
  RetireSource* source_ = nullptr;
};

}  // namespace vpmu::silicon
