// SPDX-License-Identifier: MIT
//
// Every bit of LBR_SELECT, or of IA32_LBR_CTL, alone and left out alone, for user mode, the kernel,
// both and neither, with code that has each kind of branch.
#include "branches.h"
#include "runtime/check.h"
#include "runtime/start.h"

static const struct {
  uint64_t bits;
  const char* name;
} kinds[] = {
    {LBR_JCC, "conditional branches"}, {LBR_REL_JMP, "direct jumps"},
    {LBR_IND_JMP, "indirect jumps"},   {LBR_REL_CALL, "direct calls"},
    {LBR_IND_CALL, "indirect calls"},  {LBR_RET, "returns"},
    {LBR_OTHER, "far branches"},       {LBR_ALL_KINDS, "all branches"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };
static const struct {
  uint64_t bits;
  const char* name;
} privileges[] = {{LBR_KERNEL | LBR_USER, "kernel and user mode"},
                  {LBR_KERNEL, "the kernel"},
                  {LBR_USER, "user mode"},
                  {0, "no privilege"}};
enum { PRIVILEGES = sizeof privileges / sizeof *privileges };

/// How many pieces of code do not give the records that they should with this filter.
static unsigned wrong_pieces(uint64_t what) {
  struct lbr_record records[LBR_MOST];
  unsigned wrong = 0;
  for (unsigned p = 0; p < PIECES; ++p) wrong += !runs_as_expected(&pieces[p], what, records);
  return wrong;
}

/// Filters stay what they are while others change.
static void check_changes(void) {
  struct lbr_record records[LBR_MOST];
  lbr_clear();
  run_piece(&pieces[0], lbr_arm(LBR_KERNEL | LBR_REL_CALL));
  const unsigned calls = lbr_read_all(records);
  run_piece(&pieces[0], lbr_arm(0));
  CHECK_EQUAL(lbr_read_all(records), calls, "a filter without privileges adds nothing");
  run_piece(&pieces[0], lbr_arm(LBR_KERNEL));
  CHECK_EQUAL(lbr_read_all(records), calls, "one without kinds neither");
  run_piece(&pieces[0], lbr_arm(LBR_KERNEL | LBR_REL_CALL));
  CHECK_EQUAL(lbr_read_all(records), 2 * calls, "the first again adds as many as before");
}

void guest_main(void) {
  lbr_start();
  branches_start();
  CHECK(lbr_select(LBR_EVERYTHING) == 0 && lbr_select(LBR_USER | LBR_ALL_KINDS) == 1 &&
            lbr_select(LBR_USER | LBR_CALLS) == 0x3c5,
        "LBR_SELECT is what perf programs for any branch, any in user mode, and call stacks");
  for (unsigned p = 0; p < PRIVILEGES; ++p) {
    for (unsigned k = 0; k < KINDS; ++k) {
      const uint64_t others = LBR_ALL_KINDS & ~kinds[k].bits;
      CHECK_EQUAL(wrong_pieces(privileges[p].bits | kinds[k].bits), 0, "%s in %s", kinds[k].name,
                  privileges[p].name);
      CHECK_EQUAL(wrong_pieces(privileges[p].bits | others), 0, "all but %s in %s", kinds[k].name,
                  privileges[p].name);
    }
  }
  check_changes();
  lbr_clear();
}
