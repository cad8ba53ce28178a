// SPDX-License-Identifier: MIT
//
// What libpfm4 knows of CPUs, whichever this runs on. Not for several threads at once: it has
// global state.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "vpmu/silicon/x86/event_table.hpp"

namespace vpmu::policy {

struct PfmPmu {
  std::string name;
  std::string description;
  bool amd = false;
  unsigned fixed_counters = 0;
  int first_event = 0;  ///< for pfm_events()
};
/// The x86 core PMUs whose counters have an event select and a unit mask.
std::vector<PfmPmu> pfm_core_pmus();

struct PfmEvent {
  std::string name;  ///< "EVENT.UNIT_MASK" or "EVENT"
  std::string description;
  silicon::x86::EventSelector selector;
};
struct PfmEvents {
  std::vector<PfmEvent> events;
  std::size_t left_out = 0;  ///< that have no encoding
};
/// Every event with each of its unit masks alone; where it needs more of them, with libpfm4's
/// defaults for the others.
PfmEvents pfm_events(const PfmPmu& pmu);

}  // namespace vpmu::policy
