// SPDX-License-Identifier: MIT
//
// Pieces of code with every kind of branch. For each piece there is a table of the branches it
// takes, in their order: assembled from the labels of the code, so that nobody has run anything to
// know it.
#pragma once

#include <stdint.h>

#include "runtime/lbr.h"

/// A branch that is taken.
struct branch {
  uint64_t from, to;
  uint32_t what;          ///< one of LBR_JCC to LBR_OTHER
  uint32_t ends_in;       ///< LBR_KERNEL or LBR_USER
  uint32_t mispredicted;  ///< BRANCH_NEVER and so on, by a predictor that has not seen it before
  uint32_t reserved;
};
enum { BRANCH_NEVER, BRANCH_ALWAYS, BRANCH_PERHAPS };

struct piece {
  const char* name;
  void (*run)(struct pmu_switch start);
  const struct branch *branches, *end;
};

/// Sets up the gates, MSRs and the interrupt that the pieces use. Once.
void branches_start(void);

/// All pieces: near branches, many near branches, far branches in the kernel, between kernel and
/// user mode.
enum { PIECES = 5, MOST_BRANCHES = 256 };
extern const struct piece pieces[PIECES];

/// Records the piece with this switch.
void run_piece(const struct piece* piece, struct pmu_switch start);
/// Those of the piece's branches that are recorded with this filter (LBR_*), newest first, as many
/// as there are records.
unsigned expected_records(const struct piece* piece, uint64_t what,
                          struct branch expected[MOST_BRANCHES]);
/// Runs the piece with this filter and compares every record with what is expected, and that all
/// others are empty. False: has printed the first that is wrong.
bool runs_as_expected(const struct piece* piece, uint64_t what,
                      struct lbr_record records[LBR_MOST]);
