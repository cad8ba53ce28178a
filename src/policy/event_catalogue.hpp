// SPDX-License-Identifier: MIT
//
// The events of a CPU by name: names and encodings are libpfm4's, of all its Intel and AMD core
// PMUs. A catalogue is asked for by libpfm4's name of the PMU ("icx") or by the name of one of our
// CPU models ("icelake-server").
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vpmu/base/result.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/silicon/x86/event_table.hpp"

namespace vpmu::policy {

/// An event that a counter can be told to count, as libpfm4 knows it: an event and one of its unit
/// masks, or an event without any. Where our CPU models name an event otherwise, or libpfm4 has it
/// wrong, theirs is there too, or instead.
struct NamedEvent {
  std::string name;  ///< "MEM_INST_RETIRED.ALL_LOADS"
  silicon::x86::EventSelector selector;
  std::string description;
  /// The fixed counter that counts the same event, or silicon::x86::kNoFixedCounter. Event 3CH/01H
  /// has none: before Sapphire Rapids it has another rate than fixed counter 2 (which counts
  /// 00H/03H), and KVM takes them for two events.
  std::int8_t fixed = silicon::x86::kNoFixedCounter;
  /// Counted on that fixed counter only: `selector` is a pseudo-encoding (event select 0).
  bool fixed_only = false;
};

/// A PMU that has a catalogue.
struct CataloguedPmu {
  std::string name;  ///< libpfm4's
  std::string description;
  silicon::x86::Vendor vendor;
  std::string cpu_model;  ///< ours, or empty
};
/// All of them, sorted by name: those whose counters have an event select and a unit mask (not
/// NetBurst's).
const std::vector<CataloguedPmu>& catalogued_pmus();

class EventCatalogue {
 public:
  /// Of a PMU or CPU model by name; an error names the nearest ones. Made once for each PMU and
  /// kept; not for several threads at once.
  static Result<const EventCatalogue*> of(std::string_view cpu);

  [[nodiscard]] const CataloguedPmu& pmu() const { return pmu_; }
  [[nodiscard]] silicon::x86::Vendor vendor() const { return pmu_.vendor; }
  /// Fixed counters of the PMU; 0 on AMD.
  [[nodiscard]] unsigned fixed_counters() const { return fixed_counters_; }
  /// Sorted by name. Several may have the same selector (they differ in what a filter does not
  /// see).
  [[nodiscard]] const std::vector<NamedEvent>& events() const { return events_; }

  /// The events that a name or a name with wildcards (* and ?) means. Upper and lower case are the
  /// same, and so are '.' and ':' between event and unit mask. Empty if there is none.
  [[nodiscard]] std::vector<const NamedEvent*> match(std::string_view pattern) const;
  /// Events of libpfm4's that it gives no encoding for: they are left out.
  [[nodiscard]] std::size_t left_out() const { return left_out_; }
  /// The names that a user may have meant, nearest first.
  [[nodiscard]] std::vector<std::string> nearest(std::string_view name, std::size_t most = 3) const;
  /// The fixed counter that counts the event of a selector, or kNoFixedCounter: of the
  /// architectural events (SDM 3B table 20-1) and the pseudo-encodings 00H/01H and up.
  [[nodiscard]] std::int8_t fixed_of(silicon::x86::EventSelector selector) const;
  /// The events of a selector, by name.
  [[nodiscard]] std::vector<const NamedEvent*> named(silicon::x86::EventSelector selector) const;

 private:
  friend class CatalogueBuilder;
  explicit EventCatalogue(const CataloguedPmu& pmu) : pmu_{pmu} {}

  CataloguedPmu pmu_;
  unsigned fixed_counters_ = 0;
  std::size_t left_out_ = 0;
  std::vector<NamedEvent> events_;
};

}  // namespace vpmu::policy
