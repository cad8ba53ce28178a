// SPDX-License-Identifier: MIT
//
// The history of code whose every branch is known: each record compared with the code's labels, in
// order, from the first to the last, and that there are no others. Options:
//   print    the records of every piece, newest first
#include "branches.h"
#include "runtime/check.h"
#include "runtime/start.h"

void timed_branches(struct pmu_switch start, uint64_t tsc[2]);
void long_way(struct pmu_switch start);

static void print_records(const struct lbr_record* records, unsigned count) {
  for (unsigned age = 0; age < count; ++age) {
    const struct lbr_record* r = &records[age];
    print("record %u: %lx to %lx, %s, %u cycles\n", age, r->from, r->to,
          r->mispredicted ? "mispredicted" : "predicted", r->cycles);
  }
}

/// How many records differ from what a predictor says that has seen the piece before, or not.
static unsigned wrong_predictions(const struct piece* piece, const struct lbr_record* records,
                                  bool seen) {
  static struct branch expected[MOST_BRANCHES];
  const unsigned count = expected_records(piece, LBR_EVERYTHING, expected);
  unsigned wrong = 0;
  for (unsigned age = 0; age < count; ++age) {
    const struct branch* b = &expected[age];
    const bool indirect = b->what == LBR_IND_JMP || b->what == LBR_IND_CALL;
    if (b->mispredicted == BRANCH_PERHAPS || (seen && b->what == LBR_RET)) continue;
    wrong += records[age].mispredicted != (b->mispredicted == BRANCH_ALWAYS && !(seen && indirect));
  }
  return wrong;
}

static void check_piece(const struct piece* piece) {
  struct lbr_record records[LBR_MOST];
  CHECK(runs_as_expected(piece, LBR_EVERYTHING, records), "%s: every record is what the code did",
        piece->name);
  const unsigned count = lbr_read_all(records);
  if (option_flag("print")) print_records(records, count);
  CHECK_EQUAL(wrong_predictions(piece, records, false), 0,
              "%s: new targets of indirect branches are mispredicted, direct branches never",
              piece->name);
  if (lbr.kind == LBR_LEGACY) {
    const uint64_t taken = (uint64_t)(piece->end - piece->branches);
    CHECK_EQUAL(lbr_tos(), taken % lbr.depth, "%s: LBR_TOS has gone up by one for each branch",
                piece->name);
  }
  CHECK(runs_as_expected(piece, LBR_EVERYTHING, records), "%s: once more, the same", piece->name);
  lbr_read_all(records);
  CHECK_EQUAL(wrong_predictions(piece, records, true), 0,
              "%s: targets that are known now are not mispredicted", piece->name);
}

/// Records of one run follow those of the run before, and nothing is lost when recording stops.
static void check_goes_on(void) {
  struct lbr_record before[LBR_MOST], after[LBR_MOST];
  lbr_clear();
  run_piece(&pieces[1], lbr_arm(LBR_EVERYTHING));
  lbr_read_all(before);
  const unsigned tos = lbr_tos();
  lbr_read_all(after);
  unsigned wrong = lbr_tos() != tos;
  for (unsigned age = 0; age < lbr.depth; ++age) wrong += before[age].to != after[age].to;
  CHECK_EQUAL(wrong, 0, "while nothing is recorded, records stay as they are");
  static struct branch expected[MOST_BRANCHES];
  const unsigned newer = expected_records(&pieces[4], LBR_USER | LBR_ALL_KINDS, expected);
  run_piece(&pieces[4], lbr_arm(LBR_USER | LBR_ALL_KINDS));
  lbr_read_all(after);
  for (unsigned age = 0; age < newer; ++age) wrong += after[age].to != expected[age].to;
  for (unsigned age = newer; age < lbr.depth; ++age) {
    wrong += after[age].from != before[age - newer].from || after[age].to != before[age - newer].to;
  }
  CHECK_EQUAL(wrong, 0, "new records come before the ones that were there");
}

static void check_cycles(void) {
  if (lbr.info == 0) {
    check_skip("cycles: records have none");
    return;
  }
  struct lbr_record records[LBR_MOST];
  uint64_t tsc[2] = {0};
  lbr_clear();
  timed_branches(lbr_arm(LBR_EVERYTHING), tsc);
  const unsigned count = lbr_read_all(records);
  CHECK_EQUAL(count, 7, "seven branches are recorded");
  if (count != 7) return;
  uint64_t sum = 0;
  for (unsigned age = 0; age < 6; ++age) sum += records[age].cycles;
  CHECK_EQUAL(sum, tsc[1] - tsc[0], "their cycles are the time between the first and the last");
  CHECK_EQUAL(records[4].cycles, 1, "a jump behind a jump comes a cycle later");
  CHECK_EQUAL(records[3].cycles, 11, "one behind ten NOPs eleven");
  if (lbr.kind == LBR_ARCHITECTURAL) {
    unsigned invalid = 0;
    for (unsigned age = 0; age < 7; ++age) invalid += (records[age].info >> 60 & 1) == 0;
    CHECK_EQUAL(invalid, 0, "architectural records say that their cycles are valid");
  }
  lbr_clear();
  long_way(lbr_arm(LBR_EVERYTHING));
  CHECK(lbr_read_all(records) == 2 && records[0].cycles == 0xffff,
        "more cycles than a record can say are as many as it can");
}

void guest_main(void) {
  lbr_start();
  branches_start();
  for (unsigned p = 0; p < PIECES; ++p) check_piece(&pieces[p]);
  check_goes_on();
  check_cycles();
  lbr_clear();
}
