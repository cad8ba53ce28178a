// SPDX-License-Identifier: MIT
//
// How the guest event_filter and a host that changes its event filter take turns. The guest writes
// the address of its mailbox to the debug-exit port whenever it is ready. The host may then change
// what it likes, writes a request, and lets the guest go on; the next time that it is ready the
// results are there. C and C++.
#pragma once

#include <stdint.h>

enum filter_request {
  REQUEST_END,     ///< ends with the next write to the port, 0
  REQUEST_SANITY,  ///< results: 1 if the PMU's registers keep what is written to them
  /// Counters 0 and 1 of CPU 0, ring 0 only, and a LOOP of 42 iterations. Results: branches,
  /// instructions. MEASURE leaves the counters as they are, which are on after the first time.
  REQUEST_COUNT_BRANCHES,
  REQUEST_MEASURE_BRANCHES,
  /// Counters 0 to 2 of CPU 1, ring 0 only; one store, one load and one read-modify-write. Results:
  /// loads, stores, and what does both (Intel: accesses; AMD: read-modify-writes).
  REQUEST_COUNT_MEMORY,
  REQUEST_MEASURE_MEMORY,
  REQUEST_COUNT_FIXED,  ///< Intel: fixed counter `counter` and the LOOP. Results: its value
};

struct filter_mailbox {
  uint32_t request;  ///< enum filter_request
  uint32_t counter;
  uint64_t results[3];
};

// What is measured is this much, to the instruction; filter_workloads.S.
enum {
  MEASURED_BRANCHES = 42,
  MEASURED_INSTRUCTIONS = MEASURED_BRANCHES + 11,
  MEASURED_LOADS = 2,
  MEASURED_STORES = 2,
  MEASURED_READ_MODIFY_WRITES = 1,
};
